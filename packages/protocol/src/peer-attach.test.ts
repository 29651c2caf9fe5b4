/** `Peer` as sessions use it: one request that is open for long, with a stream each way, taken back by either side. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { OutpostError } from "./errors.ts";
import { newSessionId, newViewerId } from "./ids.ts";
import { minWindowBytes } from "./limits.ts";
import { memoryLink, type MemoryLink } from "./memory.ts";
import type { SessionAttachResult, SessionStatus } from "./messages/session.ts";
import { type MethodMap, sessionMethods } from "./methods.ts";
import { Peer } from "./peer.ts";
import type { IncomingStream, OutgoingStream } from "./stream.ts";

const methods = {
  "session.attach": sessionMethods["session.attach"],
} as const satisfies MethodMap;
const none = {} as const satisfies MethodMap;

const status: SessionStatus = {
  session: newSessionId(),
  operator: "ann",
  state: "opened",
  availability: "available",
  shell: "/bin/sh",
  integration: "sh",
  createdAt: 1,
  activeAt: 1,
  idleTimeoutMs: 1,
  buffering: "spill",
  temporary: false,
  recorded: false,
  columns: 80,
  rows: 24,
  viewers: [],
  runs: [],
  output: { written: 0, unread: 0 },
};

/** What the host's side of an attach has. */
interface Held {
  readonly output: OutgoingStream;
  readonly keys: string[];
  readonly keyEnds: (string | undefined)[];
  readonly signal: AbortSignal;
  leave(result: SessionAttachResult): void;
}

let link: MemoryLink;
let host: Peer<typeof methods, typeof none>;
let viewer: Peer<typeof none, typeof methods>;
let held: Held[];
let faults: unknown[];

beforeEach(() => {
  link = memoryLink();
  held = [];
  faults = [];
  const fault = (error: unknown): void => void faults.push(error);
  host = new Peer(link.sockets[1], {
    local: methods,
    remote: none,
    fault,
    handlers: {
      "session.attach": async (params, call) => {
        const output = host.openStream();
        const [keys, keyEnds] = [[] as string[], [] as (string | undefined)[]];
        call.emit("attach.opened", { stream: output.number, offset: 100, role: params.role, status });
        output.begin(100, params.window);
        const input: IncomingStream = host.acceptStream(
          params.input,
          { offset: 7, window: 16 },
          {
            chunk: (_offset, bytes) => {
              keys.push(Buffer.from(bytes).toString());
              input.grant(input.offset + 16);
            },
            end: (error) => void keyEnds.push(error?.code),
          },
        );
        call.emit("input.ready", { offset: 7, window: 16 });
        const { promise, resolve, reject } = Promise.withResolvers<SessionAttachResult>();
        call.signal.addEventListener("abort", () => reject(call.signal.reason as Error));
        held.push({ output, keys, keyEnds, signal: call.signal, leave: resolve });
        try {
          const result = await promise;
          output.end();
          return result;
        } finally {
          output.end(OutpostError.from(call.signal.reason));
          input.ignore();
        }
      },
    },
  });
  viewer = new Peer(link.sockets[0], { local: none, remote: methods, handlers: {}, fault });
});

afterEach(async () => {
  link.cut();
  await Promise.all([host.closed, viewer.closed]);
});

function attach() {
  const abort = new AbortController();
  const input = viewer.openStream();
  const log: string[] = [];
  const outcome = viewer
    .request(
      "session.attach",
      {
        session: status.session,
        viewer: newViewerId(),
        operator: "ann",
        role: "control",
        takeOver: false,
        columns: 80,
        rows: 24,
        repaint: false,
        window: minWindowBytes,
        input: input.number,
      },
      {
        signal: abort.signal,
        onEvent({ event, params }) {
          log.push(event);
          if (event === "input.ready") input.begin(params.offset, params.window);
          if (event !== "attach.opened") return;
          viewer.acceptStream(
            params.stream,
            { offset: params.offset, window: minWindowBytes },
            {
              chunk: (offset, bytes) => log.push(`${String(offset)} ${Buffer.from(bytes).toString()}`),
              end: (error) => log.push(`end ${error?.code ?? ""}`.trim()),
            },
          );
        },
      },
    )
    .then(
      ({ reason }) => void log.push(reason),
      (error: unknown) => void log.push((error as OutpostError).code),
    )
    // Whatever the outcome: the caller's own stream is the caller's to end.
    .finally(() => input.end());
  return { input, log, outcome, cancel: () => abort.abort() };
}

const settled = () => new Promise<void>((resolve) => setTimeout(resolve, 5));

async function attached() {
  const one = attach();
  await expect.poll(() => one.log).toEqual(["attach.opened", "input.ready"]);
  return { ...one, held: held.at(-1)! };
}

describe("an attach", () => {
  test("carries both ways at once, each from its own offset and within its own credit", async () => {
    const one = await attached();
    expect([one.input.offset, one.input.sendable]).toEqual([7, 16]);
    one.input.send(Buffer.from("ls\r"));
    one.held.output.send(Buffer.from("ls"));
    await expect.poll(() => one.held.keys).toEqual(["ls\r"]);
    await expect.poll(() => one.log.at(-1)).toBe("100 ls");
    expect(one.input.sendable).toBe(16);
  });

  test("ends with the answer: output, its end, then the reason; the viewer's stream ends after it", async () => {
    const one = await attached();
    one.held.output.send(Buffer.from("bye"));
    one.held.leave({ reason: "ended", status });
    await one.outcome;
    expect(one.log.slice(2)).toEqual(["100 bye", "end", "ended"]);
    // Keys that were on their way are nothing to anybody any more.
    await settled();
    expect([host.isOpen, viewer.isOpen, faults]).toEqual([true, true, []]);
  });

  test("taken back by the viewer: the host hears it, ends its stream, and drops what was still typed", async () => {
    const one = await attached();
    one.input.send(Buffer.from("x"));
    one.cancel();
    one.input.end();
    await one.outcome;
    expect(one.log.at(-1)).toBe("cancelled");
    await expect.poll(() => one.log.at(-1)).toBe("end cancelled");
    expect(one.held.signal.aborted).toBe(true);
    expect(one.held.keys).toEqual(["x"]);
    expect(() => one.held.output.send(new Uint8Array(1))).toThrow();
    expect(faults).toEqual([]);
  });

  test("taken back before the host has looked at it", async () => {
    const one = attach();
    one.cancel();
    await one.outcome;
    await settled();
    // Its events are nobody's any more, and so are the chunks of the stream that they announced.
    expect(one.log).toEqual(["cancelled"]);
    expect(held[0]!.signal.aborted).toBe(true);
    expect([host.isOpen, viewer.isOpen, faults]).toEqual([true, true, []]);
  });

  test("a cut ends the request and all streams on both sides, each once", async () => {
    const one = await attached();
    link.cut();
    await one.outcome;
    expect(one.log.slice(2)).toEqual(["end disconnected", "disconnected"]);
    await expect.poll(() => one.held.signal.aborted).toBe(true);
    expect(one.held.keyEnds).toEqual(["disconnected"]);
    expect(() => one.input.send(Buffer.from("x"))).toThrow();
  });

  test("nothing of ended attaches stays on the connection, however many there were", async () => {
    // The limit is 10,000 streams that are open; one leaked at each attach would break the connection at the 10,001st.
    for (let round = 0; round < 10_500; round += 500) {
      const many = Array.from({ length: 500 }, attach);
      await expect.poll(() => held.length).toBe(round + 500);
      for (const [index, each] of held.slice(round).entries()) {
        if (index % 2 === 0) each.leave({ reason: "left", status });
        else many[index]!.cancel();
      }
      await Promise.all(many.map(({ outcome }) => outcome));
    }
    await settled();
    const last = await attached();
    last.input.send(Buffer.from("x"));
    await expect.poll(() => last.held.keys).toEqual(["x"]);
    expect([host.isOpen, viewer.isOpen, faults]).toEqual([true, true, []]);
  });
});
