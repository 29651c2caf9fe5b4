import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { ErrorCode, newSessionId, OutpostError } from "@outpost/protocol";
import { beforeEach, describe, expect, it } from "vitest";
import {
  background,
  exec,
  isAlive,
  openStore,
  outputOf,
  request,
  shell,
  type StartOptions,
  statusOf,
  until,
  untilEnded,
} from "../testing/job-store.ts";
import { hostPlatform } from "../platform/index.ts";
import { FakeShells } from "../testing/session-shells.ts";
import { openedSession } from "../testing/sessions.ts";

let sessions: FakeShells;
/** How the jobs here are asked for. */
let inSession: StartOptions;

beforeEach(() => {
  sessions = new FakeShells();
  inSession = { session: { ids: [sessions.session.session], busy: "wait" } };
});

const failing = (): StartOptions => ({ session: { ids: [sessions.session.session], busy: "fail" } });

describe("a job in a session", () => {
  it("has its output, exit and times as any other, and says in whose shell it ran", async () => {
    await using store = await openStore({ sessions });
    const { status, tail } = await shell(store.jobs, "echo out; echo err >&2; (exit 3)", inSession);
    expect(status).toMatchObject({ state: "failed", exit: { code: 3 } });
    expect(status.endedAt).toBeGreaterThanOrEqual(status.startedAt!);
    expect(Buffer.from(tail!.stdout!.bytes).toString()).toBe("out\n");
    expect(Buffer.from(tail!.stderr!.bytes).toString()).toBe("err\n");
    const record = JSON.parse(readFileSync(store.path(status.job, "process.json"), "utf8")) as unknown;
    expect(record).toMatchObject({ session: sessions.session.session });
  });

  it("is handed to the session with nothing but its directory and who asked", async () => {
    await using store = await openStore({ sessions });
    const { status } = await exec(store.jobs, ["echo", "a b", "$HOME"], inSession);
    expect(sessions.asked).toEqual([
      {
        session: sessions.session.session,
        job: status.job,
        directory: store.path(status.job).replace(/\/$/, ""),
        operator: "ada",
        busy: "wait",
      },
    ]);
    expect((await outputOf(store.jobs, status.job)).stdout).toBe("a b $HOME\n");
  });

  it("runs a script as a child, by its own first line", async () => {
    await using store = await openStore({ sessions });
    const body = Buffer.from("#!/bin/sh\necho $0 $1 | sed 's,.*/,,'; exit 4\n");
    const params = request({ kind: "script", name: "greet.sh", body, args: ["ada"] }, inSession);
    const { status } = await store.jobs.start(params);
    expect(status.exit).toEqual({ code: 4 });
    expect((await outputOf(store.jobs, params.job)).stdout).toBe("greet.sh ada\n");
  });

  it("reads input that came with it", async () => {
    await using store = await openStore({ sessions });
    const input = { kind: "inline", bytes: Buffer.from("hello") } as const;
    const { status } = await shell(store.jobs, "tr a-z A-Z", { ...inSession, input });
    expect((await outputOf(store.jobs, status.job)).stdout).toBe("HELLO");
  });

  it("reads streamed input as it comes, to its end", async () => {
    await using store = await openStore({ sessions });
    const job = await background(store.jobs, "cat", { ...inSession, input: { kind: "stream" } });
    const spool = await store.jobs.input(job);
    await spool.write(0, Buffer.from("one "));
    await until(() => statusOf(store.jobs, job).output.stdout.written === 4);
    const rest = Buffer.alloc(1_000_000, "x");
    await spool.write(4, rest);
    await spool.end();
    expect(await untilEnded(store.jobs, job)).toMatchObject({ state: "completed" });
    expect(statSync(store.path(job, "stdout")).size).toBe(1_000_004);
  });

  it("takes streamed input while it waits for its turn, and leaves no feeder when it never comes", async () => {
    await using store = await openStore({ sessions });
    sessions.isHeld = true;
    const options = { ...inSession, input: { kind: "stream" } } as const;
    const waiting = await background(store.jobs, "cat", options);
    const never = await background(store.jobs, "cat", options);
    const spool = await store.jobs.input(waiting);
    await spool.write(0, Buffer.from("early"));
    await spool.end();
    await store.jobs.stop({ job: never, operator: "ada" });
    await untilEnded(store.jobs, never);
    sessions.release();
    await untilEnded(store.jobs, waiting);
    expect((await outputOf(store.jobs, waiting)).stdout).toBe("early");
    await until(() => feeders(store.path(never)) === 0, "the feeder's end");
  });

  it("is pending until its turn comes", async () => {
    await using store = await openStore({ sessions });
    sessions.isHeld = true;
    const told: string[] = [];
    store.jobs.onChanged(({ state }) => told.push(state));
    const { status } = await shell(store.jobs, "true", { ...inSession, inlineWaitMs: 20 });
    expect(status.state).toBe("pending");
    expect(status.startedAt).toBeUndefined();
    sessions.release();
    expect(await untilEnded(store.jobs, status.job)).toMatchObject({ state: "completed" });
    expect(told).toEqual(["running", "completed"]);
  });

  it("runs on, with its exit known, while something in the background holds its output; the shell does not count", async () => {
    await using store = await openStore({ sessions });
    const job = await background(store.jobs, "(sleep 0.3; echo late) & echo now", inSession);
    await until(() => statusOf(store.jobs, job).exit !== undefined);
    expect(statusOf(store.jobs, job)).toMatchObject({ state: "running", exit: { code: 0 } });
    await untilEnded(store.jobs, job);
    expect((await outputOf(store.jobs, job)).stdout).toBe("now\nlate\n");
  });
});

describe("a start in a session", () => {
  it.each([
    [{ env: { A: "b" } }, "environment"],
    [{ cwd: "/" }, "working directory"],
  ])("with %j is refused: the session has its own", async (more, message) => {
    await using store = await openStore({ sessions });
    await expect(shell(store.jobs, "true", { ...inSession, ...more })).rejects.toMatchObject({
      code: ErrorCode.invalidArgument,
      message: expect.stringContaining(message),
    });
    expect(store.jobs.list()).toEqual([]);
  });

  it("takes the session that this host has, a live one before one that has ended", async () => {
    await using store = await openStore({ sessions });
    const ids = [newSessionId(), sessions.session.session];
    expect((await shell(store.jobs, "true", { session: { ids, busy: "wait" } })).status.state).toBe(
      "completed",
    );
    const options: StartOptions = { session: { ids: [newSessionId()], busy: "wait" } };
    await expect(shell(store.jobs, "true", options)).rejects.toMatchObject({ code: ErrorCode.notFound });
  });

  it("is refused when the session has ended, and when its shell takes no commands", async () => {
    await using store = await openStore({ sessions });
    const ended = openedSession(undefined, {
      state: "broken",
      reason: { code: "host_rebooted", message: "the host was restarted" },
    });
    const fish = openedSession(undefined, { shell: "/usr/bin/fish", integration: "none" });
    sessions.held.push(ended, fish);
    await expect(
      shell(store.jobs, "true", { session: { ids: [ended.session], busy: "wait" } }),
    ).rejects.toMatchObject({ code: ErrorCode.conflict, message: expect.stringContaining("was restarted") });
    await expect(
      shell(store.jobs, "true", { session: { ids: [fish.session], busy: "wait" } }),
    ).rejects.toMatchObject({ code: ErrorCode.invalidArgument, message: expect.stringContaining("fish") });
  });

  it("fails with busy when that was asked, and leaves nothing behind", async () => {
    await using store = await openStore({ sessions });
    const first = await background(store.jobs, "sleep 60", inSession);
    const params = request({ kind: "shell", text: "true" }, failing());
    const [one, two] = await Promise.allSettled([store.jobs.start(params), store.jobs.start(params)]);
    expect(one).toMatchObject({ status: "rejected", reason: { code: ErrorCode.busy } });
    expect(two).toMatchObject({ status: "rejected", reason: { code: ErrorCode.busy } });
    expect(store.jobs.list().map(({ job }) => job)).toEqual([first]);
    expect(existsSync(store.path(params.job))).toBe(false);
    await store.jobs.stop({ job: first, operator: "ada", graceMs: 0 });
    await untilEnded(store.jobs, first);
    expect((await store.jobs.start(params)).status.state).toBe("completed");
  });

  it("of the same id twice is one job", async () => {
    await using store = await openStore({ sessions });
    const params = request({ kind: "shell", text: "echo once" }, failing());
    const both = await Promise.all([store.jobs.start(params), store.jobs.start(params)]);
    expect(both[0].status).toEqual(both[1].status);
    expect(sessions.runs.size).toBe(1);
    expect(readFileSync(store.path(params.job, "stdout"), "utf8")).toBe("once\n");
  });

  it("that the session refuses while it waits has failed, and says why", async () => {
    await using store = await openStore({ sessions });
    sessions.refusal = new OutpostError(ErrorCode.conflict, "the session has just ended");
    const { status } = await shell(store.jobs, "true", inSession);
    expect(status).toMatchObject({
      state: "failed",
      reason: { code: "refused", message: "the session has just ended" },
    });
  });
});

describe("stopping a job in a session", () => {
  it("interrupts it, and never signals the shell itself", async () => {
    await using store = await openStore({ sessions });
    const job = await background(store.jobs, "echo begun; sleep 60", inSession);
    await until(() => statusOf(store.jobs, job).output.stdout.written > 0);
    await store.jobs.stop({ job, operator: "ada" });
    expect(await untilEnded(store.jobs, job)).toMatchObject({
      state: "stopped",
      reason: { code: "stopped", by: "ada" },
      exit: { code: 130 },
    });
    expect(sessions.stops.map(({ signal }) => signal)).toEqual(["SIGINT"]);
  });

  it("goes on to SIGTERM, then SIGKILL and interrupts until it has ended", async () => {
    await using store = await openStore({ sessions });
    sessions.ignored.add("SIGINT").add("SIGTERM");
    const job = await background(store.jobs, "sleep 60", inSession);
    await until(() => statusOf(store.jobs, job).state === "running");
    await store.jobs.stop({ job, operator: "ada", graceMs: 200 });
    expect(await untilEnded(store.jobs, job)).toMatchObject({ state: "stopped" });
    expect(sessions.stops.map(({ signal }) => signal).slice(0, 4)).toEqual([
      "SIGINT",
      "SIGTERM",
      "SIGINT",
      "SIGKILL",
    ]);
  });

  it("takes one out that waits", async () => {
    await using store = await openStore({ sessions });
    sessions.isHeld = true;
    const job = await background(store.jobs, "echo never", inSession);
    await store.jobs.stop({ job, operator: "ada" });
    const status = await untilEnded(store.jobs, job);
    expect(status).toMatchObject({ state: "stopped", reason: { by: "ada" } });
    expect(status.startedAt).toBeUndefined();
    expect(status.output.stdout.written).toBe(0);
  });

  it("ends what it left in the background with its output open, and nothing else", async () => {
    await using store = await openStore({ sessions });
    const text = "sleep 60 & echo $!; sleep 61 >/dev/null 2>&1 & echo $!";
    const job = await background(store.jobs, text, inSession);
    await until(() => statusOf(store.jobs, job).exit !== undefined);
    const [holder, other] = readFileSync(store.path(job, "stdout"), "utf8").split("\n").map(Number);
    await store.jobs.stop({ job, operator: "ada" });
    expect(await untilEnded(store.jobs, job)).toMatchObject({ state: "stopped", exit: { code: 0 } });
    await until(() => !isAlive(holder!));
    expect(isAlive(other!)).toBe(true);
    process.kill(other!);
  });

  it("happens when its time is over, counted from its start", async () => {
    await using store = await openStore({ sessions });
    sessions.isHeld = true;
    const job = await background(store.jobs, "sleep 60", { ...inSession, timeoutMs: 150 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(statusOf(store.jobs, job).state).toBe("pending");
    sessions.release();
    expect(await untilEnded(store.jobs, job)).toMatchObject({
      state: "failed",
      reason: { code: "timed_out" },
    });
  });
});

describe("when the session host's connection is cut", () => {
  it("a job is asked for again, and is the same", async () => {
    await using store = await openStore({ sessions });
    const job = await background(store.jobs, "sleep 0.8; echo done", inSession);
    await until(() => statusOf(store.jobs, job).state === "running");
    sessions.cut();
    expect(await untilEnded(store.jobs, job)).toMatchObject({ state: "completed" });
    expect(sessions.asked).toHaveLength(2);
    expect((await outputOf(store.jobs, job)).stdout).toBe("done\n");
  });

  it("and the session is lost with its shell, the job is lost and says so", async () => {
    await using store = await openStore({ sessions });
    const running = await background(store.jobs, "echo begun; sleep 60", inSession);
    const waiting = await background(store.jobs, "true", inSession);
    await until(() => statusOf(store.jobs, running).output.stdout.written > 0);
    await sessions.lose();
    expect(await untilEnded(store.jobs, running)).toMatchObject({
      state: "lost",
      reason: { code: "wrapper_vanished", message: expect.stringContaining("session") },
    });
    // Of this one it is certain that it never ran.
    expect(await untilEnded(store.jobs, waiting)).toMatchObject({
      state: "failed",
      reason: { code: "refused" },
    });
  });

  it("a record that was written all the same counts", async () => {
    await using store = await openStore({ sessions });
    const job = await background(store.jobs, "sleep 60", inSession);
    await until(() => statusOf(store.jobs, job).state === "running");
    writeFileSync(store.path(job, "exit"), `exit 7\n${" ".repeat(505)}`);
    await sessions.lose();
    expect(await untilEnded(store.jobs, job)).toMatchObject({ state: "failed", exit: { code: 7 } });
  });
});

describe("an agent that is started again", () => {
  it("adopts a job that runs in a session", async () => {
    await using store = await openStore({ sessions });
    const job = await background(store.jobs, "sleep 0.5; echo done", inSession);
    await until(() => statusOf(store.jobs, job).state === "running");
    const { startedAt } = statusOf(store.jobs, job);
    await store.reopen();
    expect(statusOf(store.jobs, job)).toMatchObject({ state: "running", startedAt });
    expect(await untilEnded(store.jobs, job)).toMatchObject({ state: "completed", exit: { code: 0 } });
    expect((await outputOf(store.jobs, job)).stdout).toBe("done\n");
  });

  it("adopts one that waits for its turn, and one that was stopped meanwhile", async () => {
    await using store = await openStore({ sessions });
    sessions.isHeld = true;
    const job = await background(store.jobs, "echo mine", inSession);
    await store.reopen();
    expect(statusOf(store.jobs, job).state).toBe("pending");
    sessions.release();
    expect(await untilEnded(store.jobs, job)).toMatchObject({ state: "completed" });
  });

  it("settles one that ended meanwhile from its record, without asking", async () => {
    await using store = await openStore({ sessions });
    const job = await background(store.jobs, "sleep 0.1; (exit 5)", inSession);
    await until(() => statusOf(store.jobs, job).state === "running");
    const { jobs } = store;
    await jobs[Symbol.asyncDispose]();
    await until(() => readFileSync(store.path(job, "exit"), "utf8").includes("\n"));
    await store.reopen();
    expect(statusOf(store.jobs, job)).toMatchObject({ state: "failed", exit: { code: 5 } });
    expect(sessions.asked).toHaveLength(1);
  });

  it("says of one whose session is gone that it is lost, and of one that had not started that it may not have run", async () => {
    await using store = await openStore({ sessions });
    const running = await background(store.jobs, "sleep 60", inSession);
    const waiting = await background(store.jobs, "true", inSession);
    await until(() => statusOf(store.jobs, running).state === "running");
    await store.jobs[Symbol.asyncDispose]();
    await sessions.lose();
    await store.reopen();
    expect(await untilEnded(store.jobs, running)).toMatchObject({
      state: "lost",
      reason: { code: "wrapper_vanished" },
    });
    expect(await untilEnded(store.jobs, waiting)).toMatchObject({
      state: "lost",
      reason: { code: "start_interrupted", message: expect.stringContaining("may not have run") },
    });
  });

  it("removes one that the session was never asked for", async () => {
    await using store = await openStore({ sessions });
    sessions.isHeld = true;
    const job = await background(store.jobs, "true", inSession);
    await store.jobs[Symbol.asyncDispose]();
    writeFileSync(store.path(job, "exit"), "");
    sessions.runs.clear();
    await store.reopen();
    expect(store.jobs.list()).toEqual([]);
    expect(existsSync(store.path(job))).toBe(false);
  });

  it("goes on to stop one that was being stopped", async () => {
    await using store = await openStore({ sessions });
    sessions.ignored.add("SIGINT").add("SIGTERM");
    const job = await background(store.jobs, "sleep 60", inSession);
    await until(() => statusOf(store.jobs, job).state === "running");
    await store.jobs.stop({ job, operator: "ada", graceMs: 600 });
    await store.reopen();
    expect(await untilEnded(store.jobs, job)).toMatchObject({ state: "stopped", reason: { by: "ada" } });
  });
});

/** How many processes feed the job of this directory. */
function feeders(directory: string): number {
  const path = directory.replace(/\/$/, "");
  return hostPlatform()
    .processes()
    .filter(
      ({ pid }) =>
        hostPlatform().commandLine(pid).includes("pipe-feeder") &&
        hostPlatform().commandLine(pid).includes(path),
    ).length;
}
