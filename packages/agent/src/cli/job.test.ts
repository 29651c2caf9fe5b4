/** `outpost-agent job`: jobs of a host, started and received by its own user, with a real agent. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { isAlive } from "../testing/job-store.ts";
import { FakeController } from "../testing/controller.ts";
import { join as joinHost } from "./join.ts";

const main = join(import.meta.dirname, "..", "main.ts");
const user = userInfo().username;
let directory: string;
let work: string;
const started: ChildProcess[] = [];

/** The words of the program, for a shell. */
const program = `'${process.execPath}' --conditions=source '${main}'`;
const argv = (args: readonly string[]): string[] => ["--conditions=source", main, ...args];
const env = (): NodeJS.ProcessEnv => ({ ...process.env, OUTPOST_AGENT_DIR: join(directory, "agent") });

interface Ran {
  readonly code: number | string | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ran>;
  stdout(): string;
  stderr(): string;
}

function begin(
  command: string,
  args: readonly string[],
  more: { detached?: boolean; env?: object } = {},
): Running {
  const child = spawn(command, args, {
    cwd: work,
    stdio: ["ignore", "pipe", "pipe"],
    ...more,
    env: { ...env(), ...more.env },
  });
  started.push(child);
  const text = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text.stdout += chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (text.stderr += chunk));
  const ended = new Promise<Ran>((resolve) => {
    child.once("close", (code, signal) => resolve({ code: code ?? signal, ...text }));
  });
  return { child, ended, stdout: () => text.stdout, stderr: () => text.stderr };
}

const job = (...args: string[]): Promise<Ran> => begin(process.execPath, argv(["job", ...args])).ended;
const jobJson = async (...args: string[]): Promise<unknown> =>
  JSON.parse((await job(...args, "--output", "json")).stdout);

/** Starts a job, and says its id. */
async function startJob(...args: string[]): Promise<string> {
  const ran = await job("start", ...args);
  expect(ran).toEqual({ code: 0, stdout: expect.stringMatching(/^[0-9a-z]{12}\n$/), stderr: "" });
  return ran.stdout.trim();
}

/** Those of a test that failed would run for ever. */
function endJobs(): void {
  const jobs = join(directory, "agent", "jobs");
  for (const name of existsSync(jobs) ? readdirSync(jobs) : []) {
    const file = join(jobs, name, "process.json");
    if (!existsSync(file)) continue;
    const { pid } = JSON.parse(readFileSync(file, "utf8")) as { pid: number };
    if (isAlive(pid)) process.kill(-pid, "SIGKILL");
  }
}

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), "outpost-cli-")));
  work = await realpath(await mkdtemp(join(tmpdir(), "outpost-work-")));
});
afterEach(async () => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
  endJobs();
  await rm(directory, { recursive: true });
  await rm(work, { recursive: true });
});

describe("wrong usage", () => {
  test.each([
    [["jbo"], "Did you mean job?"],
    [[], "what about jobs? One of: start, list, show, receive, wait, stop, remove"],
    [["strat", "--", "true"], "Did you mean start?"],
    [["start"], "what to run is missing: outpost-agent job start -- COMMAND, or -c TEXT"],
    [["start", "-c", "true", "--", "true"], "-c takes shell text alone"],
    [["start", "make", "all"], "Unknown arguments: make, all"],
    [["start", "--timeout", "5", "--", "true"], '--timeout: "5" is not a duration, e.g. 300ms'],
    [["start", "--env", "A", "--", "true"], '--env: "A" is not KEY=VALUE'],
    [["start", "--name", "a", "--name", "b", "--", "true"], "--name is given more than once"],
    [["show"], "which job? Give its id"],
    [["receive", "x", "--folow"], "Did you mean --follow?"],
    [["list", "--", "true"], "only `job start` takes a command behind --"],
    [["wait", "x", "--timeout", "soon"], '--timeout: "soon" is not a duration'],
  ])("%j", async (args, message) => {
    const words = args[0] === "jbo" ? args : ["job", ...args];
    const ran = await begin(process.execPath, argv(words)).ended;
    expect(ran.stderr).toContain(message);
    expect(ran).toMatchObject({ code: 251, stdout: "" });
  });
});

describe("without a running agent", () => {
  test("it says in which directory, and what to do", async () => {
    const agentDirectory = join(directory, "agent");
    const nowhere = await job("list");
    expect(nowhere).toMatchObject({ code: 252, stdout: "" });
    expect(nowhere.stderr).toBe(
      `outpost-agent: there is no agent in ${agentDirectory}: this host has not joined a controller there, or name another directory with --dir\n`,
    );
    const elsewhere = join(directory, "elsewhere");
    const other = await job("start", "--dir", elsewhere, "--", "true");
    expect(other.stderr).toContain(`there is no agent in ${elsewhere}`);
  });
});

describe("with an agent", () => {
  let controller: FakeController;

  function startAgent(): Running {
    return begin(process.execPath, argv(["start"]), { env: { OUTPOST_SECRET_OF_AGENT: "1" } });
  }

  /** Resolves when programs can reach it. */
  async function agentIsThere(): Promise<void> {
    await expect.poll(() => job("list"), { timeout: 15_000 }).toMatchObject({ code: 0 });
  }

  beforeEach(async () => {
    controller = await FakeController.start();
    vi.spyOn(console, "log").mockImplementation(() => {});
    await joinHost({
      url: controller.url,
      token: controller.token(),
      name: "web1",
      label: [],
      dir: join(directory, "agent"),
      force: false,
    });
    vi.restoreAllMocks();
  });
  afterEach(() => controller[Symbol.asyncDispose]());

  test("start in the background, list, show, wait, receive: the controller sees it, too", async () => {
    startAgent();
    const session = await controller.session();
    await session.inventory;
    await agentIsThere();
    const id = await startJob(
      "--name",
      "greeting",
      "-c",
      "echo hello; echo oops >&2; while [ ! -e gate ]; do sleep 0.02; done; exit 3",
    );
    expect(await jobJson("list")).toMatchObject({
      jobs: [
        {
          job: id,
          state: "running",
          origin: { user, name: "greeting", acceptedAt: expect.stringMatching(/^2.*Z$/) },
        },
      ],
    });
    const list = await job("list");
    expect(list.stdout).toMatch(/^ID +NAME +STATE +UNREAD +STARTED +BY +COMMAND\n/);
    expect(list.stdout).toContain("echo hello; echo oops");
    await expect
      .poll(() => session.changes.at(-1))
      .toMatchObject({ job: id, state: "running", origin: { user } });

    const some = await job("receive", id.slice(0, 6), "--keep");
    expect(some).toMatchObject({ code: 0, stdout: "hello\n" });
    expect(some.stderr).toBe(
      `oops\noutpost-agent: still running; take it up again with: outpost-agent job receive ${id} --follow\n`,
    );
    const waiting = begin(process.execPath, argv(["job", "wait", "greeting"]));
    const short = await job("wait", "greeting", "--timeout", "50ms");
    expect(short).toMatchObject({ code: 124, stderr: `outpost-agent: timed out; ${id} has not ended\n` });
    writeFileSync(join(work, "gate"), "");
    expect(await waiting.ended).toMatchObject({
      code: 3,
      stderr: `outpost-agent: ${id}: failed: exit code 3\n`,
    });
    expect((await job("show", "greeting")).stdout).toMatch(
      new RegExp(
        `^job {7}${id} \\(greeting\\)\nstate {5}failed: exit code 3\ncommand {3}echo hello;.*\nstarted .* by ${user}\n`,
      ),
    );

    const all = await job("receive", "greeting");
    expect(all).toEqual({
      code: 3,
      stdout: "hello\n",
      stderr: `oops\noutpost-agent: ${id}: failed: exit code 3\n`,
    });
    // Wholly received, it is forgotten, and the controller told.
    expect(await jobJson("list")).toEqual({ jobs: [] });
    await expect
      .poll(() => session.changes.at(-1))
      .toMatchObject({ job: id, removed: true, origin: { user } });
    expect(await job("receive", id)).toMatchObject({ code: 3, stdout: "" });
    expect(await job("receive", "greeting")).toMatchObject({
      code: 252,
      stderr: expect.stringContaining("there is no job greeting on this host"),
    });
  });

  test("a job outlives the shell that started it, and its session", async () => {
    startAgent();
    await agentIsThere();
    const pidFile = join(work, "pid");
    const text = `echo $$ > ${pidFile}; while [ ! -e ${work}/gate ]; do sleep 0.02; done; echo survived`;
    // A session of its own, as a terminal's; the shell goes on after it has started the job.
    const shell = begin("/bin/sh", ["-c", `${program} job start -c '${text}'; sleep 600`], {
      detached: true,
    });
    await expect.poll(() => shell.stdout(), { timeout: 15_000 }).toMatch(/^[0-9a-z]{12}\n$/);
    const id = shell.stdout().trim();
    await expect.poll(() => existsSync(pidFile) && readFileSync(pidFile, "utf8").trim() !== "").toBe(true);
    const pid = Number(readFileSync(pidFile, "utf8"));
    // All of the session at once, as when a terminal goes.
    process.kill(-shell.child.pid!, "SIGHUP");
    process.kill(-shell.child.pid!, "SIGKILL");
    expect((await shell.ended).code).toMatch(/^SIG/);
    expect(isAlive(pid)).toBe(true);
    const following = begin(process.execPath, argv(["job", "receive", id, "--follow"]));
    writeFileSync(join(work, "gate"), "");
    expect(await following.ended).toMatchObject({ code: 0, stdout: "survived\n" });
  });

  test("it runs where it was started, and sees that environment but for the terminal and the session", async () => {
    startAgent();
    await agentIsThere();
    const environment = {
      MY_SETTING: "a b",
      PATH: `${work}:${process.env["PATH"] ?? ""}`,
      TERM: "xterm-256color",
      OUTPOST_SESSION: "4k7m4k7m4k7m",
    };
    const shown =
      'pwd; echo "$MY_SETTING,${TERM-none},${OUTPOST_SESSION-none},${OUTPOST_SECRET_OF_AGENT-none},$OUTPOST_HOST,$MORE"; echo "$PATH"';
    const args = ["job", "start", "--env", "MORE=x=y", "--env", "MY_SETTING=c d", "-c", shown];
    const { stdout } = await begin(process.execPath, argv(args), { env: environment }).ended;
    const received = await job("receive", stdout.trim(), "--follow");
    expect(received.stdout).toBe(`${work}\nc d,none,none,none,web1,x=y\n${environment.PATH}\n`);
    const elsewhere = await startJob("--cwd", "..", "--", "pwd");
    expect((await job("receive", elsewhere, "--follow")).stdout).toBe(
      `${await realpath(join(work, ".."))}\n`,
    );
  });

  test("arguments behind -- go as they are", async () => {
    startAgent();
    await agentIsThere();
    const words = ["printf", "%s|", "a b", "1e5", "007", "--name", "-c", "'", "--", ""];
    const id = await startJob("--", ...words);
    expect((await job("receive", id, "--follow")).stdout).toBe(`${words.slice(2).join("|")}|`);
    const missing = await job("start", "--", "no-such-program");
    expect(missing).toMatchObject({ code: 252, stdout: "" });
    expect(missing.stderr).toContain("no program 'no-such-program' in ");
  });

  test("stop, timeout and remove", async () => {
    startAgent();
    await agentIsThere();
    const long = await startJob("--name", "long", "--", "sleep", "600");
    expect(await job("remove", "long")).toMatchObject({
      code: 252,
      stderr: expect.stringContaining("still running"),
    });
    expect(await job("stop", "long", "--grace", "5s")).toMatchObject({
      code: 0,
      stdout: `${long}: stopping\n`,
    });
    expect(await job("wait", "long")).toMatchObject({
      code: 128 + 15,
      stderr: `outpost-agent: ${long}: stopped by ${user}@web1\n`,
    });
    expect(await job("remove", "long")).toEqual({ code: 0, stdout: `removed ${long}\n`, stderr: "" });
    const late = await startJob("--timeout", "100ms", "--", "sleep", "600");
    expect(await job("receive", late, "--follow")).toMatchObject({ code: 124 });
    expect(await jobJson("list")).toEqual({ jobs: [] });
  });

  test("as JSON: one document, with what is no text in base64", async () => {
    startAgent();
    await agentIsThere();
    const id = await startJob("-c", String.raw`printf 'caf\303\251\n'; printf '\377\000' >&2`);
    expect(await jobJson("receive", id, "--follow")).toMatchObject({
      job: id,
      state: "completed",
      ended: true,
      exitCode: 0,
      exit: { code: 0 },
      stdout: { text: "café\n" },
      stderr: { base64: "/wA=" },
      startedAt: expect.stringMatching(/Z$/),
    });
    expect(await jobJson("list")).toEqual({ jobs: [] });
  });

  test("Ctrl-C ends the receive and not the job; the next one goes on where it was", async () => {
    startAgent();
    await agentIsThere();
    const id = await startJob("-c", "echo one; while [ ! -e gate ]; do sleep 0.02; done; echo two");
    const first = begin(process.execPath, argv(["job", "receive", id, "--follow"]));
    await expect.poll(() => first.stdout(), { timeout: 15_000 }).toBe("one\n");
    first.child.kill("SIGINT");
    expect(await first.ended).toMatchObject({
      code: 130,
      stderr: expect.stringContaining("nothing is lost"),
    });
    writeFileSync(join(work, "gate"), "");
    expect(await job("receive", id, "--follow")).toEqual({ code: 0, stdout: "two\n", stderr: "" });
  });

  test("a reader that goes away ends the receive as a pipe does; what it did not get is kept", async () => {
    startAgent();
    await agentIsThere();
    const id = await startJob("--", "seq", "1", "200000");
    const piped = begin("/bin/sh", [
      "-c",
      `{ ${program} job receive ${id} --follow; echo $? >&2; } | head -n 1`,
    ]);
    expect(await piped.ended).toMatchObject({ stdout: "1\n", stderr: "141\n" });
    const rest = (await job("receive", id, "--follow")).stdout;
    expect(rest.endsWith("199999\n200000\n")).toBe(true);
  });

  test("a receive waits for an agent that is killed and started again; no byte is lost or doubled", async () => {
    const first = startAgent();
    await agentIsThere();
    const id = await startJob(
      "-c",
      "seq 1 50000; while [ ! -e gate ]; do sleep 0.02; done; seq 50001 100000",
    );
    const following = begin(process.execPath, argv(["job", "receive", id, "--follow"]));
    await expect.poll(() => following.stdout().endsWith("\n50000\n"), { timeout: 15_000 }).toBe(true);
    first.child.kill("SIGKILL");
    await first.ended;
    await expect.poll(() => following.stderr()).toContain("the agent has gone away; waiting");
    writeFileSync(join(work, "gate"), "");
    startAgent();
    const { code, stdout } = await following.ended;
    const expected = Array.from({ length: 100_000 }, (_, i) => `${String(i + 1)}\n`).join("");
    expect({ code, isExact: stdout === expected }).toEqual({ code: 0, isExact: true });
  });
});
