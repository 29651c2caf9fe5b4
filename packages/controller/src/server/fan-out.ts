/**
 * One request over many hosts: its jobs, the state that derives from theirs, and who listens to their changes. It is
 * in memory while something is left to do for it, or somebody uses it.
 *
 *     created ──▶ ended (every job has) ──▶ finished (nothing to collect, nothing waits)
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
  Secrets,
  WireError,
} from "@outpost/protocol";
import type { Bus } from "./bus.ts";
import type { FanOutRecord } from "./catalogue/fan-outs.ts";
import { deriveState } from "./fan-out-state.ts";
import type { Job } from "./job.ts";
import { sumOfBytes } from "./sum-of-bytes.ts";

export type JobListener = (job: Job) => void;

export class FanOut {
  readonly id: JobId;
  readonly mode: OutputMode;
  readonly operator: string;
  readonly expiresAt: number;
  readonly jobs: readonly Job[];
  readonly #byHost: ReadonlyMap<HostName, Job>;
  readonly #listeners = new Set<JobListener>();
  #record: FanOutRecord;
  /** The jobs before this position have ended. */
  #ended = 0;
  /** The jobs before this position have left `pending`. */
  #begun = 0;
  #secrets: Secrets | undefined;

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

  keepSecrets(secrets: Secrets | undefined): void {
    this.#secrets = secrets;
  }

  /** Forgets the secrets once no start is to be sent again: every host has answered. */
  dropSecrets(): void {
    if (this.#secrets === undefined) return;
    while (this.#begun < this.jobs.length && this.jobs[this.#begun]!.status.state !== "pending")
      this.#begun++;
    if (this.#begun === this.jobs.length) this.#secrets = undefined;
  }

  get isRemoved(): boolean {
    return this.#record.removedBy !== undefined;
  }

  /** Nothing is left to do for it. */
  get isFinished(): boolean {
    if (this.isRemoved) return this.jobs.every((job) => job.waiting === undefined);
    return this.jobs.every((job) => job.isEnded && job.waiting === undefined && !this.needsCollecting(job));
  }

  needsCollecting(job: Job): boolean {
    return this.mode === "collect" && job.isHeld && !job.isCollected;
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

  /** All jobs have ended. The spec has served: it may hold what nobody wants to keep. */
  ended(at: number): void {
    this.#record = { ...this.#record, endedAt: at, spec: undefined, authorization: undefined };
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
    return fanOutInfo(this.#record, this.state(bus), counts, unread);
  }

  state(bus: Bus): FanOutState {
    return deriveState(
      this.jobs.map((job) => ({
        state: job.status.state,
        isReachable: job.isEnded || bus.link(job.host) !== undefined,
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
  };
}
