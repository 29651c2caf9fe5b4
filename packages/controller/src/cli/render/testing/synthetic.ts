/** Jobs that never ran: the events of an answer, made from a seed. The same seed makes the same events. */
import type { HostName, JobId } from "@outpost/protocol";
import { summarise } from "../../../client/summary.ts";
import type { ExitEvent, JobEvent } from "../../../client/index.ts";

export interface SyntheticAnswer {
  readonly stdout?: string | Uint8Array;
  readonly stderr?: string | Uint8Array;
  /** How it ended; a number is an exit code. Default 0. */
  readonly end?: number | "timed out" | "unreachable" | "running" | "silent";
}

export interface SyntheticJob {
  readonly seed: number;
  readonly hosts: readonly string[];
  readonly answer: (host: string, index: number) => SyntheticAnswer;
  /** Default 1000. */
  readonly maxChunkBytes?: number;
  /** False: it is not over yet. Default true. */
  readonly summary?: boolean;
}

export const syntheticJobId = "0123456789ab" as JobId;

/** `web001` to `web1000`, as many digits as the last one has. */
export function names(prefix: string, count: number): string[] {
  const digits = String(count).length;
  return Array.from({ length: count }, (_, at) => `${prefix}${String(at + 1).padStart(digits, "0")}`);
}

/** Numbers from 0 to 1 (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Plan, starts, output and exits of all hosts, at random among each other, and the summary. */
export function* syntheticEvents(job: SyntheticJob): Generator<JobEvent, void, void> {
  const random = randomFrom(job.seed);
  const hosts = job.hosts as readonly HostName[];
  yield { type: "plan", job: syntheticJobId, hosts: hosts.map((host) => ({ host, state: "connected" })) };
  const open = hosts.map((host, at) =>
    eventsOf(host, job.answer(host, at), random, job.maxChunkBytes ?? 1000),
  );
  const exits: ExitEvent[] = [];
  while (open.length > 0) {
    const at = Math.floor(random() * open.length);
    const { done, value } = open[at]!.next();
    if (done === true) {
      open[at] = open.at(-1)!;
      open.pop();
      continue;
    }
    if (value.type === "exit") exits.push(value);
    yield value;
  }
  if (job.summary !== false) yield summarise(syntheticJobId, exits);
}

function* eventsOf(
  host: HostName,
  { stdout = "", stderr = "", end = 0 }: SyntheticAnswer,
  random: () => number,
  maxChunkBytes: number,
): Generator<JobEvent, void, void> {
  const about = { job: syntheticJobId, host };
  if (end === "silent") return;
  if (end !== "unreachable") yield { type: "start", ...about, time: 0 };
  const left = { stdout: Buffer.from(stdout), stderr: Buffer.from(stderr) };
  const offsets = { stdout: 0, stderr: 0 };
  while (left.stdout.byteLength + left.stderr.byteLength > 0) {
    const stream =
      left.stderr.byteLength === 0 || (left.stdout.byteLength > 0 && random() < 0.5) ? "stdout" : "stderr";
    const bytes = left[stream].subarray(0, 1 + Math.floor(random() * maxChunkBytes));
    left[stream] = left[stream].subarray(bytes.byteLength);
    yield { type: "out", ...about, stream, offset: offsets[stream], bytes };
    offsets[stream] += bytes.byteLength;
  }
  const exit = exitOf(end);
  if (exit !== undefined) yield { type: "exit", ...about, ...exit };
}

function exitOf(
  end: NonNullable<SyntheticAnswer["end"]>,
): Omit<ExitEvent, "type" | "job" | "host"> | undefined {
  switch (end) {
    case "silent":
    case "running":
      return undefined;
    case "timed out":
      return { ended: true, state: "failed", reason: { code: "timed_out", message: "it ran too long" } };
    case "unreachable": {
      const message = "has no connection to the controller (last seen never); nothing ran there";
      return { ended: true, state: "failed", reason: { code: "host_unreachable", message } };
    }
    default:
      return end === 0
        ? { ended: true, state: "completed", exit: { code: 0 } }
        : { ended: true, state: "failed", exit: { code: end } };
  }
}
