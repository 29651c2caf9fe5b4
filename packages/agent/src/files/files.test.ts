import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findSources, readTrees, TreeWriter } from "@outpost/files";
import { type Command, ConfigurationName, type JobStatus, UserName } from "@outpost/protocol";
import * as v from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { outputOf, request, type StartOptions, statusOf, until, untilEnded } from "../testing/job-store.ts";
import { makeUser, needsRoot, openHome, type TestHome } from "../testing/run-as.ts";
import { copyCommand } from "./command.ts";

const mebibyte = 1024 * 1024;

let home: TestHome;
let folder: string;

beforeEach(async () => {
  home = await openHome();
  folder = mkdtempSync(join(realpathSync(tmpdir()), "outpost-agent-files-"));
  mkdirSync(join(folder, "from/sub"), { recursive: true });
  writeFileSync(join(folder, "from/sub/x"), "content");
  mkdirSync(join(folder, "to"));
});

afterEach(async () => {
  await home[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function streamOf(...paths: string[]): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of readTrees(await findSources(paths))) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function run(
  command: Command,
  options: StartOptions = {},
): Promise<{ status: JobStatus; stdout: string; stderr: string }> {
  const { status } = await home.jobs.start(request(command, options));
  const end = await untilEnded(home.jobs, status.job);
  return { status: end, ...(await outputOf(home.jobs, status.job)) };
}

const put = (path: string, into = false): Command => ({ kind: "put", path, into });
const inline = (bytes: Uint8Array): StartOptions => ({ input: { kind: "inline", bytes } });

describe("a job that writes files", () => {
  test("tells of each of them, and completes", async () => {
    const { status, stdout } = await run(
      put(join(folder, "to")),
      inline(await streamOf(join(folder, "from"))),
    );
    expect(status).toMatchObject({ state: "completed", exit: { code: 0 } });
    const told = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown);
    expect(told).toEqual([
      { type: "file", path: "from/sub/x", bytes: 7, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
      { type: "done", files: 1, bytes: 7 },
    ]);
    expect(readFileSync(join(folder, "to/from/sub/x"), "utf8")).toBe("content");
  });

  test("fails with 1 where something is missing, and writes the rest", async () => {
    mkdirSync(join(folder, "to/from/sub/x"), { recursive: true });
    writeFileSync(join(folder, "from/y"), "y");
    const { status, stderr } = await run(
      put(join(folder, "to")),
      inline(await streamOf(join(folder, "from"), "/proc/self/mem")),
    );
    expect(status).toMatchObject({ state: "failed", exit: { code: 1 } });
    expect(stderr).toMatch(
      /^from\/sub\/x: is a directory in .*\n1 could not be read where they come from\n$/,
    );
    expect(readFileSync(join(folder, "to/from/y"), "utf8")).toBe("y");
  });

  test("fails with 1 when its stream is none, or ends early", async () => {
    const stream = await streamOf(join(folder, "from"));
    for (const bytes of [Buffer.from("hello, this is no stream"), stream.subarray(0, -1), Buffer.alloc(0)]) {
      const { status, stderr } = await run(put(join(folder, "to")), inline(bytes));
      expect(status).toMatchObject({ state: "failed", exit: { code: 1 } });
      expect(stderr).toContain("the file stream is broken");
    }
  });

  test("leaves nothing half when it is stopped", async () => {
    const large = join(folder, "large");
    writeFileSync(large, Buffer.alloc(600_000, "x"));
    const stream = await streamOf(large);
    const { status } = await home.jobs.start(
      request(put(join(folder, "to")), { input: { kind: "stream" }, inlineWaitMs: 0 }),
    );
    const spool = await home.jobs.input(status.job);
    await spool.write(0, stream.subarray(0, 500_000));
    const names = (): string[] => readdirSync(join(folder, "to"));
    const size = (): number =>
      names().reduce((sum, name) => sum + statSync(join(folder, "to", name)).size, 0);
    await until(() => size() > 100_000, "the first bytes");
    expect(names()).toEqual([expect.stringMatching(/^\.large\.outpost-/)]);
    await home.jobs.stop({ job: status.job, operator: "ada" });
    expect(await untilEnded(home.jobs, status.job)).toMatchObject({ state: "stopped" });
    expect(names()).toEqual([]);
  });
});

test("writing files takes the memory of a block, however much comes", async (context) => {
  if (!existsSync("/proc/self/status")) context.skip("needs /proc");
  const large = join(folder, "large");
  writeFileSync(large, "");
  truncateSync(large, 320 * mebibyte);
  const command = copyCommand({ kind: "put", path: join(folder, "to"), into: false }, undefined);
  const child = spawn(command[0]!, command.slice(1), { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "close");
  let told = "";
  child.stdout.on("data", (bytes: Buffer) => void (told += bytes.toString()));
  const peakBytes = (): number => {
    const status = readFileSync(`/proc/${String(child.pid)}/status`, "utf8");
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
  };
  let peak = 0;
  for await (const bytes of readTrees(await findSources([large]))) {
    if (!child.stdin.write(bytes)) await once(child.stdin, "drain");
    // Told at 256 MiB; it is there until its input ends.
    if (peak === 0 && told.split("progress").length > 4) peak = peakBytes();
  }
  child.stdin.end();
  expect(await ended).toEqual([0, null]);
  expect(peak).toBeGreaterThan(0);
  expect(peak).toBeLessThan(224 * mebibyte);
});

describe("a job that reads files", () => {
  test("writes their stream, and what it says on standard error", async () => {
    const { job } = (await run({ kind: "get", paths: [join(folder, "f*"), join(folder, "none*")] })).status;
    const { status, output } = { status: statusOf(home.jobs, job), output: await outputOf(home.jobs, job) };
    expect(status).toMatchObject({ state: "failed", exit: { code: 1 } });
    expect(output.stderr).toBe(`${join(folder, "none*")}: nothing matches that\n`);
    const stream = readFileSync(join(home.paths.jobs, job, "stdout"));
    const writer = new TreeWriter({ path: join(folder, "to"), into: true });
    await writer.write(stream);
    expect(await writer.end()).toEqual({ files: 1, bytes: 7, failed: 1 });
    expect(readFileSync(join(folder, "to/from/sub/x"), "utf8")).toBe("content");
  });

  test("begins in the working directory; ~ is the home of its user", async () => {
    const { status } = await run({ kind: "get", paths: ["sub/x"] }, { cwd: join(folder, "from") });
    expect(status.state).toBe("completed");
    const { status: there } = await run(
      { kind: "get", paths: ["~"] },
      { env: { HOME: join(folder, "from/sub") } },
    );
    expect(there.state).toBe("completed");
    expect(readFileSync(join(home.paths.jobs, there.job, "stdout"), "latin1")).toContain("sub/x");
  });

  test("is not retried", async () => {
    const retry = { retry: { times: 1, delayMs: 0 } };
    await expect(home.jobs.start(request({ kind: "get", paths: ["x"] }, retry))).rejects.toThrow(
      /cannot be retried/,
    );
  });
});

describe("who may copy", () => {
  const configuration = v.parse(ConfigurationName, "tools");

  test("nobody, where only certain commands are allowed", async () => {
    home.configure("tools", "allow:\n  - command: /bin/true\n");
    const get: Command = { kind: "get", paths: ["/etc/hostname"] };
    for (const command of [put("/tmp"), get]) {
      await expect(home.jobs.start(request(command, { configuration }))).rejects.toMatchObject({
        code: "denied",
        message: expect.stringContaining("no copying of files"),
      });
    }
  });

  test("another user copies as that user", async (context) => {
    needsRoot(context);
    using user = makeUser();
    home.configure("tools", `users: [${user.name}]\n`);
    const as = { configuration, user: v.parse(UserName, user.name) };
    chmodSync(folder, 0o755);
    const stream = await streamOf(join(folder, "from"));
    const denied = await run(put(join(folder, "to")), { ...as, ...inline(stream) });
    expect(denied.status).toMatchObject({ state: "failed", exit: { code: 1 } });
    expect(denied.stderr).toContain("permission denied");
    expect(existsSync(join(folder, "to/from"))).toBe(false);
    const own = await run(put("copied"), { ...as, ...inline(stream) });
    expect(own.status.state).toBe("completed");
    expect(statSync(join(user.home, "copied/sub/x")).uid).toBe(user.uid);
    const closed = await run({ kind: "get", paths: ["/etc/shadow"] }, as);
    expect(closed.stderr).toBe("/etc/shadow: permission denied\n");
  });
});
