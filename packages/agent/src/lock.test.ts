import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { ErrorCode } from "@outpost/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DirectoryLock, lockHolder } from "./lock.ts";
import { hostPlatform } from "./platform/index.ts";

const platform = hostPlatform();
const { bootId } = platform;

let directory: string;
let file: string;
const racers: Racer[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "outpost-lock-"));
  file = join(directory, "agent.lock");
});

afterEach(async () => {
  await Promise.all(racers.splice(0).map((racer) => racer.kill()));
  rmSync(directory, { recursive: true });
});

/** Another process; see testing/lock-racer.ts. */
class Racer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor() {
    const script = join(import.meta.dirname, "testing", "lock-racer.ts");
    this.#child = spawn(process.execPath, ["--conditions=source", script], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const lines: Interface = createInterface({ input: this.#child.stdout! });
    this.#lines = lines[Symbol.asyncIterator]();
    racers.push(this);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async line(): Promise<string> {
    const { value } = await this.#lines.next();
    return value as string;
  }

  acquire(path: string): Promise<string> {
    this.#child.stdin!.write(`${path}\n`);
    return this.line();
  }

  async kill(): Promise<void> {
    const exited = new Promise((resolve) => this.#child.once("exit", resolve));
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGKILL");
    await exited;
  }
}

test("a lock is held once, and free after it was disposed", () => {
  const lock = DirectoryLock.acquire(file, platform);
  expect(lockHolder(file, platform)?.pid).toBe(process.pid);
  expect(() => DirectoryLock.acquire(file, platform)).toThrow(
    expect.objectContaining({
      code: ErrorCode.busy,
      message: expect.stringContaining(`pid ${String(process.pid)}`),
    }),
  );
  lock[Symbol.dispose]();
  lock[Symbol.dispose]();
  expect(lockHolder(file, platform)).toBeUndefined();
  DirectoryLock.acquire(file, platform)[Symbol.dispose]();
  expect(readdirSync(directory)).toEqual([]);
});

test.each([
  ["a process that is gone", { pid: 2 ** 22 + 1, startTime: "1", bootId }],
  ["a process whose pid has another one now", { pid: process.pid, startTime: "an earlier one", bootId }],
  [
    "a process of the boot before",
    { pid: process.pid, startTime: platform.startTime(process.pid), bootId: "another" },
  ],
  ["nobody: a power cut emptied it", ""],
  ["nobody: it is no lock of ours", "hello"],
])("a lock of %s is taken over", (_who, holder) => {
  writeFileSync(file, typeof holder === "string" ? holder : JSON.stringify(holder));
  expect(lockHolder(file, platform)).toBeUndefined();
  using _lock = DirectoryLock.acquire(file, platform);
  expect(lockHolder(file, platform)?.pid).toBe(process.pid);
  expect(readdirSync(directory)).toEqual(["agent.lock"]);
});

test("a ticket whose holder died does not block the next", () => {
  const dead = JSON.stringify({ pid: process.pid, startTime: "an earlier one", bootId });
  writeFileSync(file, dead);
  writeFileSync(`${file}.takeover`, dead);
  using _lock = DirectoryLock.acquire(file, platform);
  expect(readdirSync(directory)).toEqual(["agent.lock"]);
});

test("a lock that is another's now is left alone", () => {
  const lock = DirectoryLock.acquire(file, platform);
  rmSync(file);
  const other = DirectoryLock.acquire(file, platform);
  lock[Symbol.dispose]();
  expect(existsSync(file)).toBe(true);
  other[Symbol.dispose]();
});

test("kill -9 frees it", async () => {
  const racer = new Racer();
  await racer.line();
  expect(await racer.acquire(file)).toBe("held");
  expect(lockHolder(file, platform)?.pid).toBe(racer.pid);
  expect(() => DirectoryLock.acquire(file, platform)).toThrow(`pid ${String(racer.pid)}`);
  await racer.kill();
  using _lock = DirectoryLock.acquire(file, platform);
});

test("of many that see a stale lock at once, one gets it", async () => {
  const many = Array.from({ length: 4 }, () => new Racer());
  await Promise.all(many.map((racer) => racer.line()));
  for (let round = 0; round < 200; round++) {
    const path = `${file}-${String(round)}`;
    if (round % 2 === 0)
      writeFileSync(path, JSON.stringify({ pid: process.pid, startTime: "an earlier one", bootId }));
    const outcomes = await Promise.all(many.map((racer) => racer.acquire(path)));
    expect(outcomes.toSorted()).toEqual(["busy", "busy", "busy", "held"]);
  }
});
