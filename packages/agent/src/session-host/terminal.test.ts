import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Exit, systemClock } from "@outpost/protocol";
import { afterEach, expect, test } from "vitest";
import { hostPlatform } from "../platform/index.ts";
import { endTerminal } from "./terminal-end.ts";
import { terminalSession } from "./foreground.ts";
import { Terminal } from "./terminal.ts";

const platform = hostPlatform();
const open: Terminal[] = [];
const directories: string[] = [];

afterEach(async () => {
  for (const terminal of open.splice(0)) await end(terminal);
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

function end({ pid }: Terminal, graceMs = 0): Promise<void> {
  const startTime = platform.startTime(pid);
  if (startTime === undefined) return Promise.resolve();
  return endTerminal({ platform, clock: systemClock, leader: { pid, startTime }, graceMs });
}

interface Shell {
  readonly terminal: Terminal;
  readonly exit: Promise<Exit>;
  output(): Buffer;
}

function start(args: readonly string[], file = "/bin/sh"): Shell {
  const chunks: Buffer[] = [];
  const exit = Promise.withResolvers<Exit>();
  const terminal = new Terminal({
    file,
    args,
    env: { PATH: process.env["PATH"]!, TERM: "xterm" },
    cwd: "/",
    columns: 80,
    rows: 24,
    clock: systemClock,
    onData: (bytes) => chunks.push(bytes),
    onExit: exit.resolve,
  });
  open.push(terminal);
  return { terminal, exit: exit.promise, output: () => Buffer.concat(chunks) };
}

test("exit code, signal and all output come", async () => {
  const code = start(["-c", "printf hello; exit 3"]);
  expect(await code.exit).toEqual({ code: 3 });
  expect(code.output().toString()).toBe("hello");
  const signal = start(["-c", "kill -TERM $$"]);
  expect(await signal.exit).toEqual({ signal: "SIGTERM" });
});

test("output that was not read when the shell exits is not lost", async () => {
  const shell = start(["-c", "head -c 3000 /dev/zero | tr '\\0' x; exit 0"]);
  shell.terminal.pause();
  await expect.poll(() => platform.startTime(shell.terminal.pid)).toBeUndefined();
  expect(await shell.exit).toEqual({ code: 0 });
  expect(shell.output().toString()).toBe("x".repeat(3000));
});

test("what a shell leaves in the background does not hold its end back, and is not killed by it", async () => {
  const shell = start(["-c", "trap '' HUP; sleep 300 & echo $!"]);
  expect(await shell.exit).toEqual({ code: 0 });
  const pid = Number(shell.output().toString());
  expect(platform.startTime(pid)).toBeDefined();
  process.kill(pid, "SIGKILL");
});

test("bytes that are no text pass through, both ways", async () => {
  const directory = mkdtempSync(join(tmpdir(), "outpost-terminal-"));
  directories.push(directory);
  const file = join(directory, "bytes");
  const shell = start(["-c", `stty raw -echo; echo ready; head -c 256 | tee ${file}`]);
  await expect.poll(() => shell.output().toString()).toContain("ready");
  const every = Uint8Array.from({ length: 256 }, (_, i) => i);
  shell.terminal.write(every);
  await shell.exit;
  expect(readFileSync(file)).toEqual(Buffer.from(every));
  expect(shell.output().subarray(-256)).toEqual(Buffer.from(every));
});

test("5,000 lines typed faster than they are read arrive all", async () => {
  const directory = mkdtempSync(join(tmpdir(), "outpost-terminal-"));
  directories.push(directory);
  const file = join(directory, "lines");
  const shell = start(["-c", `stty -echo; echo ready; sleep 0.3; cat > ${file}`]);
  await expect.poll(() => shell.output().toString()).toContain("ready");
  const lines = Array.from({ length: 5_000 }, (_, i) => `line ${String(i)} ${"é".repeat(i % 40)}\n`).join("");
  let taken = false;
  shell.terminal.write(Buffer.from(lines), () => (taken = true));
  shell.terminal.write(Buffer.from("\x04"));
  await shell.exit;
  expect(taken).toBe(true);
  expect(readFileSync(file, "utf8")).toBe(lines);
});

test("the program sees its size, and when it changes", async () => {
  const shell = start(["-c", "trap 'stty size; exit' WINCH; stty size; while :; do sleep 0.01; done"]);
  await expect.poll(() => shell.output().toString()).toContain("24 80");
  shell.terminal.resize(132, 50);
  await shell.exit;
  expect(shell.output().toString()).toContain("50 132");
});

test.runIf(process.platform === "linux")("a shell has no terminal but its own", async () => {
  const first = start(["-i"]);
  const second = start(["-i"]);
  for (const { output } of [first, second]) await expect.poll(() => output().toString()).toMatch(/[$#] /);
  second.terminal.write(Buffer.from("ls -l /proc/$$/fd; echo over-$((1+1))\r"));
  await expect.poll(() => second.output().toString()).toContain("over-2");
  expect(second.output().toString()).not.toContain("ptmx");
});

test("who has the foreground", async () => {
  const shell = start(["-i"]);
  await expect.poll(() => shell.output().toString()).toMatch(/[$#] /);
  expect(shell.terminal.foregroundGroup()).toBe(shell.terminal.pid);
  shell.terminal.write(Buffer.from("sleep 300\r"));
  await expect.poll(() => shell.terminal.foregroundGroup()).not.toBe(shell.terminal.pid);
  shell.terminal.write(Buffer.from("\x03"));
  await expect.poll(() => shell.terminal.foregroundGroup()).toBe(shell.terminal.pid);
});

test("a terminal's end takes with it all that runs in it, stubborn or stopped", async () => {
  const shell = start(["-i"]);
  shell.terminal.write(
    Buffer.from("(trap '' HUP; sleep 300) & sleep 301 & kill -STOP $!; nohup sleep 302\r"),
  );
  await expect.poll(() => terminalSession(platform, shell.terminal.pid).length).toBeGreaterThanOrEqual(4);
  await end(shell.terminal, 100);
  expect(await shell.exit).toEqual({ signal: expect.stringMatching(/SIGHUP|SIGKILL/) });
  expect(terminalSession(platform, shell.terminal.pid)).toEqual([]);
});
