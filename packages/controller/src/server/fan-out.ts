/**
 * One request over many hosts: its jobs, the state that derives from theirs, and who listens to their changes. It is
 * in memory while something is left to do for it, or somebody uses it.
 *
 *     created ──▶ ended (every job has) ──▶ finished (nothing to collect, nothing waits, its roll-out is over)
 *        └──────────┴──▶ removed (kept until every host has confirmed) ──▶ finished
 */
import type {
  FanOutInfo,
  FanOutState,
  HostName,
  JobId,
  JobInfo,
  JobState,
  OutputMode,
  RolloutInfo,
  Secrets,
  WireError,
} from "@outpost/protocol";
import type { Bus } from "./bus.ts";
import type { FanOutRecord } from "./catalogue/fan-outs.ts";
import { deriveState } from "./fan-out-state.ts";
import type { Job } from "./job.ts";
import type { RolloutProgress } from "./rollout-plan.ts";
import { sumOfBytes } from "./sum-of-bytes.ts";

export type JobListener = (job: Job) => void;
export type RolloutListener = (rollout: RolloutInfo) => void;

/** A spec of more bytes than this is forgotten when all jobs have ended: ten thousand long scripts would be a large catalogue. */
const maxKeptSpecBytes = 64 * 1024;

export class FanOut {
  readonly id: JobId;
  readonly mode: OutputMode;
  readonly operator: string;
  readonly expiresAt: number;
  readonly jobs: readonly Job[];
  readonly #byHost: ReadonlyMap<HostName, Job>;
  readonly #listeners = new Set<JobListener>();
  readonly #rolloutListeners = new Set<RolloutListener>();
  /** Set while its roll-out is carried out. */
  #rolloutNow: (() => RolloutInfo) | undefined;
  #record: FanOutRecord;
  /** The jobs before this position have ended. */
  #ended = 0;
  /** The jobs before this position have left `pending`. */
  #begun = 0;
  #secrets: Secrets | undefined;
  #cancelSecrets = (): void => {};

  constructor(record: FanOutRecord, jobs: readonly Job[]) {
    this.id = record.id;
    this.mode = record.mode;
    this.operator = record.operator;
    this.expiresAt = record.expiresAt;
    this.jobs = jobs;
    this.#byHost = new Map(jobs.map((job) => [job.hostName, job]));
    this.#record = record;
  }

  get record(): FanOutRecord {
    return this.#record;
  }

  get isEnded(): boolean {
    // Asked at each change; an end is final, so no job is looked at twice.
    while (this.#ended < this.jobs.length && this.jobs[this.#ended]!.isEnded) this.#ended++;
    return this.#ended === this.jobs.length;
  }

  /** The operator who started it, by name. */
  get owner(): string | undefined {
    return ownerOf(this.#record);
  }

  /** For people: the job with its id and whose it is. */
  get title(): string {
    return `the job ${this.id} of ${this.operator}`;
  }

  /** What its start carries and no record holds. */
  get secrets(): Secrets | undefined {
    return this.#secrets;
  }

  /** @param cancel what would make an end of keeping them, and is not needed when they were forgotten before */
  keepSecrets(secrets: Secrets, cancel: () => void): void {
    this.#secrets = secrets;
    this.#cancelSecrets = cancel;
  }

  forgetSecrets(): void {
    this.#secrets = undefined;
    this.#cancelSecrets();
    this.#cancelSecrets = () => {};
  }

  /** Forgets the secrets once no start is to be sent again: every host has answered. */
  dropSecrets(): void {
    if (this.#secrets === undefined) return;
    while (this.#begun < this.jobs.length && this.jobs[this.#begun]!.status.state !== "pending")
      this.#begun++;
    if (this.#begun === this.jobs.length) this.forgetSecrets();
  }

  get isRemoved(): boolean {
    return this.#record.removedBy !== undefined;
  }

  /** Nothing is left to do for it. */
  get isFinished(): boolean {
    if (this.isRemoved) return this.jobs.every((job) => job.waiting === undefined);
    if (this.#record.rollout !== undefined && this.#record.rollout.ended === undefined) return false;
    return this.jobs.every((job) => job.isEnded && job.waiting === undefined && !this.needsCollecting(job));
  }

  /** Now, or when it has been begun. */
  needsCollecting(job: Job): boolean {
    return this.mode === "collect" && (job.isHeld || job.isQueued) && !job.isCollected;
  }

  job(host: HostName): Job | undefined {
    return this.#byHost.get(host);
  }

  /** Calls back after each change of one of its jobs. Returns what takes the listener away. */
  onChanged(listener: JobListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Tells the listeners. The caller has changed `job` and noted it for the catalogue. */
  changed(job: Job): void {
    for (const listener of this.#listeners) listener(job);
  }

  /** All jobs have ended. What was signed has served; the spec is kept for whoever wants to run it again. */
  ended(at: number): void {
    const { spec } = this.#record;
    const kept = spec !== undefined && spec.byteLength <= maxKeptSpecBytes ? spec : undefined;
    this.#record = { ...this.#record, endedAt: at, spec: kept, authorization: undefined };
  }

  /** How its roll-out stands, if it has one. */
  get rollout(): RolloutInfo | undefined {
    return this.#rolloutNow?.() ?? this.#record.rollout?.ended;
  }

  /** From now on `info` says how the roll-out stands. */
  rollOut(info: () => RolloutInfo): void {
    this.#rolloutNow = info;
  }

  /** The roll-out has come further. The caller notes it for the catalogue. */
  rolledOut(progress: RolloutProgress): void {
    const { rollout } = this.#record;
    if (rollout !== undefined) this.#record = { ...this.#record, rollout: { ...rollout, progress } };
  }

  /** The roll-out is over, and so are all of its jobs. */
  rolloutEnded(ended: RolloutInfo): void {
    const { rollout } = this.#record;
    if (rollout !== undefined) this.#record = { ...this.#record, rollout: { ...rollout, ended } };
    this.#rolloutNow = undefined;
  }

  /** Calls back when the roll-out has come to another state or stage. Returns what takes the listener away. */
  onRollout(listener: RolloutListener): () => void {
    this.#rolloutListeners.add(listener);
    return () => void this.#rolloutListeners.delete(listener);
  }

  rolloutChanged(rollout: RolloutInfo): void {
    for (const listener of this.#rolloutListeners) listener(rollout);
  }

  removed(by: string): void {
    this.#record = { ...this.#record, removedBy: by };
  }

  inputComplete(size: number): void {
    this.#record = { ...this.#record, inputSize: size };
  }

  inputFailed(error: WireError): void {
    this.#record = { ...this.#record, inputError: error };
  }

  info(bus: Bus): FanOutInfo {
    const counts: Partial<Record<JobState, number>> = {};
    for (const job of this.jobs) counts[job.status.state] = (counts[job.status.state] ?? 0) + 1;
    const unread = sumOfBytes(this.jobs.map((job) => job.unread));
    return fanOutInfo(this.#record, this.state(bus), counts, unread, this.rollout);
  }

  state(bus: Bus): FanOutState {
    return deriveState(
      this.jobs.map((job) => ({
        state: job.status.state,
        isReachable: job.isEnded || bus.link(job.host) !== undefined,
        hasTurnToCome: job.isQueued && job.turn === "rollout",
      })),
    );
  }

  jobInfo(job: Job, bus: Bus): JobInfo {
    const { status, received, waiting, refused } = job;
    const { stdout, stderr } = status.output;
    const output = {
      stdout: { written: stdout.written, received: received.stdout },
      stderr: { written: stderr.written, received: received.stderr },
    };
    const since = this.#unreachableSince(job, bus);
    return {
      host: job.hostName,
      status: { ...status, output },
      ...(since === undefined ? {} : { unreachableSince: since }),
      ...(waiting === undefined ? {} : { waiting: waiting.kind }),
      ...(refused === undefined ? {} : { refused }),
      ...(job.isQueued ? { queued: job.turn === "host" ? "host" : "rollout" } : {}),
    };
  }

  /** Says nothing about a job that needs its host no more: ended, and its output received or here. */
  #unreachableSince(job: Job, bus: Bus): number | undefined {
    const needsHost = !job.isEnded || (job.isHeld && !job.isCollected && job.unread > 0);
    if (!needsHost || bus.link(job.host) !== undefined) return undefined;
    return bus.lastSeen(job.host) ?? this.#record.createdAt;
  }
}

/** The operator who started it. A job that was started on a host itself (`local-jobs.ts`) is no operator's, however its
 * user and host are called; one that never was ours to start is such a job. */
export function ownerOf({ createdAt, expiresAt, operator }: FanOutRecord): string | undefined {
  return expiresAt > createdAt ? operator : undefined;
}

export function fanOutInfo(
  record: FanOutRecord,
  state: FanOutState,
  counts: Partial<Record<JobState, number>>,
  unreadBytes: number,
  rollout: RolloutInfo | undefined = record.rollout?.ended,
): FanOutInfo {
  const { id, name, operator, command, mode, createdAt, endedAt, hosts } = record;
  return {
    job: id,
    ...(name === undefined ? {} : { name }),
    operator,
    command,
    mode,
    createdAt,
    ...(endedAt === undefined ? {} : { endedAt }),
    state,
    counts,
    hosts,
    unreadBytes,
    ...(rollout === undefined ? {} : { rollout }),
  };
}
