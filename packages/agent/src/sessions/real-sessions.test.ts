/** The agent with its session host as it is: real processes, a real shell on a real terminal, and a controller of a few lines. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { listAuditLog, type Signer } from "@outpost/access";
import {
  type IncomingStream,
  type JobId,
  type JobStartParams,
  type JobStartResult,
  limits,
  newJobId,
  newSessionId,
  newViewerId,
  type OutgoingStream,
  type SessionId,
  type SessionStatus,
} from "@outpost/protocol";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Agent } from "../agent.ts";
import { join } from "../cli/join.ts";
import { agentPaths, type AgentPaths } from "../directory.ts";
import { lockHolder } from "../lock.ts";
import { hostPlatform } from "../platform/index.ts";
import { signing } from "../testing/access.ts";
import { FakeController } from "../testing/controller.ts";
import { isAlive } from "../testing/job-store.ts";
import type { FakeSession } from "../testing/session.ts";

const platform = hostPlatform();
let controller: FakeController;
let paths: AgentPaths;
let agent: Agent;
let peer: FakeSession["peer"];
let told: FakeSession;
let ada: Signer;

beforeEach(async () => {
  controller = await FakeController.start();
  ada = (await controller.operators.add("ada")).signer;
  paths = agentPaths(mkdtempSync(joinPath(tmpdir(), "outpost-real-sessions-")));
  const said = vi.spyOn(console, "log").mockImplementation(() => {});
  const token = controller.token();
  await join({ url: controller.url, token, name: "web1", label: [], dir: paths.directory, force: false });
  said.mockRestore();
  await startAgent();
});

afterEach(async () => {
  const { sessions } = await peer.request("session.list", {});
  for (const { session } of sessions) await peer.request("session.remove", { session, operator: "ada" });
  await agent[Symbol.asyncDispose]();
  await controller[Symbol.asyncDispose]();
  const host = lockHolder(paths.sessionHostLock, platform);
  if (host !== undefined) process.kill(host.pid, "SIGTERM");
  await expect.poll(() => lockHolder(paths.sessionHostLock, platform), { timeout: 5_000 }).toBeUndefined();
  rmSync(paths.directory, { recursive: true, force: true });
});

async function startAgent(): Promise<void> {
  agent = await Agent.start({ directory: paths.directory, log: pino({ level: "silent" }) });
  await agent.connection.connected();
  told = await controller.session();
  await told.inventory;
  peer = signing(told.peer, ada);
}

async function restartAgent(): Promise<void> {
  await agent[Symbol.asyncDispose]();
  await startAgent();
}

async function open(shell = "/bin/bash"): Promise<SessionStatus> {
  const { status } = await peer.request("session.open", {
    session: newSessionId(),
    operator: "ada",
    spec: {
      shell,
      // What the start-up files of whoever runs the tests do is not tested here.
      env: { HISTFILE: "/dev/null", HOME: paths.directory },
      columns: 80,
      rows: 24,
      record: false,
      temporary: false,
      onExit: "end",
    },
  });
  return status;
}

function run(session: SessionId, text: string, more: Partial<JobStartParams> = {}): Promise<JobStartResult> {
  return peer.request("job.start", {
    job: newJobId(),
    spec: {
      command: { kind: "shell", text },
      env: {},
      input: { kind: "none" },
      session: { ids: [session], busy: "wait" },
    },
    operator: "ada",
    expiresAt: Date.now() + 60_000,
    inlineWaitMs: 10_000,
    ...more,
  });
}

const stdoutOf = ({ tail }: JobStartResult): string => Buffer.from(tail?.stdout?.bytes ?? []).toString();

async function stateOf(job: JobId): Promise<string | undefined> {
  return (await peer.request("job.status", { jobs: [job] })).jobs[0]?.state;
}

/** Attaches as a terminal does that reads everything. */
async function attach(session: SessionId) {
  const input = peer.openStream();
  const ready = Promise.withResolvers<OutgoingStream>();
  const seen = { text: "", ended: undefined as string | undefined };
  const leaving = new AbortController();
  void peer
    .request(
      "session.attach",
      {
        session,
        viewer: newViewerId(),
        operator: "ada",
        role: "control",
        takeOver: false,
        columns: 100,
        rows: 30,
        repaint: true,
        window: limits.defaultWindowBytes,
        input: input.number,
      },
      {
        signal: leaving.signal,
        onEvent({ event, params }) {
          if (event === "attach.repaint") seen.text += Buffer.from(params.bytes).toString();
          if (event === "input.ready") {
            input.begin(params.offset, params.window);
            ready.resolve(input);
          }
          if (event !== "attach.opened") return;
          const { stream, offset } = params;
          const incoming: IncomingStream = peer.acceptStream(
            stream,
            { offset, window: limits.defaultWindowBytes },
            {
              chunk(at, bytes) {
                seen.text += Buffer.from(bytes).toString();
                incoming.grant(at + bytes.byteLength + limits.defaultWindowBytes);
              },
              end: () => {},
            },
          );
        },
      },
    )
    .then(
      ({ reason }) => (seen.ended = reason),
      (error: unknown) => {
        ready.reject(error);
        seen.ended = (error as Error).message;
      },
    );
  const keys = await ready.promise;
  return { seen, leave: () => leaving.abort(), type: (text: string) => keys.send(Buffer.from(text)) };
}

test("open, attach, type, leave, read, remove", async () => {
  const status = await open();
  expect(status).toMatchObject({ state: "disconnected", availability: "available", integration: "bash" });
  await expect.poll(() => told.sessionChanges).not.toEqual([]);
  const { session } = status;
  const terminal = await attach(session);
  terminal.type("echo $((6 * 7)); stty size\r");
  await expect.poll(() => terminal.seen.text).toContain("42\r\n30 100\r\n");
  terminal.leave();
  await expect.poll(() => terminal.seen.ended).toBe("the request was cancelled");
  await run(session, "true");
  let output = "";
  await peer.request(
    "session.read",
    { session, what: "output", seen: true, from: 0, follow: false, window: limits.defaultWindowBytes },
    {
      onEvent({ event, params }) {
        if (event !== "read.opened") return;
        peer.acceptStream(
          params.stream,
          { offset: params.offset, window: limits.defaultWindowBytes },
          {
            chunk: (_, bytes) => void (output += Buffer.from(bytes).toString()),
            end: () => {},
          },
        );
      },
    },
  );
  expect(output).toContain("42\r\n30 100\r\n");
  await peer.request("session.remove", { session, operator: "ada" });
  expect((await peer.request("session.list", {})).sessions).toEqual([]);
  await expect.poll(() => told.sessionChanges.at(-1)).toEqual({ gone: session });
  const { entries } = await listAuditLog(paths.audit, { subject: session });
  const [opened, attached, left, asked, received, removed, ended] = entries;
  expect(
    [opened, attached, asked, removed].map((entry) => [entry?.action, entry?.what, entry?.decision]),
  ).toEqual([
    ["session.open", "/bin/bash", "allowed"],
    ["session.control", "attach", "allowed"],
    ["session.watch", "read the output", "allowed"],
    ["session.remove", undefined, "allowed"],
  ]);
  expect(left).toMatchObject({ kind: "outcome", of: attached?.sequence, outcome: "cancelled" });
  expect(left?.bytes).toBeGreaterThan(0);
  expect(received).toMatchObject({ outcome: "ok", of: asked?.sequence, bytes: output.length });
  expect(ended).toMatchObject({
    kind: "outcome",
    action: "session.open",
    of: opened?.sequence,
    outcome: "removed",
  });
});

test.each(["/bin/bash", "/bin/sh"])(
  "%s: jobs share the shell's state, and have their own output and exit",
  async (shell) => {
    const { session } = await open(shell);
    const first = await run(session, 'cd /usr; v=kept; f() { echo "f $1"; }; echo err >&2; (exit 3)');
    expect(first.status).toMatchObject({ state: "failed", exit: { code: 3 } });
    expect(Buffer.from(first.tail!.stderr!.bytes).toString()).toBe("err\n");
    expect(stdoutOf(await run(session, "pwd; echo $v; f x"))).toBe("/usr\nkept\nf x\n");
    const input = { kind: "inline", bytes: Buffer.from("in\n") } as const;
    const spec = { command: { kind: "exec" as const, argv: ["cat"] }, env: {}, input };
    const read = await run(session, "", { spec: { ...spec, session: { ids: [session], busy: "wait" } } });
    expect(stdoutOf(read)).toBe("in\n");
  },
);

test("a job in a session is adopted by the next agent, and the session is the same", async () => {
  const { session } = await open();
  await run(session, "v=kept");
  const gate = joinPath(paths.directory, "gate");
  const job = newJobId();
  const text = `echo begun; until [ -e '${gate}' ]; do sleep 0.05; done; echo $v`;
  await run(session, text, { job, inlineWaitMs: 0 });
  const waiting = newJobId();
  await run(session, "echo second", { job: waiting, inlineWaitMs: 0 });
  await expect.poll(() => stateOf(job)).toBe("running");
  await restartAgent();
  await expect.poll(() => told.sessionInventories.at(-1)?.map((held) => held.session)).toEqual([session]);
  expect(await stateOf(job)).toBe("running");
  expect(await stateOf(waiting)).toBe("pending");
  await run(session, "true", { inlineWaitMs: 0, ...other(`touch '${gate}'`) });
  await expect.poll(() => stateOf(waiting), { timeout: 10_000 }).toBe("completed");
  expect(await stateOf(job)).toBe("completed");
  expect(readFileSync(joinPath(paths.jobs, job, "stdout"), "utf8")).toBe("begun\nkept\n");
});

/** A job of its own. */
function other(text: string): Pick<JobStartParams, "spec"> {
  return { spec: { command: { kind: "shell", text }, env: {}, input: { kind: "none" } } };
}

test("a job that ended while no agent was there is settled by the next one", async () => {
  const { session } = await open();
  const job = newJobId();
  await run(session, "sleep 0.3; echo done; (exit 6)", { job, inlineWaitMs: 0 });
  await expect.poll(() => stateOf(job)).toBe("running");
  await agent[Symbol.asyncDispose]();
  const exit = joinPath(paths.jobs, job, "exit");
  await expect.poll(() => readFileSync(exit, "utf8"), { timeout: 5_000 }).toContain("\n");
  await startAgent();
  const { jobs } = await peer.request("job.status", { jobs: [job] });
  expect(jobs[0]).toMatchObject({ state: "failed", exit: { code: 6 } });
});

test("stopping a job interrupts it, and the shell lives on", async () => {
  const { session } = await open();
  await run(session, "v=kept");
  const job = newJobId();
  await run(session, "echo begun; sleep 60; echo never", { job, inlineWaitMs: 0 });
  await expect.poll(() => readFileSync(joinPath(paths.jobs, job, "stdout"), "utf8")).toBe("begun\n");
  await peer.request("job.stop", { job, operator: "ada" });
  await expect.poll(() => stateOf(job), { timeout: 10_000 }).toBe("stopped");
  expect(stdoutOf(await run(session, "echo $v"))).toBe("kept\n");
  expect(readFileSync(joinPath(paths.jobs, job, "stdout"), "utf8")).toBe("begun\n");
});

test("streamed input reaches a command in the session", async () => {
  const { session } = await open();
  const job = newJobId();
  const spec = {
    command: { kind: "shell" as const, text: "wc -c" },
    env: {},
    input: { kind: "stream" as const },
    session: { ids: [session], busy: "wait" as const },
  };
  await run(session, "", { job, spec, inlineWaitMs: 0 });
  const stream = peer.openStream();
  const bytes = Buffer.alloc(300_000, "x");
  const { size } = await peer.request(
    "job.input",
    { job, stream: stream.number },
    {
      onEvent({ params }) {
        stream.begin(params.offset, params.window);
        void (async () => {
          while (stream.offset < bytes.byteLength) {
            const free = await stream.ready();
            stream.send(bytes.subarray(stream.offset, Math.min(bytes.byteLength, stream.offset + free)));
          }
          stream.end();
        })();
      },
    },
  );
  expect(size).toBe(300_000);
  await expect.poll(() => stateOf(job), { timeout: 10_000 }).toBe("completed");
  expect(readFileSync(joinPath(paths.jobs, job, "stdout"), "utf8").trim()).toBe("300000");
});

test("a session host that is killed leaves broken sessions and lost jobs, which are told", async () => {
  const { session } = await open();
  const job = newJobId();
  await run(session, "echo begun; sleep 60", { job, inlineWaitMs: 0 });
  await expect.poll(() => stateOf(job)).toBe("running");
  const host = lockHolder(paths.sessionHostLock, platform)!;
  process.kill(host.pid, "SIGKILL");
  await expect.poll(() => isAlive(host.pid)).toBe(false);
  await expect
    .poll(() => told.sessionInventories.at(-1)?.map(({ state }) => state), { timeout: 10_000 })
    .toEqual(["broken"]);
  await expect.poll(() => stateOf(job), { timeout: 10_000 }).toBe("lost");
  await expect(run(session, "true")).rejects.toMatchObject({ code: "conflict" });
});
