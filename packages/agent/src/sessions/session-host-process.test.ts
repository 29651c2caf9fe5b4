import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ErrorCode, type MessageSocket, systemClock } from "@outpost/protocol";
import { dialUnixSocket } from "@outpost/protocol/unix-socket";
import { afterEach, beforeEach, expect, test } from "vitest";
import { agentPaths, type AgentPaths } from "../directory.ts";
import { DirectoryLock } from "../lock.ts";
import { hostPlatform } from "../platform/index.ts";
import { isAlive } from "../testing/job-store.ts";
import { dialSessionHost, holdsSessions } from "./session-host-process.ts";

const entry = fileURLToPath(new URL("../testing/session-host-stub.ts", import.meta.url));
let paths: AgentPaths;
let sockets: MessageSocket[];

beforeEach(() => {
  paths = agentPaths(mkdtempSync(join(tmpdir(), "outpost-session-host-")));
  sockets = [];
});

afterEach(async () => {
  for (const socket of sockets) socket.abort();
  if (existsSync(told())) {
    const { pid } = readTold();
    if (isAlive(pid)) process.kill(pid, "SIGKILL");
    await expect.poll(() => isAlive(pid)).toBe(false);
  }
  rmSync(paths.directory, { recursive: true });
});

const told = (): string => join(paths.directory, "told");
interface Told {
  readonly pid: number;
  readonly cwd: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}
const readTold = (): Told => JSON.parse(readFileSync(told(), "utf8")) as Told;

async function dial(stub: "listen" | "fail" | "silent", signal?: AbortSignal): Promise<void> {
  writeFileSync(join(paths.directory, "stub"), stub);
  const socket = await dialSessionHost(
    { paths, clock: systemClock, processes: hostPlatform(), entry },
    signal,
  );
  socket.start({ message: () => {}, drained: () => {}, closed: () => {} });
  sockets.push(socket);
}

async function listens(): Promise<boolean> {
  try {
    const socket = await dialUnixSocket(paths.sessionHostSocket);
    socket.start({ message: () => {}, drained: () => {}, closed: () => {} });
    socket.abort();
    return true;
  } catch {
    return false;
  }
}

test("it is started when nobody listens, by itself: own session, own directory, an environment of its own", async () => {
  process.env["OUTPOST_TEST_SECRET"] = "x";
  await dial("listen");
  delete process.env["OUTPOST_TEST_SECRET"];
  await expect.poll(() => existsSync(told())).toBe(true);
  const { pid, cwd, env, args } = readTold();
  expect({ cwd, args }).toEqual({ cwd: "/", args: [paths.directory] });
  expect(Object.keys(env).toSorted()).toEqual(["HOME", "LANG", "LOGNAME", "PATH", "SHELL", "USER"]);
  const process_ = hostPlatform()
    .processes()
    .find((info) => info.pid === pid);
  expect(process_).toMatchObject({ group: pid });
  expect(statSync(paths.run).mode & 0o777).toBe(0o700);
  expect(statSync(paths.sessionHostSocket).mode & 0o777).toBe(0o600);
  expect(statSync(paths.sessionHostLog).mode & 0o777).toBe(0o600);
});

test("one that listens is used", async () => {
  await dial("listen");
  await expect.poll(() => existsSync(told())).toBe(true);
  const { pid } = readTold();
  await dial("fail");
  expect(readTold().pid).toBe(pid);
});

test("one that has died is started again", async () => {
  await dial("listen");
  await expect.poll(() => existsSync(told())).toBe(true);
  const { pid } = readTold();
  process.kill(pid, "SIGKILL");
  // One that is dying may still accept.
  await expect.poll(listens).toBe(false);
  await dial("listen");
  await expect.poll(() => readTold().pid).not.toBe(pid);
});

test("one that is about to leave is waited for", async () => {
  mkdirSync(paths.run, { mode: 0o700 });
  const lock = DirectoryLock.acquire(paths.sessionHostLock, hostPlatform());
  const dialing = dial("listen");
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(existsSync(told())).toBe(false);
  lock[Symbol.dispose]();
  await dialing;
});

test("one that cannot start says what its log says", async () => {
  await expect(dial("fail")).rejects.toMatchObject({
    code: ErrorCode.startFailed,
    message: expect.stringMatching(
      /ended with 3\. It says \(.*session-host\.log\): first\nsecond\nthere is no PTY/,
    ),
  });
});

test("whoever waits for it may stop waiting", async () => {
  const stopped = dial("silent", AbortSignal.timeout(300));
  await expect(stopped).rejects.toMatchObject({ code: ErrorCode.timeout });
});

test("a log that has grown large begins anew", async () => {
  mkdirSync(paths.run, { mode: 0o700 });
  writeFileSync(paths.sessionHostLog, "x".repeat(2 * 1024 * 1024));
  await dial("listen");
  expect(statSync(paths.sessionHostLog).size).toBe(0);
});

test("a directory holds sessions when there is one", () => {
  expect(holdsSessions(paths)).toBe(false);
  mkdirSync(paths.sessions);
  expect(holdsSessions(paths)).toBe(false);
  mkdirSync(join(paths.sessions, "abcdefghijkl"));
  expect(holdsSessions(paths)).toBe(true);
});
