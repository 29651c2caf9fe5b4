/** What the tests of this folder share: a store in a directory of its own, real processes, readers with credit. */
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Command,
  type Gap,
  type JobId,
  type JobReadParams,
  type JobReadResult,
  type JobSpec,
  type JobStartParams,
  type JobStartResult,
  type JobStatus,
  limits,
  newJobId,
  OutgoingStream,
  type OutpostError,
  type StreamName,
  systemClock,
} from "@outpost/protocol";
import { pino } from "pino";
import { hostPlatform } from "../platform/index.ts";
import type { SessionShells } from "../jobs/session-shells.ts";
import { defaultJobSettings, Jobs, type JobSettings, type ReadSink } from "../jobs/index.ts";

export interface Store extends AsyncDisposable {
  readonly directory: string;
  readonly jobs: Jobs;
  /** Where a job's files are. */
  path(job: JobId, file?: string): string;
  /** Disposes of the jobs' object as it stands, and opens another one on the same directory. */
  reopen(): Promise<Jobs>;
}

export interface StoreOptions {
  readonly settings?: Partial<JobSettings>;
  readonly directory?: string;
  readonly sessions?: SessionShells;
}

/** A store whose jobs are stopped, and whose directory goes, when it is disposed of. */
export async function openStore(options: StoreOptions = {}): Promise<Store> {
  const directory = options.directory ?? temporaryDirectory();
  const open = (): Promise<Jobs> => openJobs(directory, options.settings, options.sessions);
  let jobs = await open();
  return {
    directory,
    get jobs() {
      return jobs;
    },
    path: (job, file = "") => join(directory, job, file),
    async reopen() {
      await jobs[Symbol.asyncDispose]();
      return (jobs = await open());
    },
    async [Symbol.asyncDispose]() {
      for (const { job, state } of jobs.list()) {
        if (isLive(state)) await jobs.stop({ job, operator: "the test", graceMs: 0 });
      }
      await until(() => jobs.list().every(({ state }) => !isLive(state)));
      await jobs[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const isLive = (state: JobStatus["state"]): boolean => state === "pending" || state === "running";

export function temporaryDirectory(): string {
  return mkdtempSync(join(realpathSync(tmpdir()), "outpost-jobs-"));
}

export function openJobs(
  directory: string,
  settings: Partial<JobSettings> = {},
  sessions?: SessionShells,
): Promise<Jobs> {
  return Jobs.open({
    directory,
    hostName: "web1",
    settings: { ...defaultJobSettings, minFreeBytes: 0, ...settings },
    clock: systemClock,
    log: pino({ level: "silent" }),
    ...(sessions === undefined ? {} : { sessions }),
  });
}

export interface StartOptions extends Partial<Omit<JobSpec, "command">> {
  readonly job?: JobId;
  /** Default 10,000: most tests want the end. */
  readonly inlineWaitMs?: number;
  readonly expiresAt?: number;
}

export function request(command: Command, options: StartOptions = {}): JobStartParams {
  const { job = newJobId(), inlineWaitMs = 10_000, expiresAt = Date.now() + 60_000, ...spec } = options;
  return {
    job,
    operator: "ada",
    expiresAt,
    inlineWaitMs,
    spec: { env: {}, input: { kind: "none" }, ...spec, command },
  };
}

export function shell(jobs: Jobs, text: string, options: StartOptions = {}): Promise<JobStartResult> {
  return jobs.start(request({ kind: "shell", text }, options));
}

export function exec(jobs: Jobs, argv: string[], options: StartOptions = {}): Promise<JobStartResult> {
  return jobs.start(request({ kind: "exec", argv }, options));
}

/** Starts a job that goes on, and says its id. */
export async function background(jobs: Jobs, text: string, options: StartOptions = {}): Promise<JobId> {
  const { status } = await shell(jobs, text, { inlineWaitMs: 0, ...options });
  return status.job;
}

export function statusOf(jobs: Jobs, job: JobId): JobStatus {
  const [status] = jobs.status([job]);
  if (status === undefined) throw new Error(`no job ${job}`);
  return status;
}

/** Waits for a condition by looking often. Fails after ten seconds. */
export async function until(condition: () => boolean, what = "a condition"): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited too long for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
}

export async function untilEnded(jobs: Jobs, job: JobId): Promise<JobStatus> {
  await until(() => !["pending", "running"].includes(statusOf(jobs, job).state), `the end of ${job}`);
  return statusOf(jobs, job);
}

export interface Reading {
  readonly result: Promise<JobReadResult>;
  readonly events: ReadEvent[];
  readonly streams: Map<StreamName, OutgoingStream>;
  /** What came on a stream and in the tail. */
  bytes(name: StreamName): Buffer;
}

export type ReadEvent =
  | { readonly type: "open"; readonly name: StreamName; readonly offset: number }
  | { readonly type: "chunk"; readonly name: StreamName; readonly offset: number; readonly bytes: Buffer }
  | { readonly type: "gap"; readonly name: StreamName; readonly gap: Gap }
  | { readonly type: "end"; readonly name: StreamName; readonly error: OutpostError | undefined };

export interface ReadOptions extends Partial<JobReadParams> {
  readonly signal?: AbortSignal;
  /** Streams that are never given credit beyond their window. */
  readonly starved?: readonly StreamName[];
}

/** Reads a job as a handler would. Credit is granted as chunks come, but for the streams that are starved. */
export function readJob(jobs: Jobs, job: JobId, options: ReadOptions = {}): Reading {
  const { signal = new AbortController().signal, starved = [], ...rest } = options;
  const params = {
    job,
    from: { stdout: 0, stderr: 0 },
    follow: true,
    window: limits.defaultWindowBytes,
    ...rest,
  };
  const events: ReadEvent[] = [];
  const streams = new Map<StreamName, OutgoingStream>();
  let number = 0;
  const sink: ReadSink = {
    open(name, offset) {
      const stream: OutgoingStream = new OutgoingStream(++number, {
        sendChunk(_, at, bytes) {
          events.push({ type: "chunk", name, offset: at, bytes: Buffer.from(bytes) });
          const upTo = at + bytes.byteLength + params.window;
          if (!starved.includes(name)) setImmediate(() => stream.credited(upTo));
        },
        sendCredit: () => {},
        sendEnd: (_, error) => void events.push({ type: "end", name, error }),
        writable: () => Promise.resolve(),
      });
      streams.set(name, stream);
      events.push({ type: "open", name, offset });
      stream.begin(offset, params.window);
      return stream;
    },
    gap: (name, gap) => void events.push({ type: "gap", name, gap }),
  };
  let tail: JobReadResult["tail"];
  const result = jobs.read(params, sink, signal).then((value) => {
    tail = value.tail;
    return value;
  });
  result.catch(() => {});
  return {
    result,
    events,
    streams,
    bytes(name) {
      const chunks = events.flatMap((event) =>
        event.type === "chunk" && event.name === name ? [event.bytes] : [],
      );
      return Buffer.concat([...chunks, tail?.[name]?.bytes ?? Buffer.alloc(0)]);
    },
  };
}

/** The whole output of an ended job. */
export async function outputOf(jobs: Jobs, job: JobId): Promise<{ stdout: string; stderr: string }> {
  const reading = readJob(jobs, job);
  await reading.result;
  return { stdout: reading.bytes("stdout").toString(), stderr: reading.bytes("stderr").toString() };
}

/** Whether a process is there and has not ended. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // A zombie answers too.
  return hostPlatform().startTime(pid) !== undefined;
}
