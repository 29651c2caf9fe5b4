import {
  agentMethods,
  controllerAgentMethods,
  ErrorCode,
  limits,
  OutpostError,
  type OutgoingStream,
  Peer,
} from "@outpost/protocol";
import { memoryLink, type MemoryLink } from "@outpost/protocol/memory";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { AgentPeer } from "../handlers/context.ts";
import { createHandlers } from "../handlers/handlers.ts";
import { openGate } from "../testing/access.ts";
import { FakeJobs } from "../testing/jobs.ts";
import { FakeSession } from "../testing/session.ts";
import { FakeSessionHost, openedSession, openSessions } from "../testing/sessions.ts";
import type { Sessions } from "./sessions.ts";

const window = limits.minWindowBytes;
const status = openedSession();
let link: MemoryLink;
let agent: AgentPeer;
let controller: FakeSession["peer"];
let host: FakeSessionHost;
let sessions: Sessions;

beforeEach(async () => {
  host = new FakeSessionHost();
  host.held.set(status.session, status);
  sessions = openSessions(host.dial);
  link = memoryLink();
  agent = new Peer(link.sockets[0], {
    local: agentMethods,
    remote: controllerAgentMethods,
    handlers: createHandlers({
      jobs: new FakeJobs(),
      sessions,
      gate: openGate,
      peer: () => agent,
      goodbye: () => {},
      certificateOutdated: () => {},
    }),
  });
  controller = new FakeSession(link.sockets[1]).peer;
  await agent.request("hello", { versions: { min: 1, max: 1 }, software: "test", maxMessageBytes: 2 ** 20 });
});

afterEach(async () => {
  link.cut();
  await Promise.all([agent.closed, controller.closed]);
  await sessions[Symbol.asyncDispose]();
});

async function read(): Promise<string[]> {
  const spec = { env: {}, columns: 80, rows: 24, record: false, temporary: false, onExit: "end" as const };
  await sessions.open({ session: status.session, operator: "ada", spec });
  const seen: string[] = [];
  let skip: (to: number) => void = () => {};
  const params = { session: status.session, what: "output", seen: false, follow: false, window } as const;
  await controller
    .request("session.read", params, {
      onEvent(told) {
        if (told.event === "read.gap") {
          seen.push(`gap ${String(told.params.gap.from)}-${String(told.params.gap.to)}`);
          skip(told.params.gap.to);
          return;
        }
        const { stream, offset } = told.params;
        seen.push(`opened ${String(offset)}`);
        const incoming = controller.acceptStream(
          stream,
          { offset, window },
          {
            chunk(at, bytes) {
              seen.push(`${String(at)}+${String(bytes.byteLength)}`);
              incoming.grant(at + bytes.byteLength + window);
            },
            end: (error) => seen.push(`end ${error?.code ?? ""}`.trim()),
          },
        );
        skip = (to) => {
          incoming.skipTo(to);
          incoming.grant(to + window);
        };
      },
    })
    .then(
      () => seen.push("read"),
      (error: unknown) => seen.push(`error ${(error as OutpostError).code}`),
    );
  return seen;
}

/** The session host sends what `send` does. */
function serve(
  send: (stream: OutgoingStream, gap: (from: number, to: number) => void) => Promise<void>,
): void {
  host.handlers = {
    "session.read": async (params, call) => {
      const stream = host.peer.openStream();
      call.emit("read.opened", { stream: stream.number, offset: 50 });
      stream.begin(50, params.window);
      await send(stream, (from, to) => {
        call.emit("read.gap", { gap: { from, to, reason: "received" } });
        stream.skipTo(to);
      });
      stream.end();
      return { status };
    },
  };
}

test("output comes with its gaps, in order, with the reader's credit", async () => {
  serve(async (stream, gap) => {
    stream.send(Buffer.alloc(window));
    expect(stream.sendable).toBe(0);
    await stream.ready();
    gap(50 + window, 100_000);
    await stream.ready();
    stream.send(Buffer.alloc(10));
  });
  const seen = await read();
  expect(seen[0]).toBe("opened 50");
  expect(seen.slice(-4)).toEqual([`gap ${String(50 + window)}-100000`, "100000+10", "end", "read"]);
});

test("an error of the session host ends the stream and is the answer", async () => {
  serve(async (stream) => {
    stream.send(Buffer.alloc(1));
    throw new OutpostError(ErrorCode.diskFull, "cannot read");
  });
  expect(await read()).toEqual(["opened 50", "50+1", "end disk_full", "error disk_full"]);
});

test("a session host that goes away ends it with disconnected", async () => {
  serve(async (stream) => {
    stream.send(Buffer.alloc(1));
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    host.cut();
    await new Promise(() => {});
  });
  expect((await read()).slice(-2)).toEqual(["end disconnected", "error disconnected"]);
});
