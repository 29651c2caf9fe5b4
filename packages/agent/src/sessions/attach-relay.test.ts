import {
  agentMethods,
  type AttachOpened,
  type Call,
  controllerAgentMethods,
  ErrorCode,
  type IncomingStream,
  limits,
  newSessionId,
  newViewerId,
  OutpostError,
  type OutgoingStream,
  Peer,
  type SessionAttachParams,
  type sessionHostMethods,
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

/** The session that is attached to, seen from the session host. */
interface Attached {
  readonly params: SessionAttachParams;
  readonly call: Call<typeof sessionHostMethods, "session.attach">;
  readonly output: OutgoingStream;
  readonly keys: IncomingStream;
  typed: string;
  typedEnd: OutpostError | "end" | undefined;
  answer(reason: "ended" | "left"): void;
}

const window = limits.minWindowBytes;
let link: MemoryLink;
let agent: AgentPeer;
let controller: FakeSession["peer"];
let host: FakeSessionHost;
let sessions: Sessions;
const status = openedSession();

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

/** The next attach is answered like a shell's that begins at `offset`, and has taken `taken` bytes of input. */
async function serve(offset = 100, taken = 7): Promise<{ attached: Promise<Attached> }> {
  const { promise, resolve } = Promise.withResolvers<Attached>();
  host.handlers = {
    ...host.handlers,
    "session.attach": (params, call) =>
      new Promise((answer, refuse) => {
        call.signal.addEventListener("abort", () => refuse(OutpostError.from(call.signal.reason)));
        const output = host.peer.openStream();
        call.emit("attach.opened", { stream: output.number, offset, role: params.role, status });
        output.begin(offset, params.window);
        const start = { offset: taken, window };
        const keys = host.peer.acceptStream(params.input, start, {
          chunk: (_, bytes) => void (attached.typed += Buffer.from(bytes).toString()),
          end: (error) => void (attached.typedEnd = error ?? "end"),
        });
        const attached: Attached = {
          params,
          call,
          output,
          keys,
          typed: "",
          typedEnd: undefined,
          answer: (reason) => answer({ reason, status }),
        };
        call.emit("input.ready", start);
        resolve(attached);
      }),
  };
  await sessions.open({ session: status.session, operator: "ada", spec });
  return { attached: promise };
}

const spec = { env: {}, columns: 80, rows: 24, record: false, temporary: false, onExit: "end" as const };

/** Attaches as a controller does, and notes the order of what comes. */
function attach(signal?: AbortSignal, autoCredit = true) {
  const seen: string[] = [];
  const input = controller.openStream();
  let opened: AttachOpened | undefined;
  let stream: IncomingStream | undefined;
  const params = {
    session: status.session,
    viewer: newViewerId(),
    operator: "ada",
    role: "control" as const,
    takeOver: false,
    columns: 80,
    rows: 24,
    repaint: true,
    window,
    input: input.number,
  };
  const outcome = controller
    .request("session.attach", params, {
      ...(signal === undefined ? {} : { signal }),
      onEvent(told) {
        switch (told.event) {
          case "attach.opened":
            opened = told.params;
            seen.push(`opened ${String(opened.offset)} ${opened.role}`);
            stream = controller.acceptStream(
              opened.stream,
              { offset: opened.offset, window },
              {
                chunk(offset, bytes) {
                  seen.push(`${String(offset)} ${Buffer.from(bytes).toString()}`);
                  if (autoCredit) stream!.grant(offset + bytes.byteLength + window);
                },
                end: (error) => seen.push(`end ${error?.code ?? ""}`.trim()),
              },
            );
            break;
          case "input.ready":
            input.begin(told.params.offset, told.params.window);
            seen.push(`input ${String(told.params.offset)}`);
            break;
          case "attach.gap":
            seen.push(`gap ${String(told.params.gap.from)}-${String(told.params.gap.to)}`);
            stream!.skipTo(told.params.gap.to);
            stream!.grant(stream!.offset + window);
            break;
          case "attach.repaint":
            seen.push(`repaint ${String(told.params.offset)} ${Buffer.from(told.params.bytes).toString()}`);
            break;
          case "attach.changed":
            seen.push(`changed ${told.params.role} ${told.params.by ?? ""}`.trim());
            break;
          default:
            told satisfies never;
        }
      },
    })
    .then(
      ({ reason }) => seen.push(reason),
      (error: unknown) => seen.push(`error ${(error as OutpostError).code}`),
    );
  return {
    seen,
    input,
    outcome,
    get stream() {
      return stream;
    },
  };
}

test("output, events and keystrokes go through in order, and the answer is last", async () => {
  const { attached } = await serve();
  const viewer = attach();
  const shell = await attached;
  shell.output.send(Buffer.from("abc"));
  shell.call.emit("attach.repaint", { offset: 103, columns: 80, rows: 24, bytes: Buffer.from("screen") });
  shell.output.send(Buffer.from("def"));
  shell.call.emit("attach.changed", { role: "watch", columns: 80, rows: 24, by: "bob" });
  shell.call.emit("attach.gap", { gap: { from: 106, to: 200, reason: "lagging" } });
  shell.output.skipTo(200);
  await expect.poll(() => viewer.seen).toHaveLength(7);
  viewer.input.send(Buffer.from("ls\n"));
  await expect.poll(() => shell.typed).toBe("ls\n");
  await shell.output.ready();
  shell.output.send(Buffer.from("ghi"));
  shell.output.end();
  shell.answer("ended");
  await viewer.outcome;
  expect(viewer.seen).toEqual([
    "opened 100 control",
    "input 7",
    "100 abc",
    "repaint 103 screen",
    "103 def",
    "changed watch bob",
    "gap 106-200",
    "200 ghi",
    "end",
    "ended",
  ]);
  await expect.poll(() => shell.typedEnd).toBe("end");
});

test("what the caller asked is what the session host is asked, but for the input's number", async () => {
  const { attached } = await serve();
  const first = controller.openStream();
  first.end();
  attach();
  const { params } = await attached;
  expect(params).toMatchObject({
    session: status.session,
    operator: "ada",
    role: "control",
    window,
    repaint: true,
  });
});

test("a viewer that does not read holds one window and no more; its credit is the session host's", async () => {
  const { attached } = await serve();
  const viewer = attach(undefined, false);
  const shell = await attached;
  shell.output.send(Buffer.alloc(window, "x"));
  expect(shell.output.sendable).toBe(0);
  await expect.poll(() => viewer.seen.length).toBeGreaterThan(2);
  expect(shell.output.sendable).toBe(0);
  viewer.stream!.grant(100 + window + 5);
  await expect.poll(() => shell.output.sendable).toBe(5);
});

test("keystrokes go as far as the shell takes them", async () => {
  const { attached } = await serve();
  const viewer = attach();
  const shell = await attached;
  await expect.poll(() => viewer.input.sendable).toBe(window);
  viewer.input.send(Buffer.alloc(window, "k"));
  await expect.poll(() => shell.typed.length).toBe(window);
  expect(viewer.input.sendable).toBe(0);
  shell.keys.grant(7 + window + 3);
  await expect.poll(() => viewer.input.sendable).toBe(3);
});

test("a viewer that leaves is told to the session host, whose session goes on", async () => {
  const { attached } = await serve();
  const leaving = new AbortController();
  const viewer = attach(leaving.signal);
  const shell = await attached;
  leaving.abort();
  await viewer.outcome;
  expect(viewer.seen.at(-1)).toBe("error cancelled");
  await expect.poll(() => shell.call.signal.aborted).toBe(true);
  await expect.poll(() => shell.typedEnd).toBe("end");
  expect(sessions.list()).toHaveLength(1);
});

test("a controller that goes away is told to the session host", async () => {
  const { attached } = await serve();
  attach();
  const shell = await attached;
  link.cut();
  await expect.poll(() => shell.call.signal.aborted).toBe(true);
});

test("a session host that goes away ends the attach with disconnected", async () => {
  const { attached } = await serve();
  const viewer = attach();
  await attached;
  await expect.poll(() => viewer.seen).toHaveLength(2);
  host.cut();
  await viewer.outcome;
  expect(viewer.seen.slice(2)).toEqual(["end disconnected", "error disconnected"]);
});

test("the session host's refusal is the answer", async () => {
  await serve();
  host.handlers = {};
  host.cut();
  await expect.poll(() => sessions.find([status.session])).toBeDefined();
  host.handlers = {
    "session.attach": () => {
      throw new OutpostError(ErrorCode.busy, "bob controls it", { data: { by: "bob" } });
    },
  };
  await sessions.open({ session: newSessionId(), operator: "ada", spec });
  const viewer = attach();
  await viewer.outcome;
  expect(viewer.seen).toEqual(["error busy"]);
});
