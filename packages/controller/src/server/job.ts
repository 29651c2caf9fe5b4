/**
 * One job of a fan-out job as the controller knows it: the host's last word, what operators have received, what waits
 * for the host. It talks to nobody; whoever changes it is told nothing but whether something changed.
 */
import type {
  HostId,
  HostName,
  JobId,
  JobStatus,
  OutputMode,
  OutputName,
  Tail,
  WireError,
} from "@outpost/protocol";
import type { HostLink } from "./bus.ts";
import type { JobRecord, Received, Turn, Waiting } from "./catalogue/fan-outs.ts";
import { cutError, cutJobStatus } from "./cut-status.ts";
import { isEnded, looksDifferent, mergeStatus } from "./job-status.ts";
import { sumOfBytes } from "./sum-of-bytes.ts";

const outputs = ["stdout", "stderr"] as const satisfies OutputName[];

/** Ends that we know of without the host: nothing ran there, and the host holds nothing. */
const neverRan: ReadonlySet<string> = new Set([
  "host_unreachable",
  "expired",
  "refused",
  "denied",
  "skipped",
  "not_begun",
]);

export class Job {
  readonly id: JobId;
  readonly host: HostId;
  readonly hostName: HostName;
  readonly position: number;
  readonly mode: OutputMode;
  /** The connection that last carried its start or a word about it: an inventory of that connection that lacks the job
   * was written before. */
  heardOn: HostLink | undefined;
  /** A start is on its way and not answered. */
  isStarting = false;
  /** Output that came with the answer to the start. */
  tail: Tail | undefined;
  #status: JobStatus;
  #received: Received;
  #waiting: Waiting | undefined;
  #refused: WireError | undefined;
  #held: boolean;
  #collected: boolean;
  #turn: Turn;
  #isEndKnown: boolean;

  constructor(record: JobRecord, mode: OutputMode) {
    this.mode = mode;
    this.id = record.fanOut;
    this.host = record.host;
    this.hostName = record.hostName;
    this.position = record.position;
    this.#status = record.status;
    this.#received = record.received;
    this.#waiting = record.waiting;
    this.#held = record.held;
    this.#collected = record.collected;
    this.#turn = record.turn;
    this.#isEndKnown = isEnded(record.status);
  }

  get status(): JobStatus {
    return this.#status;
  }

  get isEnded(): boolean {
    return isEnded(this.#status);
  }

  get turn(): Turn {
    return this.#turn;
  }

  /** It waits for its turn or its host: nothing of it was sent. */
  get isQueued(): boolean {
    return this.#turn !== "begun" && !this.isEnded;
  }

  /** It waits for its host to connect. */
  queue(): void {
    this.#turn = "host";
  }

  /** It may be sent from now on. The caller MUST have recorded that before it is. */
  begin(): void {
    this.#turn = "begun";
    this.#held = true;
  }

  /** True once: when it has ended since this was asked last, or since the job was made. */
  get endsNow(): boolean {
    if (this.#isEndKnown || !this.isEnded) return false;
    this.#isEndKnown = true;
    return true;
  }

  /** What operators have acknowledged. */
  get received(): Received {
    return this.#received;
  }

  /** Why the host did not do what was asked of it last; known as long as this process lives. */
  get refused(): WireError | undefined {
    return this.#refused;
  }

  /** The host will not do what waits for it. */
  refuse(why: WireError): void {
    this.#waiting = undefined;
    this.#refused = cutError(why);
  }

  get waiting(): Waiting | undefined {
    return this.#waiting;
  }

  set waiting(waiting: Waiting | undefined) {
    if (waiting !== undefined) this.#refused = undefined;
    this.#waiting = waiting;
  }

  /** All of its output is in the controller's own store. */
  get isCollected(): boolean {
    return this.#collected;
  }

  /** The host may still hold it. */
  get isHeld(): boolean {
    return this.#held;
  }

  /** Bytes of stdout and stderr that nobody has received, as far as known. */
  get unread(): number {
    if (this.#status.removed === true && !this.#collected) return 0;
    const unread = outputs.map((name) =>
      Math.max(0, this.#status.output[name].written - this.#received[name]),
    );
    return sumOfBytes(unread);
  }

  get record(): JobRecord {
    return {
      fanOut: this.id,
      host: this.host,
      position: this.position,
      hostName: this.hostName,
      status: this.#status,
      received: this.#received,
      unread: this.unread,
      held: this.#held,
      collected: this.#collected,
      waiting: this.#waiting,
      turn: this.#turn,
    };
  }

  /** Takes a report of the host in. Returns whether an operator would see a difference. */
  report(status: JobStatus, link?: HostLink): boolean {
    if (link !== undefined) {
      this.heardOn = link;
      // Normally it was begun; but a power cut may have taken our own record of that.
      this.#turn = "begun";
    }
    const before = this.#status;
    this.#status = mergeStatus(before, cutJobStatus(status));
    // Normally the host knows no better; but a power cut may have taken our own record of what was received.
    if (this.mode === "keep") {
      const { stdout, stderr } = this.#status.output;
      this.acknowledge({ stdout: stdout.received, stderr: stderr.received });
    }
    if (status.removed === true) this.#held = false;
    else if (link !== undefined) this.#held = true;
    if (neverRan.has(this.#status.reason?.code ?? "")) this.#held = false;
    if (this.isEnded && this.#waiting?.kind === "stop") this.#waiting = undefined;
    return looksDifferent(before, this.#status);
  }

  /** The host holds nothing of it (any more). Returns whether that is news. */
  gone(): boolean {
    this.#held = false;
    if (this.#status.removed === true || !this.isEnded) return false;
    this.#status = { ...this.#status, removed: true };
    return true;
  }

  /** All of its output is in our own store. */
  collected(): void {
    this.#collected = true;
  }

  /** The host was told that everything is safe elsewhere, and has forgotten it. */
  released(): void {
    this.#held = false;
    if (this.mode === "keep") this.#status = { ...this.#status, removed: true };
  }

  /** Operators have received bytes below these offsets. Offsets never go back. Returns whether one moved. */
  acknowledge(positions: {
    stdout?: number | undefined;
    stderr?: number | undefined;
    timeline?: number | undefined;
  }): boolean {
    const before = this.#received;
    const next = {
      stdout: this.#within("stdout", positions.stdout),
      stderr: this.#within("stderr", positions.stderr),
      timeline: Math.max(before.timeline, positions.timeline ?? 0),
    };
    this.#received = next;
    return next.stdout > before.stdout || next.stderr > before.stderr || next.timeline > before.timeline;
  }

  /** Nobody can have received more than an ended job wrote. */
  #within(name: OutputName, position = 0): number {
    const { written } = this.#status.output[name];
    return Math.max(this.#received[name], this.isEnded ? Math.min(position, written) : position);
  }
}
