/** The local socket, with a real store behind it and real processes as jobs. */
import { lstatSync, statSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname, join } from "node:path";
import {
  type ConfigurationName,
  agentLocalClientMethods,
  agentLocalMethods,
  ErrorCode,
  type JobId,
  type JobSpec,
  newJobId,
  newSessionId,
  OutpostError,
  Peer,
  supportedVersions,
  systemClock,
  type UserName,
} from "@outpost/protocol";
import { dialUnixSocket } from "@outpost/protocol/unix-socket";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Gate } from "../access/gate.ts";
import { agentPaths, type AgentPaths } from "../directory.ts";
import { FakeAudit, openGate, recordingGate } from "../testing/access.ts";
import { openStore, type Store, temporaryDirectory, until } from "../testing/job-store.ts";
import { AgentClient, type LocalAgent } from "./agent-client.ts";
import { AgentReport } from "./agent-report.ts";
import { LocalServer } from "./local-server.ts";
import { Receive } from "./receive.ts";

let store: Store;
let paths: AgentPaths;
let server: LocalServer;
const clients: AgentClient[] = [];
const neverAborted = new AbortController().signal;
const user = userInfo().username;

function listen(gate: Pick<Gate, "admitLocally"> = openGate): Promise<LocalServer> {
  return LocalServer.listen({
    paths,
    jobs: store.jobs,
    gate,
    hostName: "web1",
    clock: systemClock,
    log: pino({ level: "silent" }),
    status: () => new AgentReport(systemClock).status,
  });
}

function connect(more: Partial<ConstructorParameters<typeof AgentClient>[0]> = {}): AgentClient {
  const client = new AgentClient({ paths, signal: neverAborted, ...more });
  clients.push(client);
  return client;
}

beforeEach(async () => {
  const directory = temporaryDirectory();
  paths = agentPaths(directory);
  // Its disposal removes the agent's directory, too.
  store = await openStore({ directory });
  server = await listen();
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client[Symbol.asyncDispose]()));
  await server[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
});

const shell = (text: string): JobSpec => ({
  command: { kind: "shell", text },
  env: {},
  input: { kind: "none" },
});

async function start(client: AgentClient, text: string, more: { name?: string; inlineWaitMs?: number } = {}) {
  const { name, inlineWaitMs = 0 } = more;
  const named = name === undefined ? {} : { name };
  return client.ask((agent) =>
    agent.request("job.start", { job: newJobId(), spec: shell(text), ...named, inlineWaitMs }),
  );
}

interface Received {
  readonly stdout: string;
  readonly stderr: string;
  readonly state: string;
}

async function receive(
  client: AgentClient,
  job: JobId,
  { keep = false, follow = true } = {},
): Promise<Received> {
  const pieces: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
  const { jobs } = await client.ask((agent) => agent.request("job.status", { jobs: [job] }));
  const { stdout, stderr } = jobs[0]!.output;
  const receiving = new Receive({
    client,
    job,
    from: { stdout: stdout.received, stderr: stderr.received },
    follow,
    acknowledging: !keep,
    taker: {
      write: async (name, bytes) => void pieces[name].push(Buffer.from(bytes)),
      gap: async (name, gap) => void pieces[name].push(Buffer.from(`<${gap.reason}>`)),
    },
    signal: neverAborted,
  });
  const { state } = await receiving.run();
  if (!keep) await receiving.acknowledge();
  const text = (name: "stdout" | "stderr"): string => Buffer.concat(pieces[name]).toString();
  return { stdout: text("stdout"), stderr: text("stderr"), state };
}

test("only its user may come in; it says who it is", async () => {
  expect(statSync(dirname(paths.localSocket)).mode & 0o777).toBe(0o700);
  expect(lstatSync(paths.localSocket).mode & 0o777).toBe(0o600);
  const socket = await dialUnixSocket(paths.localSocket);
  const agent: LocalAgent = new Peer(socket, {
    local: agentLocalClientMethods,
    remote: agentLocalMethods,
    handlers: {},
  });
  const hello = { software: "test", maxMessageBytes: 2 ** 20 };
  expect(await agent.request("hello", { ...hello, versions: supportedVersions })).toMatchObject({
    name: "web1",
    version: supportedVersions.max,
    software: expect.stringMatching(/^outpost-agent \d/),
  });
  await agent.close("done");
});

test("a program of another protocol is told which versions there are, and goes", async () => {
  const socket = await dialUnixSocket(paths.localSocket);
  const agent: LocalAgent = new Peer(socket, {
    local: agentLocalClientMethods,
    remote: agentLocalMethods,
    handlers: {},
  });
  const versions = { min: 90, max: 91 };
  await expect(
    agent.request("hello", { versions, software: "outpost-agent 9", maxMessageBytes: 2 ** 20 }),
  ).rejects.toMatchObject({
    code: ErrorCode.versionMismatch,
    message: expect.stringMatching(
      /^outpost-agent 9 and the agent that runs \(outpost-agent \d.*\) share no/,
    ),
  });
  await agent.closed;
});

test("a job that is started here has the user as origin, whatever the program says", async () => {
  const client = connect();
  const { status } = await start(client, "echo hello", { name: "greeting", inlineWaitMs: 10_000 });
  expect(status).toMatchObject({
    state: "completed",
    origin: { user, name: "greeting", command: "echo hello", acceptedAt: expect.any(Number) },
  });
  const { status: running } = await start(client, "exec sleep 600");
  await client.ask((agent) => agent.request("job.stop", { job: running.job, operator: "somebody else" }));
  await until(() => store.jobs.status([running.job])[0]?.state === "stopped");
  expect(store.jobs.status([running.job])[0]?.reason).toMatchObject({ by: `${user}@web1` });
});

test("a start that is asked for twice is one job", async () => {
  const client = connect();
  const asked = { job: newJobId(), spec: shell("echo once"), inlineWaitMs: 10_000 };
  const twice = [asked, asked].map((params) => client.ask((agent) => agent.request("job.start", params)));
  const [first, second] = await Promise.all(twice);
  expect(second?.status).toEqual(first?.status);
  expect(store.jobs.list()).toHaveLength(1);
});

test("what is done here is recorded with who did it, before it is done", async () => {
  const audit = new FakeAudit();
  await server[Symbol.asyncDispose]();
  server = await listen(recordingGate(audit));
  const client = connect();
  const { status } = await start(client, "echo hi", { inlineWaitMs: 10_000 });
  const { job } = status;
  await client.ask((agent) => agent.request("job.remove", { job }));
  const operator = `${user}@web1`;
  expect(audit.entries).toMatchObject([
    {
      kind: "request",
      action: "invoke",
      operator,
      subject: job,
      what: "echo hi",
      decision: "allowed",
      rule: "local",
    },
    { kind: "request", action: "job.remove", operator, subject: job },
  ]);
  audit.check = () => {
    throw new OutpostError(ErrorCode.diskFull, "the disk is full");
  };
  await expect(start(client, "true")).rejects.toMatchObject({ code: ErrorCode.diskFull });
  expect(store.jobs.list()).toEqual([]);
});

test("a job in a session is not started here", async () => {
  const spec = { ...shell("true"), session: { ids: [newSessionId()], busy: "wait" as const } };
  await expect(
    connect().ask((agent) => agent.request("job.start", { job: newJobId(), spec, inlineWaitMs: 0 })),
  ).rejects.toMatchObject({ code: ErrorCode.invalidArgument, message: expect.stringContaining("--session") });
});

test("configurations and users are not asked for here", async () => {
  for (const asked of [{ configuration: "deploy" as ConfigurationName }, { user: "root" as UserName }]) {
    const spec = { ...shell("true"), ...asked };
    await expect(
      connect().ask((agent) => agent.request("job.start", { job: newJobId(), spec, inlineWaitMs: 0 })),
    ).rejects.toMatchObject({
      code: ErrorCode.invalidArgument,
      message: expect.stringContaining("for operators"),
    });
  }
  expect(store.jobs.list()).toEqual([]);
});

test("the list comes in pages, in the order of the ids", async () => {
  const client = connect();
  await Promise.all([1, 2, 3].map(() => start(client, "true", { inlineWaitMs: 10_000 })));
  const { jobs, last } = await client.ask((agent) => agent.request("job.list", {}));
  expect(last).toBe(true);
  const ids = jobs.map(({ job }) => job);
  expect(ids).toEqual(ids.toSorted());
  expect(ids).toHaveLength(3);
  const rest = await client.ask((agent) => agent.request("job.list", { after: ids[0]! }));
  expect(rest.jobs.map(({ job }) => job)).toEqual(ids.slice(1));
});

test("output is received byte for byte at the taker's pace, both streams, once; then the job is gone", async () => {
  const client = connect();
  const { status } = await start(client, "seq 1 300000; seq 1 1000 >&2; exit 3");
  const { stdout, stderr, state } = await receive(client, status.job);
  const lines = (count: number): string =>
    Array.from({ length: count }, (_, i) => `${String(i + 1)}\n`).join("");
  expect(stdout === lines(300_000)).toBe(true);
  expect(stderr).toBe(lines(1_000));
  expect(state).toBe("failed");
  expect(store.jobs.list()).toEqual([]);
});

test("several receive at once: what one has acknowledged another gets no more, unless kept", async () => {
  const [mine, other] = [connect(), connect()];
  const { status } = await start(mine, "echo one; exec sleep 600");
  await until(() => store.jobs.status([status.job])[0]!.output.stdout.written === 4);
  expect(await receive(mine, status.job, { keep: true, follow: false })).toMatchObject({ stdout: "one\n" });
  expect(await receive(other, status.job, { follow: false })).toMatchObject({
    stdout: "one\n",
    state: "running",
  });
  expect(await receive(mine, status.job, { follow: false })).toMatchObject({ stdout: "" });
  // As an operator's receive does it, through the controller.
  await store.jobs.stop({ job: status.job, operator: "ada", graceMs: 0 });
  await until(() => store.jobs.status([status.job])[0]!.state === "stopped");
  await store.jobs.acknowledge({ job: status.job, received: { stdout: 4, stderr: 0 } });
  expect(await receive(mine, status.job)).toEqual({ stdout: "", stderr: "", state: "stopped" });
});

test("a receive goes on over a restart of the agent, and doubles nothing", async () => {
  const waits: string[] = [];
  const client = connect({ waiting: (message) => void waits.push(message) });
  const gate = join(paths.directory, "gate");
  const text = `echo before; while [ ! -e ${gate} ]; do sleep 0.02; done; echo after`;
  const { status } = await start(client, text);
  let taken = "";
  const receiving = new Receive({
    client,
    job: status.job,
    from: { stdout: 0, stderr: 0 },
    follow: true,
    acknowledging: true,
    taker: {
      write: async (_name, bytes) => void (taken += Buffer.from(bytes).toString()),
      gap: async () => {},
    },
    signal: neverAborted,
  });
  const done = receiving.run();
  await until(() => taken === "before\n");
  await server[Symbol.asyncDispose]();
  await store.reopen();
  await until(() => waits.length > 0);
  server = await listen();
  writeFileSync(gate, "");
  expect(await done).toMatchObject({ state: "completed" });
  expect(taken).toBe("before\nafter\n");
  expect(waits).toHaveLength(1);
});

test("a taker that fails ends the receive with its error, and what it did not take is there again", async () => {
  const client = connect();
  const { status } = await start(client, "echo one; echo two", { inlineWaitMs: 10_000 });
  const broken = Object.assign(new Error("write EPIPE"), { code: "EPIPE" });
  const receiving = new Receive({
    client,
    job: status.job,
    from: { stdout: 0, stderr: 0 },
    follow: true,
    acknowledging: true,
    taker: { write: () => Promise.reject(broken), gap: async () => {} },
    signal: neverAborted,
  });
  await expect(receiving.run()).rejects.toBe(broken);
  expect(await receive(client, status.job)).toMatchObject({ stdout: "one\ntwo\n" });
});

test("without an agent: which directory, and what to do", async () => {
  await server[Symbol.asyncDispose]();
  const ask = (client: AgentClient) => client.ask((agent) => agent.request("job.list", {}));
  await expect(ask(connect())).rejects.toMatchObject({
    code: ErrorCode.notFound,
    message: expect.stringContaining(`there is no agent in ${paths.directory}: this host has not joined`),
  });
  writeFileSync(paths.config, "{}");
  await expect(ask(connect())).rejects.toMatchObject({
    code: ErrorCode.notFound,
    message: expect.stringContaining(`start it with \`outpost-agent start --dir ${paths.directory}\``),
  });
});

test("an agent that does not come back is given up", async () => {
  const client = connect({ absenceMs: 200 });
  await client.ask((agent) => agent.request("job.list", {}));
  const waiting = client.ask((agent) =>
    agent.request("job.read", { job: newJobId(), from: {}, follow: true, window: 0 }).catch(async () => {
      await server[Symbol.asyncDispose]();
      return agent.request("job.list", {});
    }),
  );
  await expect(waiting).rejects.toMatchObject({
    code: ErrorCode.disconnected,
    message: expect.stringContaining("jobs go on"),
  });
});

test("when the agent leaves, programs are told and the socket goes", async () => {
  const client = connect();
  let closed: string | undefined;
  await client.ask(async (agent) => {
    void agent.closed.then(({ message }) => (closed = message));
    await agent.request("job.list", {});
  });
  expect(server.programs).toBe(1);
  await server[Symbol.asyncDispose]();
  await until(() => closed !== undefined);
  expect(closed).toBe("the agent stops");
  expect(lstatSync(paths.localSocket, { throwIfNoEntry: false })).toBeUndefined();
  expect(server.programs).toBe(0);
});
