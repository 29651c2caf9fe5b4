import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ErrorCode,
  type Facts,
  type JobStatus,
  limits,
  type MessageSocket,
  newSessionId,
  OutpostError,
  type SessionOpenParams,
} from "@outpost/protocol";
import { memoryLink, type MemoryLink } from "@outpost/protocol/memory";
import { FakeClock } from "@outpost/protocol/testing";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ConnectionState } from "./connection-state.ts";
import { Connection } from "./connection.ts";
import type { AskForCertificate } from "./renewal.ts";
import type { Sessions } from "./sessions/sessions.ts";
import { openGate } from "./testing/access.ts";
import { FakeJobs, runningJob } from "./testing/jobs.ts";
import { FakeSession } from "./testing/session.ts";
import { FakeSessionHost, openedSession, openSessions } from "./testing/sessions.ts";

const facts: Facts = {
  platform: "linux",
  os: "Test OS",
  kernel: "1",
  arch: "x64",
  hostname: "web1.example.com",
  cpus: 2,
  memoryBytes: 1,
  agentVersion: "0",
  bootId: "boot",
};

let clock: FakeClock;
let jobs: FakeJobs;
let sessionHost: FakeSessionHost;
let sessions: Sessions;
let lines: Record<string, unknown>[];
let dials: number;
/** What the next dials do; when there is none left, the controller cannot be reached. */
let answers: (() => MessageSocket | Promise<MessageSocket>)[];
let connection: Connection;
/** Who may ask for a certificate now. */
let asks: AskForCertificate[];
let outdated: number;
/** What the host says of itself now. */
let toldFacts: Facts;
let factListeners: Set<() => void>;

beforeEach(() => {
  clock = new FakeClock();
  jobs = new FakeJobs();
  sessionHost = new FakeSessionHost(clock);
  sessions = openSessions(sessionHost.dial, { clock });
  lines = [];
  dials = 0;
  answers = [];
  asks = [];
  outdated = 0;
  toldFacts = facts;
  factListeners = new Set();
});

afterEach(async () => {
  await connection[Symbol.asyncDispose]();
  expect(connection.state).toEqual({ name: "stopped" });
  await sessions[Symbol.asyncDispose]();
  await clock.advance(0); // the other end closes, too
  expect(clock.pending).toBe(0);
  expect(jobs.listeners).toBe(0);
  expect(factListeners.size).toBe(0);
});

function start(random = 0.5): void {
  const log = pino({ level: "debug" }, { write: (line) => void lines.push(JSON.parse(line) as never) });
  connection = new Connection({
    dial: async () => {
      dials++;
      const answer = answers.shift();
      if (answer === undefined) throw new OutpostError(ErrorCode.controllerUnreachable, "nobody there");
      return answer();
    },
    jobs,
    sessions,
    gate: openGate,
    renewal: {
      connected(ask) {
        asks.push(ask);
        return () => void asks.splice(asks.indexOf(ask), 1);
      },
      outdated: () => void outdated++,
    },
    facts: {
      get current() {
        return toldFacts;
      },
      onChanged(listener) {
        factListeners.add(listener);
        return () => void factListeners.delete(listener);
      },
    },
    clock,
    log,
    random: () => random,
  });
}

interface Accepted {
  readonly session: FakeSession;
  readonly link: MemoryLink;
}

/** The controller will accept one more connection, and refuse its hello when there is a refusal. */
function accept(refusal?: OutpostError): Promise<Accepted> {
  return new Promise((resolve) => {
    answers.push(() => {
      const link = memoryLink();
      const [ours, theirs] = link.sockets;
      resolve({ session: new FakeSession(theirs, refusal, clock), link });
      return ours;
    });
  });
}

function reached<N extends ConnectionState["name"]>(name: N): Promise<ConnectionState & { name: N }> {
  return new Promise((resolve) => {
    const look = (state: ConnectionState): void => {
      if (state.name !== name) return;
      stop();
      resolve(state as ConnectionState & { name: N });
    };
    const stop = connection.onState(look);
    look(connection.state);
  });
}

test("says hello with its facts and reports what it holds", async () => {
  const job = runningJob();
  jobs.held.set(job.job, job);
  const accepted = accept();
  start();
  await connection.connected();
  const { session } = await accepted;
  expect(session.hello).toMatchObject({ facts, versions: { min: 1, max: 3 } });
  expect(await session.inventory).toEqual([job]);
  expect(connection.state).toMatchObject({ name: "connected", controller: { name: "web1" } });
});

/** The facts of this host are others from now on. */
function changeFacts(more: Partial<Facts>): void {
  toldFacts = { ...toldFacts, ...more };
  for (const listener of factListeners) listener();
}

test("tells of facts that change, and says the latest in the hello of the next connection", async () => {
  const first = accept();
  start();
  await connection.connected();
  const { session, link } = await first;
  changeFacts({ custom: { rack: "r12" } });
  await expect.poll(() => session.facts).toEqual([{ ...facts, custom: { rack: "r12" } }]);
  link.cut();
  await reached("waiting");
  changeFacts({ cpus: 4 });
  const second = accept();
  await clock.advance(60_000);
  expect((await second).session.hello?.facts).toEqual({ ...facts, cpus: 4, custom: { rack: "r12" } });
  await connection.connected();
  expect((await second).session.facts).toEqual([]);
});

test("facts that changed while it said hello are told behind it", async () => {
  const accepted = accept();
  start();
  await reached("greeting");
  changeFacts({ cpus: 8 });
  await connection.connected();
  const { session } = await accepted;
  await expect.poll(() => session.facts).toEqual([{ ...facts, cpus: 8 }]);
});

test("a controller of version 2 is not told of facts that change", async () => {
  const accepted = accept();
  start();
  const { session } = await accepted;
  session.version = 2;
  await connection.connected();
  expect(factListeners.size).toBe(0);
  changeFacts({ cpus: 8 });
  const job = runningJob();
  jobs.change(job);
  // Behind it on the same connection: nothing came before.
  await expect.poll(() => session.changes).toEqual([job]);
  expect(session.facts).toEqual([]);
});

test("an empty host sends one empty last page", async () => {
  const accepted = accept();
  start();
  const { session } = await accepted;
  expect(await session.inventory).toEqual([]);
  expect(session.pages).toEqual([[]]);
  await connection.connected();
});

test("a long inventory comes in pages, and never undoes a change that overtook it", async () => {
  const held = Array.from({ length: 1_201 }, () => runningJob());
  for (const status of held) jobs.held.set(status.job, status);
  const ended: JobStatus = { ...held.at(-1)!, state: "completed", exit: { code: 0 } };
  const accepted = accept();
  start();
  await reached("reporting");
  jobs.change(ended);
  const { session } = await accepted;
  const reported = await session.inventory;
  expect(session.pages.map((page) => page.length)).toEqual([500, 500, 201]);
  expect(session.changes).toEqual([ended]);
  expect(reported.at(-1)).toEqual(ended);
  await connection.connected();
});

test("tells of every change while connected, and of none while not", async () => {
  const first = accept();
  start();
  await connection.connected();
  const { session, link } = await first;
  const job = runningJob();
  jobs.change(job);
  await expect.poll(() => session.changes).toEqual([job]);
  link.cut();
  await reached("waiting");
  expect(jobs.listeners).toBe(0);
});

test("tells of the sessions: all of them first, then each change in order", async () => {
  const held = await sessions.open(asked());
  const accepted = accept();
  start();
  await connection.connected();
  const { session } = await accepted;
  expect(session.sessionInventories).toEqual([[held]]);
  const busy = { ...held, availability: "busy" as const };
  sessionHost.change(busy);
  sessionHost.forget(held.session);
  await expect.poll(() => session.sessionChanges).toEqual([busy, { gone: held.session }]);
});

test("as long as the session host was not heard, nothing is said of its sessions", async () => {
  const directory = await mkdtemp(join(tmpdir(), "outpost-connection-"));
  await mkdir(join(directory, "sessions", newSessionId()), { recursive: true });
  const held = openedSession();
  sessionHost.held.set(held.session, held);
  sessionHost.refusal = new OutpostError(ErrorCode.startFailed, "it does not start");
  sessions = openSessions(sessionHost.dial, { directory, clock });
  const accepted = accept();
  start();
  await connection.connected();
  const { session } = await accepted;
  expect(session.sessionInventories).toEqual([]);
  sessionHost.refusal = undefined;
  await clock.advance(500);
  await expect.poll(() => session.sessionInventories).toEqual([[held]]);
  await rm(directory, { recursive: true });
});

function asked(): SessionOpenParams {
  const spec = { env: {}, columns: 80, rows: 24, record: false, temporary: false, onExit: "end" as const };
  return { session: newSessionId(), operator: "ada", spec };
}

test("after a cut it is back within half a second and reports again", async () => {
  const first = accept();
  start();
  await connection.connected();
  const { link } = await first;
  await clock.advance(20_000);
  link.cut();
  const { delayMs, error } = await reached("waiting");
  expect(error.code).toBe(ErrorCode.disconnected);
  expect(delayMs).toBe(250);
  const job = runningJob();
  jobs.held.set(job.job, job);
  const second = accept();
  await clock.advance(delayMs - 1);
  expect(dials).toBe(1);
  await clock.advance(1);
  await connection.connected();
  expect(await (await second).session.inventory).toEqual([job]);
});

test("while the controller is away the waits grow to 30 s, and shrink after a good connection", async () => {
  start(0.999);
  const delays: number[] = [];
  for (let i = 0; i < 9; i++) {
    const { delayMs } = await reached("waiting");
    delays.push(delayMs);
    await clock.advance(delayMs);
  }
  expect(delays).toEqual([500, 999, 1998, 3996, 7992, 15984, 29970, 29970, 29970]);
  const accepted = accept();
  await clock.advance(30_000);
  await connection.connected();
  await clock.advance(15_000);
  (await accepted).link.cut();
  expect((await reached("waiting")).delayMs).toBe(500);
});

test("a controller that drops every connection at once is not dialed faster and faster", async () => {
  const delays: number[] = [];
  for (let i = 0; i < 4; i++) {
    const accepted = accept();
    if (i === 0) start();
    else await clock.advance(delays.at(-1)!);
    await connection.connected();
    (await accepted).link.cut();
    delays.push((await reached("waiting")).delayMs);
  }
  expect(delays).toEqual([250, 500, 1000, 2000]);
});

test("goodbye: the connection ends, and the next attempt waits as long as was asked", async () => {
  const accepted = accept();
  start();
  await connection.connected();
  const { session } = await accepted;
  session.peer.notify("goodbye", { reason: "restarting", retryAfterMs: 8_000 });
  await session.peer.close("restarting");
  const { delayMs } = await reached("waiting");
  expect(delayMs).toBe(10_000); // asked for 8 s, spread over half as much again
});

test("a busy controller's Retry-After is kept", async () => {
  answers.push(() => {
    throw new OutpostError(ErrorCode.busy, "too many", { data: { retryAfterMs: 60_000 } });
  });
  start(0);
  expect((await reached("waiting")).delayMs).toBe(60_000);
});

test.each([ErrorCode.denied, ErrorCode.versionMismatch])(
  "%s is tried again slowly, and said as an error",
  async (code) => {
    void accept(new OutpostError(code, "not you"));
    start();
    const { delayMs, error } = await reached("waiting");
    expect(error).toMatchObject({ code, message: expect.stringMatching(/^not you/) });
    expect(delayMs).toBe(60_000);
    expect(lines.at(-1)).toMatchObject({
      level: 50,
      msg: expect.stringMatching(/^not connected, trying again in 60.0 s: not you/),
      code,
    });
  },
);

test("an error that nobody foresaw is logged and tried again", async () => {
  answers.push(() => {
    throw new TypeError("x is not a function");
  });
  start();
  expect((await reached("waiting")).error.code).toBe(ErrorCode.internal);
  expect(lines.some(({ msg }) => msg === "an error that the connection does not know")).toBe(true);
  const accepted = accept();
  await clock.advance(500);
  await connection.connected();
  await accepted;
});

test("a controller that never answers hello is given up", async () => {
  answers.push(() => memoryLink().sockets[0]);
  start();
  await reached("greeting");
  await clock.advance(limits.helloTimeoutMs);
  expect((await reached("waiting")).error.code).toBe(ErrorCode.timeout);
});

test("a controller that goes silent is given up and dialed again", async () => {
  const first = accept();
  start();
  await connection.connected();
  const { link } = await first;
  // The cable is pulled: nothing arrives, nothing is closed.
  link.sockets[1].send = () => {};
  const waiting = reached("waiting");
  await clock.advance(limits.heartbeatTimeoutMs + 5_000);
  expect((await waiting).error.message).toBe("the other side went silent");
});

test("a controller that refuses us: what to do", async () => {
  void accept(new OutpostError(ErrorCode.denied, "this host was removed"));
  start();
  expect((await reached("waiting")).error.message).toMatch(
    /this host was removed.*outpost-agent join --force/,
  );
});

test("certificates are renewed over the connection that is there, and an outdated one is told on", async () => {
  const accepted = accept();
  start();
  await connection.connected();
  const { session, link } = await accepted;
  await expect.poll(() => asks.length).toBe(1);
  session.renew = ({ request }) =>
    Promise.resolve({ certificate: `for ${request}`, authority: "a", operators: "o" });
  expect(await asks[0]!("our key")).toMatchObject({ certificate: "for our key" });
  session.peer.notify("certificate.outdated", {});
  await expect.poll(() => outdated).toBe(1);
  link.cut();
  await reached("waiting");
  expect(asks).toEqual([]);
});

test("an older controller is not asked for certificates", async () => {
  const accepted = accept();
  start();
  (await accepted).session.version = 1;
  await connection.connected();
  expect(asks).toEqual([]);
});

test("it says that it leaves", async () => {
  const accepted = accept();
  start();
  await connection.connected();
  const { session } = await accepted;
  await connection[Symbol.asyncDispose]();
  expect((await session.peer.closed).message).toBe("the agent stops");
  await expect(connection.connected()).rejects.toMatchObject({ code: ErrorCode.cancelled });
});

test("it stops at once while it waits, and while it dials", async () => {
  start();
  await reached("waiting");
  await connection[Symbol.asyncDispose]();
  const waiting = dials;
  await clock.advance(100_000);
  expect(dials).toBe(waiting);
});

test("each state is one line", async () => {
  const accepted = accept();
  start();
  await connection.connected();
  (await accepted).link.cut();
  await reached("waiting");
  await connection[Symbol.asyncDispose]();
  expect(lines.map(({ state }) => state)).toEqual([
    "dialing",
    "greeting",
    "reporting",
    "connected",
    "waiting",
    "stopped",
  ]);
  expect(lines.map(({ msg }) => msg)).toContain("connected as web1");
});
