/**
 * A job store without files, for hosts by the ten thousand: a job directory costs the file system what a thousand hosts
 * pay on a thousand disks. To whoever is connected it behaves as `Jobs` does; `jobs.test.ts` asks both the same. It keeps
 * no job over a restart, and takes neither sessions nor streamed input.
 */
import { conclude } from "../../packages/agent/src/jobs/conclusion.ts";
import { admitJob, checkCount, openConfiguration } from "../../packages/agent/src/configurations/index.ts";
import type { InputSpool, ReadSink } from "../../packages/agent/src/jobs/index.ts";
import type { StartRequest } from "../../packages/agent/src/jobs/job-directory.ts";
import { Job } from "../../packages/agent/src/jobs/job.ts";
import type { JobsOptions, KnownJob } from "../../packages/agent/src/jobs/jobs.ts";
import { checkArguments } from "../../packages/agent/src/jobs/launcher.ts";
import { removalGaps } from "../../packages/agent/src/jobs/removal-gaps.ts";
import type { Tombstone } from "../../packages/agent/src/jobs/tombstones.ts";
import {
  type EndReason,
  encodeTimeline,
  ErrorCode,
  type JobAcknowledgeParams,
  type JobId,
  type JobReadParams,
  type JobReadResult,
  type JobStartResult,
  type JobStatus,
  type JobStopParams,
  limits,
  type OutgoingStream,
  OutpostError,
  Packer,
  type StreamName,
  type Tail,
} from "@outpost/protocol";
import type { HeldJobs } from "@outpost/agent";
import { type Content, emulate, type EmulatedRun } from "./emulated-program.ts";

const nothing: Content = { size: 0, slice: () => new Uint8Array() };
const streamNames = ["timeline", "stdout", "stderr"] as const;

/** One job, with what its program will have written. */
interface Held {
  readonly job: Job;
  readonly run: EmulatedRun;
  readonly cancels: (() => void)[];
  timeline: Uint8Array;
}

export class MemoryJobs implements HeldJobs, AsyncDisposable {
  readonly #options: JobsOptions;
  readonly #held = new Map<JobId, Held>();
  readonly #tombstones = new Map<JobId, Tombstone>();
  readonly #listeners = new Set<(status: JobStatus) => void>();

  constructor(options: JobsOptions) {
    this.#options = options;
  }

  async start(params: StartRequest, signal?: AbortSignal): Promise<JobStartResult> {
    const tombstone = this.#tombstones.get(params.job);
    if (tombstone !== undefined) return { status: tombstone.status };
    const held = this.#held.get(params.job) ?? this.#accept(params);
    if (held === undefined) return { status: this.#tombstones.get(params.job)!.status };
    if (!held.job.ended) await this.#ended(held.job, params.inlineWaitMs, signal);
    const { job } = held;
    const bytes = job.written.stdout + job.written.stderr + job.timelineBytes;
    if (!job.ended || job.removed !== undefined || bytes > limits.maxInlineOutputBytes)
      return { status: job.status() };
    return { status: job.status(), tail: tailOf(held, { stdout: 0, stderr: 0, timeline: 0 }) };
  }

  async read(params: JobReadParams, sink: ReadSink, signal: AbortSignal): Promise<JobReadResult> {
    const held = this.#held.get(params.job);
    if (held !== undefined) return new MemoryReader(held, params, sink, signal).run();
    const tombstone = this.#tombstones.get(params.job);
    if (tombstone === undefined) throw notFound(params.job);
    for (const { name, gap } of removalGaps(tombstone, params.from)) sink.gap(name, gap);
    return { status: tombstone.status };
  }

  acknowledge({ job: id, received }: JobAcknowledgeParams): Promise<void> {
    const held = this.#held.get(id);
    if (held === undefined) return Promise.resolve();
    held.job.acknowledged(received);
    if (held.job.ended && held.job.fullyReceived) this.#forget(held, "received");
    return Promise.resolve();
  }

  status(ids: readonly JobId[]): JobStatus[] {
    return ids.flatMap((id) => this.#held.get(id)?.job.status() ?? this.#tombstones.get(id)?.status ?? []);
  }

  known(id: JobId): KnownJob | undefined {
    const asker = this.#held.get(id)?.job.asker ?? this.#tombstones.get(id);
    if (asker === undefined) return undefined;
    return { operator: asker.operator, collect: asker.collect, isLocal: false };
  }

  list(): JobStatus[] {
    return Array.from(this.#held.values(), ({ job }) => job.status());
  }

  stop({ job: id, operator }: JobStopParams): Promise<JobStatus> {
    const held = this.#held.get(id);
    const [status] = this.status([id]);
    if (status === undefined) return Promise.reject(notFound(id));
    if (held === undefined || held.job.ended) return Promise.resolve(status);
    const message = `stopped by ${operator}`;
    this.#end(held, { code: "stopped", message, by: operator });
    return Promise.resolve(held.job.status());
  }

  remove(id: JobId): Promise<void> {
    const held = this.#held.get(id);
    if (held === undefined) return Promise.resolve();
    if (!held.job.ended) {
      const message = `job ${id} is still running; stop it first`;
      return Promise.reject(new OutpostError(ErrorCode.conflict, message));
    }
    this.#forget(held, "removed");
    return Promise.resolve();
  }

  input(id: JobId): Promise<InputSpool> {
    const isKnown = this.#held.has(id) || this.#tombstones.has(id);
    return Promise.reject(
      isKnown ? new OutpostError(ErrorCode.conflict, `job ${id} takes no streamed input`) : notFound(id),
    );
  }

  onChanged(listener: (status: JobStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const { cancels } of this.#held.values()) for (const cancel of cancels) cancel();
    this.#listeners.clear();
    return Promise.resolve();
  }

  /** @returns `undefined` when it came too late: there is a tombstone */
  #accept(params: StartRequest): Held | undefined {
    const { clock, configurations, hostName, settings } = this.#options;
    const { spec } = params;
    const configuration = configurations?.find(spec.configuration) ?? openConfiguration;
    const { timeoutMs } = admitJob(configuration, params);
    if (spec.session !== undefined || spec.input.kind === "stream" || spec.retry !== undefined) {
      throw new OutpostError(
        ErrorCode.invalidArgument,
        "an emulated host has no sessions, takes no streamed input, and retries nothing",
      );
    }
    const now = clock.now();
    const job = new Job(params.job, undefined, params, configuration.name);
    if (params.expiresAt < now) {
      const message = "the request to start it reached the host after it had expired; nothing ran";
      const reason = { code: "expired", message } as const;
      job.end({ state: "failed", reason, written: { stdout: 0, stderr: 0 }, settledAt: now });
      job.forget("removed");
      this.#bury(job, "removed");
      this.#options.ended?.(job);
      return undefined;
    }
    checkArguments(params);
    let running = 0;
    for (const { job: other } of this.#held.values()) if (!other.ended) running++;
    if (running >= settings.maxRunningJobs) {
      throw new OutpostError(ErrorCode.limitExceeded, "the host runs too many jobs", {
        data: { limit: "maxRunningJobs", value: settings.maxRunningJobs },
      });
    }
    checkCount("jobs", configuration.name, configuration.limits, running);
    const run = emulate(spec.command, hostName);
    const held: Held = { job, run, cancels: [], timeline: new Uint8Array() };
    this.#held.set(job.id, held);
    this.#launch(held, timeoutMs);
    return held;
  }

  #launch(held: Held, timeoutMs: number | undefined): void {
    const { clock } = this.#options;
    const { job, run } = held;
    if (run.code === undefined) {
      const message = "an emulated host has no such program; see test/fleet/emulated-program.ts";
      return this.#end(held, { code: "start_failed", message });
    }
    job.started(clock.now());
    this.#tell(job);
    if (run.afterMs === 0) return this.#end(held);
    held.cancels.push(clock.after(run.afterMs, () => this.#end(held)));
    if (timeoutMs === undefined) return;
    const message = `it ran longer than its timeout of ${String(timeoutMs)} ms`;
    held.cancels.push(clock.after(timeoutMs, () => this.#end(held, { code: "timed_out", message })));
  }

  /** @param reason why it did not come to its own end */
  #end(held: Held, reason?: EndReason): void {
    const { job, run, cancels } = held;
    for (const cancel of cancels.splice(0)) cancel();
    const now = this.#options.clock.now();
    const stdout = reason === undefined ? run.stdout.size : 0;
    if (stdout > 0) held.timeline = encodeTimeline([{ timeUs: now * 1000, stream: "stdout", upTo: stdout }]);
    job.timelineBytes = held.timeline.length;
    const conclusion =
      reason === undefined
        ? conclude({
            record: { kind: "complete", exit: { code: run.code! } },
            rebooted: false,
            diskFull: false,
          })
        : ({ state: reason.code === "stopped" ? "stopped" : "failed", reason } as const);
    job.end({
      ...conclusion,
      ...(job.startedAt === undefined ? {} : { startedAt: job.startedAt, endedAt: now }),
      written: { stdout, stderr: 0 },
      settledAt: now,
    });
    this.#options.ended?.(job);
    this.#tell(job);
  }

  #forget(held: Held, cause: "received" | "removed"): void {
    held.job.forget(cause);
    this.#held.delete(held.job.id);
    this.#bury(held.job, cause);
    if (cause === "removed") this.#tell(held.job);
  }

  #bury(job: Job, cause: Tombstone["cause"]): void {
    const { operator, collect } = job.asker;
    const status = { ...job.status(), removed: true };
    this.#tombstones.set(job.id, { at: this.#options.clock.now(), cause, status, operator, collect });
    if (this.#tombstones.size <= this.#options.settings.maxTombstones) return;
    const [oldest] = this.#tombstones.keys();
    this.#tombstones.delete(oldest!);
  }

  #tell(job: Job): void {
    if (this.#listeners.size === 0) return;
    const status = job.status();
    for (const listener of this.#listeners) listener(status);
  }

  #ended(job: Job, waitMs: number, signal: AbortSignal | undefined): Promise<void> | undefined {
    if (waitMs === 0 || signal?.aborted === true) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    const unwatch = job.watch(() => {
      if (job.ended) done();
    });
    const done = (): void => {
      unwatch();
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const cancel = this.#options.clock.after(waitMs, done);
    signal?.addEventListener("abort", done);
    return promise;
  }
}

function contentOf({ job, run, timeline }: Held, name: StreamName): Content {
  if (name === "timeline")
    return { size: job.timelineBytes, slice: (from, to) => timeline.subarray(from, to) };
  return name === "stdout" && job.written.stdout > 0 ? run.stdout : nothing;
}

function tailOf(held: Held, from: JobReadParams["from"]): Tail {
  const tail: Tail = {};
  for (const name of streamNames) {
    const offset = from[name];
    const content = contentOf(held, name);
    if (offset === undefined || offset >= content.size) continue;
    tail[name] = { offset, bytes: content.slice(offset, content.size) };
  }
  return tail;
}

/** Sends what there is as far as credit goes, the timeline first; then waits for the end, if it follows. */
class MemoryReader {
  readonly #held: Held;
  readonly #params: JobReadParams;
  readonly #sink: ReadSink;
  readonly #signal: AbortSignal;

  constructor(held: Held, params: JobReadParams, sink: ReadSink, signal: AbortSignal) {
    this.#held = held;
    this.#params = params;
    this.#sink = sink;
    this.#signal = signal;
  }

  async run(): Promise<JobReadResult> {
    const { job } = this.#held;
    const { from, follow, window } = this.#params;
    if (follow) await this.#untilEnded();
    this.#signal.throwIfAborted();
    const tail = tailOf(this.#held, from);
    const sizes = Object.values(tail).map((chunk) => chunk?.bytes.byteLength ?? 0);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    if (job.ended && total <= limits.maxInlineOutputBytes && sizes.every((size) => size <= window))
      return { status: job.status(), tail };
    // Each as far as its credit goes: one without credit holds up no other.
    await Promise.all(streamNames.map((name) => this.#send(name)));
    return { status: job.status() };
  }

  async #send(name: StreamName): Promise<void> {
    let at = this.#params.from[name];
    const content = contentOf(this.#held, name);
    if (at === undefined || at >= content.size) return;
    const stream: OutgoingStream = this.#sink.open(name, at);
    const packer = new Packer(this.#params.packed === true);
    try {
      while (at < content.size) {
        const credit = await stream.ready(this.#signal);
        const to: number = Math.min(content.size, at + Math.min(credit, limits.maxChunkBytes));
        packer.send(stream, content.slice(at, to));
        at = to;
      }
      stream.end();
    } catch (error) {
      stream.end(OutpostError.from(error));
      throw error;
    }
  }

  #untilEnded(): Promise<void> | undefined {
    const { job } = this.#held;
    if (job.ended || this.#signal.aborted) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    const unwatch = job.watch(() => {
      if (job.ended) resolve();
    });
    const onAbort = (): void => resolve();
    this.#signal.addEventListener("abort", onAbort);
    return promise.finally(() => {
      unwatch();
      this.#signal.removeEventListener("abort", onAbort);
    });
  }
}

function notFound(id: JobId): OutpostError {
  return new OutpostError(ErrorCode.notFound, `there is no job ${id} on this host`);
}
