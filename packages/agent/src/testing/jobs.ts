/** A job store in memory: holds statuses, and does what a test tells it to. */
import {
  type JobId,
  type JobReadParams,
  type JobReadResult,
  type JobStatus,
  newJobId,
  type OutpostError,
} from "@outpost/protocol";
import type { HeldJobs } from "../handlers/context.ts";
import type { InputSpool, ReadSink } from "../jobs/index.ts";
import type { KnownJob } from "../jobs/jobs.ts";

export function runningJob(job: JobId = newJobId()): JobStatus {
  const nothing = { written: 0, received: 0 };
  return { job, state: "running", startedAt: 1_000, output: { stdout: nothing, stderr: nothing } };
}

export class FakeSpool implements InputSpool {
  readonly pieces: Buffer[] = [];
  size = 0;
  ended = false;
  failed: OutpostError | undefined;
  /** Replaced by tests that want writes to take time or fail. */
  store: () => Promise<void> = async () => {};

  get text(): string {
    return Buffer.concat(this.pieces).toString();
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    if (offset !== this.size)
      throw new Error(`a write at ${String(offset)}, where ${String(this.size)} was due`);
    const copy = Buffer.from(bytes);
    await this.store();
    this.pieces.push(copy);
    this.size += copy.byteLength;
  }

  async end(): Promise<void> {
    this.ended = true;
  }

  async fail(error: OutpostError): Promise<void> {
    this.failed = error;
  }
}

export class FakeJobs implements HeldJobs {
  readonly held = new Map<JobId, JobStatus>();
  readonly spools = new Map<JobId, FakeSpool>();
  readonly calls: unknown[] = [];
  readonly #listeners = new Set<(status: JobStatus) => void>();
  /** What `read` does. */
  reader: (params: JobReadParams, sink: ReadSink, signal: AbortSignal) => Promise<JobReadResult> = async ({
    job,
  }) => ({
    status: this.held.get(job)!,
  });

  /** How many want to hear of changes. */
  get listeners(): number {
    return this.#listeners.size;
  }

  /** Sets a job's status and tells the listeners. */
  change(status: JobStatus): void {
    this.held.set(status.job, status);
    for (const listener of this.#listeners) listener(status);
  }

  list: HeldJobs["list"] = () => [...this.held.values()];
  /** Who started a job. Default: nobody that is known. */
  readonly askers = new Map<JobId, Partial<KnownJob>>();

  known: HeldJobs["known"] = (id) =>
    this.held.has(id) ? { isLocal: false, ...this.askers.get(id) } : undefined;
  status: HeldJobs["status"] = (ids) =>
    ids.map((id) => this.held.get(id)).filter((status) => status !== undefined);
  read: HeldJobs["read"] = (params, sink, signal) => this.reader(params, sink, signal);

  start: HeldJobs["start"] = async (params) => {
    this.calls.push(params);
    this.askers.set(params.job, { operator: params.operator, collect: params.collect });
    this.change(runningJob(params.job));
    return { status: runningJob(params.job) };
  };

  acknowledge: HeldJobs["acknowledge"] = async (params) => void this.calls.push(params);
  remove: HeldJobs["remove"] = async (job) => void this.held.delete(job);

  stop: HeldJobs["stop"] = async ({ job }) => {
    const status: JobStatus = { ...this.held.get(job)!, state: "stopped" };
    this.change(status);
    return status;
  };

  input: HeldJobs["input"] = async (job) => {
    const spool = this.spools.get(job) ?? new FakeSpool();
    this.spools.set(job, spool);
    return spool;
  };

  onChanged: HeldJobs["onChanged"] = (listener) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };
}
