import { type ChildProcess, execFile, spawn } from "node:child_process";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { newHostId } from "@outpost/protocol";
import { dialUnixSocket } from "@outpost/protocol/unix-socket";
import { afterEach, expect, test } from "vitest";
import { type AgentPaths, agentPaths } from "../directory.ts";
import { hostPlatform } from "../platform/index.ts";
import { temporaryAgentDirectory, TestAgent, TestViewer } from "../testing/session-host.ts";

const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const main = join(import.meta.dirname, "main.ts");

function agentDirectory(): AgentPaths {
  const paths = agentPaths(temporaryAgentDirectory());
  const config = { controller: "wss://controller.test:8443", host: newHostId(), name: "web1" };
  writeFileSync(paths.config, JSON.stringify(config));
  cleanups.push(() => rmSync(paths.directory, { recursive: true, force: true }));
  return paths;
}

interface Running {
  readonly child: ChildProcess;
  readonly exit: Promise<number | null>;
  readonly log: Promise<string>;
  kill(signal: NodeJS.Signals): Promise<number | null>;
}

function run(directory: string): Running {
  const args = ["--conditions=source", main, directory];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  const exit = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  const log = text(child.stderr);
  const kill = async (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal);
    return exit;
  };
  cleanups.push(async () => void (await kill("SIGKILL")));
  return { child, exit, log, kill };
}

async function connect(paths: AgentPaths): Promise<TestAgent> {
  let agent: TestAgent | undefined;
  await expect
    .poll(
      async () => {
        const socket = await dialUnixSocket(paths.sessionHostSocket);
        agent = await TestAgent.greet(socket, () => socket.abort());
        return true;
      },
      { timeout: 10_000 },
    )
    .toBe(true);
  cleanups.push(() => agent!.cut());
  return agent!;
}

test("as a process of its own: serves over its socket, outlives its agent, and killed leaves output behind", async () => {
  const paths = agentDirectory();
  const first = run(paths.directory);
  const agent = await connect(paths);
  const { session } = await agent.open({ shell: "/bin/bash", record: true });
  const viewer = await new TestViewer(session, { silent: true }).attach(agent);
  viewer.type("v=kept; echo agent-$OUTPOST_AGENT_DIR; cat\r");
  await expect.poll(() => viewer.text).toContain(`agent-${paths.directory}\r\n`);
  first.child.kill("SIGHUP");
  agent.cut();
  await viewer.result!.catch(() => {});

  const later = await connect(paths);
  await viewer.attach(later);
  viewer.type("typed to cat\r");
  await expect.poll(() => viewer.text).toContain("typed to cat\r\ntyped to cat\r\n");
  viewer.type("\x03");
  await expect.poll(async () => (await later.status(session))?.availability).toBe("available");
  viewer.type("echo is-$v; sh -c 'echo pid=$$; exec sleep 1000'\r");
  await expect.poll(() => viewer.text).toMatch(/is-kept\r\n[^]*pid=\d+\r\n/);
  const pid = Number(/pid=(\d+)\r/.exec(viewer.text)![1]);

  await first.kill("SIGKILL");
  await expect.poll(() => hostPlatform().startTime(pid)).toBeUndefined();
  run(paths.directory);
  const last = await connect(paths);
  expect(await last.status(session)).toMatchObject({
    state: "broken",
    availability: "none",
    reason: { code: "session_host_died" },
  });
  expect((await last.read({ session })).text).toContain("is-kept");
  expect((await last.read({ session, what: "recording" })).text).toContain("is-kept");
});

test("told to end, it ends its shells, and says why they are no more", async () => {
  const paths = agentDirectory();
  const first = run(paths.directory);
  const agent = await connect(paths);
  const { session } = await agent.open();
  expect(await first.kill("SIGTERM")).toBe(0);
  run(paths.directory);
  const later = await connect(paths);
  expect(await later.status(session)).toMatchObject({
    state: "broken",
    reason: { code: "session_host_died", message: expect.stringContaining("stopped") },
  });
});

test("a second one on the same directory says that there is one", async () => {
  const paths = agentDirectory();
  run(paths.directory);
  await connect(paths);
  const second = run(paths.directory);
  expect(await second.exit).toBe(1);
  expect(await second.log).toContain("a session host runs on");
  await connect(paths);
});

test("its sockets are closed to everybody else", async () => {
  const paths = agentDirectory();
  run(paths.directory);
  await connect(paths);
  expect(statSync(paths.run).mode & 0o777).toBe(0o700);
  expect(statSync(paths.sessionHostSocket).mode & 0o777).toBe(0o600);
});

test.skipIf(process.getuid?.() !== 0)("another user cannot even connect", async () => {
  const paths = agentDirectory();
  run(paths.directory);
  await connect(paths);
  const script = `
    process.setgid(65534); process.setuid(65534);
    require("node:net").connect(process.argv[1])
      .on("connect", () => { console.log("connected"); process.exit(); })
      .on("error", (error) => console.log(error.code));`;
  const { stdout } = await promisify(execFile)(process.execPath, ["-e", script, paths.sessionHostSocket]);
  expect(stdout.trim()).toBe("EACCES");
});

test("without a host that has joined it says so", async () => {
  const paths = agentDirectory();
  rmSync(paths.config);
  const running = run(paths.directory);
  expect(await running.exit).toBe(1);
  expect(await running.log).toContain("has not joined");
  expect(() => readFileSync(paths.sessionHostLock)).toThrow("ENOENT");
});
