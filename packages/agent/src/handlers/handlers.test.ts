import {
  agentMethods,
  controllerAgentMethods,
  ErrorCode,
  type IncomingStream,
  type JobStatus,
  limits,
  newJobId,
  OutpostError,
  Peer,
} from "@outpost/protocol";
import { memoryLink, type MemoryLink } from "@outpost/protocol/memory";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openGate } from "../testing/access.ts";
import { FakeJobs, FakeSpool, runningJob } from "../testing/jobs.ts";
import { FakeSession } from "../testing/session.ts";
import { FakeSessionHost, openSessions } from "../testing/sessions.ts";
import type { AgentPeer } from "./context.ts";
import { createHandlers } from "./handlers.ts";

let jobs: FakeJobs;
let link: MemoryLink;
let agent: AgentPeer;
let controller: FakeSession["peer"];
let goodbyes: unknown[];

beforeEach(async () => {
  jobs = new FakeJobs();
  goodbyes = [];
  link = memoryLink();
  agent = new Peer(link.sockets[0], {
    local: agentMethods,
    remote: controllerAgentMethods,
    handlers: createHandlers({
      jobs,
      sessions: openSessions(new FakeSessionHost().dial),
      gate: openGate,
      peer: () => agent,
      goodbye: (params) => void goodbyes.push(params),
      certificateOutdated: () => void goodbyes.push("certificate"),
    }),
  });
  controller = new FakeSession(link.sockets[1]).peer;
  await agent.request("hello", { versions: { min: 1, max: 1 }, software: "test", maxMessageBytes: 2 ** 20 });
});

afterEach(async () => {
  link.cut();
  await Promise.all([agent.closed, controller.closed]);
});

const job = newJobId();

test("start, status, acknowledge, stop, remove and goodbye reach the job store", async () => {
  const spec = {
    command: { kind: "exec" as const, argv: ["true"] },
    env: {},
    input: { kind: "none" as const },
  };
  const asked = { job, spec, operator: "ada", expiresAt: 1, inlineWaitMs: 0 };
  expect(await controller.request("job.start", asked)).toEqual({ status: runningJob(job) });
  expect(jobs.calls).toEqual([{ ...asked, request: 1 }]);
  expect(await controller.request("job.status", { jobs: [job, newJobId()] })).toEqual({
    jobs: [runningJob(job)],
  });
  await controller.request("job.acknowledge", { job, received: { stdout: 3 } });
  expect(jobs.calls.at(-1)).toEqual({ job, received: { stdout: 3 } });
  const { status } = await controller.request("job.stop", { job, operator: "ada" });
  expect(status.state).toBe("stopped");
  await controller.request("job.remove", { job });
  expect(jobs.held.size).toBe(0);
  controller.notify("goodbye", { reason: "restart", retryAfterMs: 5 });
  await expect.poll(() => goodbyes).toEqual([{ reason: "restart", retryAfterMs: 5 }]);
  controller.notify("certificate.outdated", {});
  await expect.poll(() => goodbyes.at(-1)).toBe("certificate");
});

/** Reads a job as a controller does, and notes the order of what comes. */
async function read(onStream?: (stream: IncomingStream) => void, signal?: AbortSignal) {
  const log: string[] = [];
  const answer = controller.request(
    "job.read",
    { job, from: { stdout: 0 }, follow: true, window: 16 * 1024 },
    {
      ...(signal === undefined ? {} : { signal }),
      onEvent({ event, params }) {
        if (event === "read.gap") {
          log.push(`gap ${params.name} ${String(params.gap.from)}-${String(params.gap.to)}`);
          return;
        }
        log.push(`opened ${params.name} at ${String(params.offset)}`);
        const stream = controller.acceptStream(
          params.stream,
          { offset: params.offset, window: 16 * 1024 },
          {
            chunk: (offset, bytes) => log.push(`chunk ${String(offset)} ${Buffer.from(bytes).toString()}`),
            end: (error) => log.push(`end ${error?.code ?? ""}`.trim()),
          },
        );
        onStream?.(stream);
      },
    },
  );
  const outcome = await answer.then(
    ({ status }) => status.state,
    (error: unknown) => (error as OutpostError).code,
  );
  return [...log, outcome];
}

const completed: JobStatus = { ...runningJob(job), state: "completed", exit: { code: 0 } };

test("a read opens its streams, sends chunks, ends them, and only then answers", async () => {
  jobs.reader = async (params, sink, signal) => {
    sink.gap("stdout", { from: 0, to: 10, reason: "received" });
    const stream = sink.open("stdout", 10);
    await stream.ready(signal);
    expect(stream.sendable).toBe(params.window);
    stream.send(Buffer.from("hello"));
    stream.end();
    return { status: completed };
  };
  expect(await read()).toEqual([
    "gap stdout 0-10",
    "opened stdout at 10",
    "chunk 10 hello",
    "end",
    "completed",
  ]);
});

test("a read that fails ends its streams with the error", async () => {
  jobs.reader = async (_params, sink) => {
    sink.open("stdout", 0);
    throw new OutpostError(ErrorCode.diskFull, "cannot read");
  };
  expect(await read()).toEqual(["opened stdout at 0", "end disk_full", "disk_full"]);
});

test("a read that is cancelled stops waiting for credit", async () => {
  const stopped = Promise.withResolvers<void>();
  jobs.reader = async (params, sink, signal) => {
    const stream = sink.open("stdout", 0);
    await stream.ready(signal);
    stream.send(Buffer.alloc(params.window));
    await stream.ready(signal).finally(() => stopped.resolve());
    return { status: completed };
  };
  const cancel = new AbortController();
  const outcome = await read(() => setImmediate(() => cancel.abort()), cancel.signal);
  expect(outcome.at(-1)).toBe("cancelled");
  await stopped.promise;
});

/** Sends `text` as a job's input, from where the host is. */
async function send(text: string, finish: (stream: ReturnType<typeof controller.openStream>) => void) {
  const stream = controller.openStream();
  const bytes = Buffer.from(text);
  return controller.request(
    "job.input",
    { job, stream: stream.number },
    {
      onEvent({ params: { offset, window } }) {
        stream.begin(offset, window);
        void (async () => {
          while (stream.offset < bytes.byteLength) {
            const free = await stream.ready();
            stream.send(bytes.subarray(stream.offset, Math.min(bytes.byteLength, stream.offset + free)));
          }
          finish(stream);
        })().catch(() => {});
      },
    },
  );
}

test("input is stored piece by piece, and answered when all of it is", async () => {
  const text = "line\n".repeat(200_000); // four windows
  expect(await send(text, (stream) => stream.end())).toEqual({ size: text.length });
  const spool = jobs.spools.get(job)!;
  expect(spool.ended).toBe(true);
  expect(spool.text).toBe(text);
});

test("no more than one window is taken before it is written", async () => {
  const spool = new FakeSpool();
  const disk = Promise.withResolvers<void>();
  spool.store = () => disk.promise;
  jobs.spools.set(job, spool);
  const arrived: number[] = [];
  const write = spool.write.bind(spool);
  spool.write = (offset, bytes) => {
    arrived.push(offset + bytes.byteLength);
    return write(offset, bytes);
  };
  const answer = send("x".repeat(1_000_000), (stream) => stream.end());
  await expect.poll(() => arrived.length).toBe(1);
  await controller.request("ping" as never, {} as never); // behind everything that was sent before
  expect(arrived).toEqual([limits.defaultWindowBytes]);
  disk.resolve();
  expect(await answer).toEqual({ size: 1_000_000 });
});

test("input goes on from what is stored", async () => {
  const spool = new FakeSpool();
  spool.pieces.push(Buffer.from("hello "));
  spool.size = 6;
  jobs.spools.set(job, spool);
  expect(await send("hello world", (stream) => stream.end())).toEqual({ size: 11 });
  expect(spool.text).toBe("hello world");
});

test("input that its sender cannot complete is failed; a cut only interrupts it", async () => {
  const broken = new OutpostError(ErrorCode.disconnected, "the terminal went away");
  await expect(send("half", (stream) => stream.end(broken))).rejects.toMatchObject({
    code: ErrorCode.disconnected,
  });
  expect(jobs.spools.get(job)!.failed).toMatchObject({ message: "the terminal went away" });

  jobs.spools.clear();
  await expect(send("half", () => link.cut())).rejects.toMatchObject({ code: ErrorCode.disconnected });
  await agent.closed;
  const spool = jobs.spools.get(job)!;
  expect(spool.failed).toBeUndefined();
  expect(spool.ended).toBe(false);
});

test("a disk that is full is the answer", async () => {
  const spool = new FakeSpool();
  spool.store = () => Promise.reject(new OutpostError(ErrorCode.diskFull, "no space"));
  jobs.spools.set(job, spool);
  await expect(send("text", () => {})).rejects.toMatchObject({ code: ErrorCode.diskFull });
});
