import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode, newSessionId, newViewerId, OutpostError, type SessionStatus } from "@outpost/protocol";
import { FakeClock } from "@outpost/protocol/testing";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeSessionHost, openedSession, openSessions } from "../testing/sessions.ts";
import type { Sessions, SessionsEvent } from "./sessions.ts";

let directory: string;
let clock: FakeClock;
let host: FakeSessionHost;
let sessions: Sessions;
let events: SessionsEvent[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "outpost-sessions-"));
  clock = new FakeClock();
  host = new FakeSessionHost(clock);
  events = [];
});

afterEach(async () => {
  await sessions[Symbol.asyncDispose]();
  await clock.advance(0);
  expect(clock.pending).toBe(0);
  rmSync(directory, { recursive: true });
});

function open(): void {
  sessions = openSessions(host.dial, { directory, clock });
  sessions.onEvent((event) => events.push(event));
}

/** The host holds a session, as its directory shows before the session host is asked. */
function hold(more: Partial<SessionStatus> = {}): SessionStatus {
  const status = openedSession(newSessionId(), more);
  mkdirSync(join(directory, "sessions", status.session), { recursive: true });
  host.held.set(status.session, status);
  return status;
}

const spec = { env: {}, columns: 80, rows: 24, record: false, temporary: false, onExit: "end" as const };

test("without sessions nothing is started, and what is asked is answered", async () => {
  open();
  expect(sessions.list()).toEqual([]);
  const session = newSessionId();
  await expect(sessions.connection(session)).rejects.toMatchObject({ code: ErrorCode.notFound });
  const acknowledged = sessions.acknowledge({ session, from: 0, to: 1 });
  await expect(acknowledged).rejects.toMatchObject({ code: ErrorCode.notFound });
  await sessions.remove({ session, operator: "ada" });
  expect(host.dials).toBe(0);
});

test("the first session starts the session host; what is told is known", async () => {
  open();
  const status = await sessions.open({ session: newSessionId(), spec, operator: "ada" });
  expect(host.dials).toBe(1);
  expect(sessions.list()).toEqual([status]);
  host.change({ ...status, availability: "busy" });
  await expect.poll(() => sessions.find([status.session])?.availability).toBe("busy");
  const viewer = newViewerId();
  await sessions.resize({ session: status.session, viewer, columns: 100, rows: 30 });
  await sessions.setRole({ session: status.session, viewer, role: "watch" });
  await sessions.acknowledge({ session: status.session, from: 0, to: 10 });
  expect(await sessions.disconnect({ session: status.session, operator: "ada" })).toMatchObject({
    session: status.session,
  });
  expect(host.calls).toHaveLength(4);
  await sessions.remove({ session: status.session, operator: "ada" });
  await expect.poll(() => sessions.list()).toEqual([]);
  expect(events.map(({ kind }) => kind)).toEqual(["listed", "changed", "changed", "gone"]);
});

test("with sessions there the session host is asked at once, and nothing is said before it has answered", async () => {
  const held = hold();
  open();
  expect(sessions.list()).toBeUndefined();
  await sessions.ready();
  expect(sessions.list()).toEqual([held]);
  expect(events).toEqual([{ kind: "listed" }]);
});

test("a live session is found before one that has ended, and one that has ended before none", async () => {
  const closed = hold({ state: "closed" });
  const live = hold();
  open();
  await sessions.ready();
  expect(sessions.find([closed.session, live.session])).toEqual(live);
  expect(sessions.find([closed.session])).toEqual(closed);
  expect(sessions.find([newSessionId()])).toBeUndefined();
});

test("after a cut it connects again by itself, and knows what the next session host says", async () => {
  const held = hold();
  open();
  await sessions.ready();
  const broken = { ...held, state: "broken" as const };
  host.held.set(held.session, broken);
  host.cut();
  await expect.poll(() => clock.pending).toBeGreaterThan(0);
  await clock.advance(500);
  await expect.poll(() => sessions.list()).toEqual([broken]);
  expect(events).toEqual([{ kind: "listed" }, { kind: "listed" }]);
});

test("without sessions a session host that goes is let go", async () => {
  open();
  const { session } = await sessions.open({ session: newSessionId(), spec, operator: "ada" });
  await sessions.remove({ session, operator: "ada" });
  await expect.poll(() => sessions.list()).toEqual([]);
  host.cut();
  await clock.advance(60_000);
  expect(host.dials).toBe(1);
});

test("a request whose connection is cut says whose it was", async () => {
  host.handlers = { "session.disconnect": () => new Promise(() => {}) };
  open();
  const { session } = await sessions.open({ session: newSessionId(), spec, operator: "ada" });
  const asked = sessions.disconnect({ session, operator: "ada" });
  setImmediate(() => setImmediate(() => host.cut()));
  await expect(asked).rejects.toMatchObject({
    code: ErrorCode.disconnected,
    message: expect.stringContaining("the session host of this host has gone"),
  });
});

test("a session host that does not start is tried again, less and less often, and whoever asks is told why", async () => {
  hold();
  host.refusal = new OutpostError(ErrorCode.startFailed, "it does not start");
  open();
  await expect(sessions.ready()).rejects.toMatchObject({ code: ErrorCode.startFailed });
  await clock.advance(10 * 60_000);
  expect(host.dials).toBeGreaterThan(10);
  expect(host.dials).toBeLessThan(100);
  host.refusal = undefined;
  await clock.advance(30_000);
  await expect.poll(() => sessions.list()?.length).toBe(1);
});

test("a session host that leaves while a session is opened is followed by the next one", async () => {
  open();
  host.handlers = { "session.open": () => new Promise(() => host.cut()) };
  const opening = sessions.open({ session: newSessionId(), spec, operator: "ada" });
  await expect.poll(() => host.dials).toBe(1);
  host.handlers = {};
  expect(await opening).toMatchObject({ state: "opened" });
  expect(host.dials).toBe(2);
});

test("a session host that cuts the connection before it has said hello is dialed again", async () => {
  open();
  host.handlers = { hello: () => new Promise(() => host.cut()) };
  const opening = sessions.open({ session: newSessionId(), spec, operator: "ada" });
  await expect.poll(() => clock.pending).toBe(1);
  host.handlers = {};
  await clock.advance(50);
  expect(await opening).toMatchObject({ state: "opened" });
  expect(host.dials).toBe(2);
});

test("requests at the same time share one connection", async () => {
  open();
  const asked = Array.from({ length: 5 }, () => ({ session: newSessionId(), spec, operator: "ada" }));
  await Promise.all(asked.map((params) => sessions.open(params)));
  expect(host.dials).toBe(1);
  expect(sessions.list()).toHaveLength(5);
});
