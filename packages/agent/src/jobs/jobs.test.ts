import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { newJobId } from "@outpost/protocol";
import { describe, expect, it } from "vitest";
import {
  background,
  exec,
  isAlive,
  openStore,
  outputOf,
  readJob,
  request,
  shell,
  statusOf,
  until,
  untilEnded,
} from "../testing/job-store.ts";

const decode = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

describe("how a job ends", () => {
  it.each([
    ["true", { state: "completed", exit: { code: 0 } }],
    ["exit 3", { state: "failed", exit: { code: 3 } }],
    ["exit 255", { state: "failed", exit: { code: 255 } }],
    ["kill -TERM $$", { state: "failed", exit: { signal: "SIGTERM" } }],
    ["kill -KILL $$", { state: "failed", exit: { signal: "SIGKILL" } }],
    ["kill -HUP $$", { state: "failed", exit: { signal: "SIGHUP" } }],
    ["kill -SEGV $$", { state: "failed", exit: { signal: "SIGSEGV" } }],
    // An exit code is no signal, whatever its number.
    ["exit 143", { state: "failed", exit: { code: 143 } }],
    ["exit 137", { state: "failed", exit: { code: 137 } }],
    ["sh -c 'kill -KILL $$'; exit $?", { state: "failed", exit: { code: 137 } }],
    // A program's own 127 is not a program that could not be started.
    ["exit 127", { state: "failed", exit: { code: 127 } }],
    ["kill -TERM 0; sleep 10", { state: "failed", exit: { signal: "SIGTERM" } }],
  ])("%s", async (text, expected) => {
    await using store = await openStore();
    const { status, tail } = await shell(store.jobs, text);
    expect(status).toMatchObject(expected);
    expect(status.reason).toBeUndefined();
    expect(tail?.stdout).toBeUndefined();
    expect(status.endedAt).toBeGreaterThanOrEqual(status.startedAt! - 10);
  });

  it("is told once, after the start", async () => {
    await using store = await openStore();
    const seen: string[] = [];
    store.jobs.onChanged(({ state }) => seen.push(state));
    await shell(store.jobs, "true");
    expect(seen).toEqual(["running", "completed"]);
  });
});

describe("what cannot be started", () => {
  it.each([
    [["no-such-program"], /no program 'no-such-program' in \/usr/],
    [["ls -l"], /no program 'ls -l' in .*use -c/],
    [["ls -l /tmp"], /there is no program 'ls -l \/tmp'.*use -c/],
    [["/no/such/thing"], /there is no program '\/no\/such\/thing'/],
    [["/etc/passwd"], /not executable/],
    [["/tmp"], /is a directory/],
    [[""], /no program ''/],
    // Shell builtins are not programs.
    [["export"], /no program 'export'/],
  ])("%j", async (argv, message) => {
    await using store = await openStore();
    const { status } = await exec(store.jobs, argv);
    expect(status).toMatchObject({ state: "failed", reason: { code: "start_failed" } });
    expect(status.reason!.message).toMatch(message);
    expect(status.exit).toBeUndefined();
  });

  it("says so of a script whose interpreter is not there, and keeps saying so", async () => {
    await using store = await openStore();
    const { status } = await store.jobs.start(
      request({ kind: "script", name: "x.sh", body: Buffer.from("#!/no/interpreter\n"), args: [] }),
    );
    expect(status).toMatchObject({ state: "failed", reason: { code: "start_failed" } });
    expect(status.reason!.message).toContain("/no/interpreter");
    const jobs = await store.reopen();
    expect(statusOf(jobs, status.job)).toEqual(status);
  });

  it("names a working directory that is not there", async () => {
    await using store = await openStore();
    const { status } = await exec(store.jobs, ["true"], { cwd: "/no/such/place" });
    expect(status.reason).toEqual({
      code: "start_failed",
      message: "there is no directory '/no/such/place'",
    });
  });

  it("explains an argument that the kernel does not take", async () => {
    await using store = await openStore();
    const { status } = await shell(store.jobs, `: ${"x".repeat(200_000)}`);
    expect(status.reason).toMatchObject({ code: "start_failed", message: /send it as a script/ });
  });

  it("refuses arguments beyond the limit", async () => {
    await using store = await openStore();
    const argv = ["echo", ...Array.from({ length: 20 }, () => "x".repeat(64 * 1024))];
    await expect(exec(store.jobs, argv)).rejects.toMatchObject({ code: "limit_exceeded" });
    expect(store.jobs.list()).toEqual([]);
  });

  it("never runs what has expired, however often it is asked", async () => {
    await using store = await openStore();
    const job = newJobId();
    const params = request({ kind: "exec", argv: ["true"] }, { job, expiresAt: Date.now() - 1 });
    expect((await store.jobs.start(params)).status).toMatchObject({
      state: "failed",
      reason: { code: "expired" },
    });
    const again = await store.jobs.start({ ...params, expiresAt: Date.now() + 60_000 });
    expect(again.status).toMatchObject({ state: "failed", reason: { code: "expired" } });
  });

  it("refuses one job too many, and takes it when there is room again", async () => {
    await using store = await openStore({ settings: { maxRunningJobs: 1 } });
    const first = await background(store.jobs, "sleep 60");
    await expect(shell(store.jobs, "true")).rejects.toMatchObject({
      code: "limit_exceeded",
      message: /maxRunningJobs/,
    });
    await store.jobs.stop({ job: first, operator: "ada" });
    await untilEnded(store.jobs, first);
    expect((await shell(store.jobs, "true")).status.state).toBe("completed");
  });
});

describe("what a job is given", () => {
  it("is a clean environment, its marks, and what was asked for", async () => {
    process.env["OUTPOST_TEST_SECRET"] = "of the agent";
    await using store = await openStore();
    const { status, tail } = await exec(store.jobs, ["env"], {
      env: { GREETING: "héllo\nworld", OUTPOST_JOB: "mine" },
    });
    delete process.env["OUTPOST_TEST_SECRET"];
    const text = decode(tail!.stdout!.bytes);
    const names = text.match(/^[A-Z_]+(?==)/gm)!;
    // PWD is of the shell's making.
    expect(new Set(names.filter((name) => !["PWD", "OLDPWD", "SHLVL", "_"].includes(name)))).toEqual(
      new Set([
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "OUTPOST_JOB",
        "OUTPOST_HOST",
        "GREETING",
      ]),
    );
    expect(text).toContain(`OUTPOST_JOB=${status.job}\n`);
    expect(text).toContain("OUTPOST_HOST=web1\n");
    expect(text).toContain("GREETING=héllo\nworld\n");
  });

  it("is its arguments as they are, without a shell", async () => {
    await using store = await openStore();
    const nasty = ["$(id)", "*", "a b", "'", '"', "", "-n", "new\nline", "ünï"];
    const { tail } = await exec(store.jobs, ["printf", "%s|", ...nasty]);
    expect(decode(tail!.stdout!.bytes)).toBe(`${nasty.join("|")}|`);
  });

  it("is a working directory, default signals, and files of nobody else's", async () => {
    await using store = await openStore();
    const { status, tail } = await shell(store.jobs, "pwd; ls -l /proc/$$/fd; trap", { cwd: "/usr" });
    const text = decode(tail!.stdout!.bytes);
    expect(text).toMatch(/^\/usr\n/);
    expect(text.match(/(?<=-> .*)outpost-jobs-.*/g)?.map((path) => path.split("/").at(-1))).toEqual([
      "stdout",
      "stderr",
    ]);
    expect(statSync(store.path(status.job)).mode & 0o777).toBe(0o700);
    for (const file of ["stdout", "stderr", "exit", "spec.json", "process.json"]) {
      expect(statSync(store.path(status.job, file)).mode & 0o777).toBe(0o600);
    }
  });

  it("runs a script by its own first line", async () => {
    await using store = await openStore();
    const body = Buffer.from("#!/bin/cat\nline two\nline three\n");
    const { tail } = await store.jobs.start(request({ kind: "script", name: "show me", body, args: [] }));
    expect(decode(tail!.stdout!.bytes)).toBe("#!/bin/cat\nline two\nline three\n");
  });

  it("passes arguments to a script", async () => {
    await using store = await openStore();
    const body = Buffer.from('#!/bin/sh\necho "$(basename "$0"): $1, $2" >&2\nexit 4\n');
    const { status, tail } = await store.jobs.start(
      request({ kind: "script", name: "collect.sh", body, args: ["one", "two three"] }),
    );
    expect(decode(tail!.stderr!.bytes)).toBe("collect.sh: one, two three\n");
    expect(status.exit).toEqual({ code: 4 });
  });
});

describe("output", () => {
  it("travels with the answer when it is short", async () => {
    await using store = await openStore();
    const { status, tail } = await shell(store.jobs, "echo out; echo err >&2; printf more");
    expect(decode(tail!.stdout!.bytes)).toBe("out\nmore");
    expect(decode(tail!.stderr!.bytes)).toBe("err\n");
    expect(status.output).toEqual({
      stdout: { written: 8, received: 0 },
      stderr: { written: 4, received: 0 },
    });
    expect(tail!.timeline!.bytes.byteLength % 16).toBe(0);
  });

  it("does not when it is long", async () => {
    await using store = await openStore();
    const { status, tail } = await shell(store.jobs, "head -c 20000 /dev/zero");
    expect(tail).toBeUndefined();
    expect(status.output.stdout.written).toBe(20_000);
    const reading = readJob(store.jobs, status.job, { from: { stdout: 0 } });
    await reading.result;
    expect(reading.bytes("stdout").equals(Buffer.alloc(20_000))).toBe(true);
  });

  it("is bytes: NUL, invalid UTF-8, no newline", async () => {
    await using store = await openStore();
    const { tail } = await shell(store.jobs, String.raw`printf '\000\377\376a\200'`);
    expect([...tail!.stdout!.bytes]).toEqual([0, 255, 254, 97, 128]);
  });

  it("is complete when a grandchild goes on writing after the main process, and the exit is known before", async () => {
    await using store = await openStore();
    const seen: unknown[] = [];
    store.jobs.onChanged(({ state, exit }) => seen.push([state, exit]));
    const { status, tail } = await shell(store.jobs, "(sleep 0.3; echo late) & echo early; exit 5");
    expect(decode(tail!.stdout!.bytes)).toBe("early\nlate\n");
    expect(status).toMatchObject({ state: "failed", exit: { code: 5 } });
    expect(seen).toEqual([
      ["running", undefined],
      ["running", { code: 5 }],
      ["failed", { code: 5 }],
    ]);
  });

  it("does not hold a job whose background process has let go of it", async () => {
    await using store = await openStore();
    const { status, tail } = await shell(store.jobs, "sleep 30 >/dev/null 2>&1 & echo $!");
    expect(status.state).toBe("completed");
    process.kill(Number(decode(tail!.stdout!.bytes)));
  });

  it("does not hold a job that left a daemon behind", async () => {
    await using store = await openStore();
    const { status, tail } = await shell(store.jobs, "setsid sleep 30 & echo $!");
    expect(status.state).toBe("completed");
    const pid = Number(decode(tail!.stdout!.bytes));
    await until(() => isAlive(pid));
    process.kill(pid);
  });

  it("may be closed by a job that lives on", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "echo bye; exec >&- 2>&-; sleep 0.3; exit 6");
    await until(() => statusOf(store.jobs, job).output.stdout.written === 4);
    expect(statusOf(store.jobs, job).state).toBe("running");
    expect(await untilEnded(store.jobs, job)).toMatchObject({ state: "failed", exit: { code: 6 } });
  });

  it("stops the job that writes more than the limit, and what was written stays", async () => {
    await using store = await openStore({ settings: { maxOutputBytesPerJob: 1_000_000 } });
    const job = await background(store.jobs, "yes");
    const status = await untilEnded(store.jobs, job);
    expect(status).toMatchObject({ state: "failed", reason: { code: "output_limit" } });
    expect(status.output.stdout.written).toBeGreaterThan(1_000_000);
    const reading = readJob(store.jobs, job, { from: { stdout: 0 } });
    await reading.result;
    expect(reading.bytes("stdout").length).toBe(status.output.stdout.written);
  });
});

describe("the same id", () => {
  it("is one process, however often it is asked for", async () => {
    await using store = await openStore();
    const params = request({ kind: "shell", text: "echo $$; sleep 0.2" });
    const answers = await Promise.all([
      store.jobs.start(params),
      store.jobs.start(params),
      store.jobs.start(params),
    ]);
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect((await store.jobs.start(params)).tail).toEqual(answers[0].tail);
    const jobs = await store.reopen();
    expect(decode((await jobs.start(params)).tail!.stdout!.bytes)).toBe(
      decode(answers[0].tail!.stdout!.bytes),
    );
  });

  it("is remembered after the job was removed", async () => {
    await using store = await openStore();
    const params = request({ kind: "shell", text: "echo once; exit 9" });
    const { status } = await store.jobs.start(params);
    await store.jobs.acknowledge({ job: params.job, received: { stdout: 5 } });
    expect(existsSync(store.path(params.job))).toBe(false);
    const removed = {
      ...status,
      removed: true,
      output: { ...status.output, stdout: { written: 5, received: 5 } },
    };
    expect(await store.jobs.start(params)).toEqual({ status: removed });
    const jobs = await store.reopen();
    expect(await jobs.start(params)).toEqual({ status: removed });
    expect(jobs.list()).toEqual([]);
  });
});

describe("acknowledging", () => {
  it("is kept over a restart, never goes back, and never beyond what was written", async () => {
    await using store = await openStore();
    const { status } = await shell(store.jobs, "echo 123456789");
    const { job } = status;
    await store.jobs.acknowledge({ job, received: { stdout: 4, stderr: 1000 } });
    await store.jobs.acknowledge({ job, received: { stdout: 2 } });
    const jobs = await store.reopen();
    expect(statusOf(jobs, job).output).toEqual({
      stdout: { written: 10, received: 4 },
      stderr: { written: 0, received: 0 },
    });
  });

  it("does not remove a job that runs, nor one whose end may not have been seen", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "echo 1; sleep 0.3");
    await until(() => statusOf(store.jobs, job).output.stdout.written === 2);
    await store.jobs.acknowledge({ job, received: { stdout: 2 } });
    await untilEnded(store.jobs, job);
    expect(store.jobs.list()).toHaveLength(1);
    await store.jobs.acknowledge({ job, received: {} });
    expect(store.jobs.list()).toEqual([]);
    expect(statusOf(store.jobs, job)).toMatchObject({ state: "completed", removed: true });
  });

  it("leaves gaps where a reader comes too late", async () => {
    await using store = await openStore();
    const { status } = await shell(store.jobs, "echo 123456789");
    await store.jobs.acknowledge({ job: status.job, received: { stdout: 10 } });
    const reading = readJob(store.jobs, status.job);
    expect((await reading.result).status).toMatchObject({ state: "completed", removed: true });
    expect(reading.events).toEqual([
      { type: "gap", name: "stdout", gap: { from: 0, to: 10, reason: "received" } },
    ]);
  });
});

describe("removing", () => {
  it("is refused while the job runs", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "sleep 60");
    await expect(store.jobs.remove(job)).rejects.toMatchObject({ code: "conflict" });
  });

  it("leaves a gap and the status", async () => {
    await using store = await openStore();
    const { status } = await shell(store.jobs, "echo 123456789; exit 2");
    await store.jobs.acknowledge({ job: status.job, received: { stdout: 4 } });
    await store.jobs.remove(status.job);
    await store.jobs.remove(status.job);
    const reading = readJob(store.jobs, status.job, { from: { stdout: 1, stderr: 0 } });
    expect((await reading.result).status).toMatchObject({ state: "failed", exit: { code: 2 } });
    expect(reading.events).toEqual([
      { type: "gap", name: "stdout", gap: { from: 1, to: 4, reason: "received" } },
      { type: "gap", name: "stdout", gap: { from: 4, to: 10, reason: "removed" } },
    ]);
  });

  it("answers not_found for what was never here", async () => {
    await using store = await openStore();
    const job = newJobId();
    await expect(readJob(store.jobs, job).result).rejects.toMatchObject({ code: "not_found" });
    await expect(store.jobs.stop({ job, operator: "ada" })).rejects.toMatchObject({ code: "not_found" });
    await store.jobs.remove(job);
    expect(store.jobs.status([job])).toEqual([]);
  });
});

describe("inline input", () => {
  it("is read to its end", async () => {
    await using store = await openStore();
    const bytes = Buffer.from([0, 1, 255, 10]);
    const { tail } = await exec(store.jobs, ["cat"], { input: { kind: "inline", bytes } });
    expect(Buffer.from(tail!.stdout!.bytes).equals(bytes)).toBe(true);
  });

  it("is nothing when there is none", async () => {
    await using store = await openStore();
    expect((await exec(store.jobs, ["cat"])).status.state).toBe("completed");
  });
});

describe("the records", () => {
  it("say what was asked and how it ended", async () => {
    await using store = await openStore();
    const { status } = await shell(store.jobs, "exit 3", { timeoutMs: 5_000 });
    await store.reopen();
    const read = (file: string): unknown => JSON.parse(readFileSync(store.path(status.job, file), "utf8"));
    expect(read("spec.json")).toMatchObject({
      operator: "ada",
      spec: { command: { kind: "shell", text: "exit 3" } },
    });
    expect(read("end.json")).toMatchObject({ state: "failed", exit: { code: 3 } });
    expect(readFileSync(store.path(status.job, "exit"), "utf8").trim()).toBe("exit 3");
  });

  it("survive a damaged end.json", async () => {
    await using store = await openStore();
    const { status } = await shell(store.jobs, "echo x; exit 3");
    await store.reopen();
    writeFileSync(store.path(status.job, "end.json"), '{"state":');
    const jobs = await store.reopen();
    expect(statusOf(jobs, status.job)).toMatchObject({ state: "failed", exit: { code: 3 } });
    expect(await outputOf(jobs, status.job)).toEqual({ stdout: "x\n", stderr: "" });
  });
});
