import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigurationName } from "@outpost/protocol";
import * as v from "valibot";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findTool, hostEnforcement } from "../platform/index.ts";
import { background, outputOf, shell, statusOf, until, untilEnded } from "../testing/job-store.ts";
import { makeUser, needsRoot, openHome, type TestHome } from "../testing/run-as.ts";

const small = v.parse(ConfigurationName, "small");
const under = { configuration: small };

let home: TestHome;

beforeEach(async () => {
  home = await openHome();
});

afterEach(async () => {
  await home[Symbol.asyncDispose]();
});

async function say(text: string): Promise<string> {
  const { status } = await shell(home.jobs, text, under);
  const { stdout, stderr } = await outputOf(home.jobs, status.job);
  return stdout + stderr;
}

test("a job has a time, the shorter of what was asked and what is allowed", async () => {
  home.configure("small", "limits: { time: 200ms }\n");
  for (const asked of [{}, { timeoutMs: 60_000 }]) {
    const { status } = await shell(home.jobs, "sleep 60", { ...under, ...asked });
    expect(status).toMatchObject({ state: "failed", reason: { code: "timed_out" } });
  }
  home.configure("small", "limits: { time: 60s }\n");
  const { status } = await shell(home.jobs, "sleep 60", { ...under, timeoutMs: 100 });
  expect(status).toMatchObject({
    state: "failed",
    reason: { code: "timed_out", message: expect.stringContaining("100 ms") },
  });
});

test("a job writes no more than it may, also when another agent has taken it up", async () => {
  home.configure("small", "limits: { output: 64K }\n");
  const text = "while :; do echo 0123456789012345678901234567890123456789; done";
  const { status } = await shell(home.jobs, text, under);
  expect(status).toMatchObject({ state: "failed", reason: { code: "output_limit" } });
  const job = await background(home.jobs, `read -r _ <&-; until [ -e go ]; do sleep 0.05; done; ${text}`, {
    ...under,
    cwd: home.paths.directory,
  });
  await until(() => statusOf(home.jobs, job).state === "running");
  // What it began with stays, whatever becomes of the file.
  home.configure("small", "");
  await home.reopen();
  await shell(home.jobs, "touch go", { cwd: home.paths.directory });
  expect(await untilEnded(home.jobs, job)).toMatchObject({ reason: { code: "output_limit" } });
});

test("a time limit counts on after a restart of the agent", async () => {
  home.configure("small", "limits: { time: 1500ms }\n");
  const job = await background(home.jobs, "sleep 60", under);
  await until(() => statusOf(home.jobs, job).state === "running");
  home.configure("small", "");
  await home.reopen();
  expect(await untilEnded(home.jobs, job)).toMatchObject({ reason: { code: "timed_out" } });
});

test("only so many jobs at once, adopted ones and those of other configurations told apart", async () => {
  home.configure("small", "limits: { jobs: 2 }\n");
  home.configure("other", "limits: { jobs: 1 }\n");
  const other = { configuration: v.parse(ConfigurationName, "other") };
  const first = await background(home.jobs, "sleep 60", under);
  await background(home.jobs, "sleep 60", under);
  await expect(background(home.jobs, "sleep 60", under)).rejects.toMatchObject({ code: "limit_exceeded" });
  await background(home.jobs, "sleep 60", other);
  await background(home.jobs, "sleep 60");
  await home.reopen();
  await expect(background(home.jobs, "true", under)).rejects.toMatchObject({ code: "limit_exceeded" });
  await home.jobs.stop({ job: first, operator: "ada", graceMs: 0 });
  await untilEnded(home.jobs, first);
  await background(home.jobs, "true", under);
});

test("open files are limited", async (context) => {
  if (findTool("prlimit") === undefined) context.skip("it needs prlimit(1)");
  home.configure("small", "limits: { openFiles: 33 }\n");
  expect(await say("ulimit -n; ulimit -Hn")).toBe("33\n33\n");
});

test("memory, processes and CPU time are limited by rlimits where there is no systemd", async (context) => {
  needsRoot(context);
  if (hostEnforcement().scopes !== undefined) context.skip("this host has systemd: a scope limits them");
  using user = makeUser();
  home.configure(
    "small",
    `user: ${user.name}\nlimits: { memory: 512M, processes: 9, cpu: 50%, time: 10s }\n`,
  );
  expect(await say("ulimit -v; ulimit -p; ulimit -t")).toBe(`${String(512 * 1024)}\n9\n5\n`);
  expect(await say("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 5 & done; wait")).toContain("fork");
});

test("processes that the agent's user starts are put back to where others are when memory runs out", async (context) => {
  needsRoot(context);
  const own = readFileSync("/proc/self/oom_score_adj", "utf8").trim();
  const { status } = await shell(home.jobs, "cat /proc/self/oom_score_adj");
  const { stdout } = await outputOf(home.jobs, status.job);
  expect(Number(stdout)).toBe(Math.max(0, Number(own)));
});

test("what a job is held to is in its spec, for the next agent", async () => {
  home.configure("small", "limits: { time: 1m, output: 1M }\n");
  const { status } = await shell(home.jobs, "true", under);
  const spec = JSON.parse(readFileSync(join(home.paths.jobs, status.job, "spec.json"), "utf8")) as object;
  expect(spec).toMatchObject({ configuration: "small", timeoutMs: 60_000, maxOutputBytes: 1024 * 1024 });
});
