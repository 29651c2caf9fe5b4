import { type JobStatus, newJobId } from "@outpost/protocol";
import { expect, test } from "vitest";
import { jobsText, jobText, stateText, unreadBytes } from "./job-text.ts";

const status: JobStatus = {
  job: newJobId(),
  state: "failed",
  startedAt: 1_000,
  exit: { code: 7 },
  output: { stdout: { written: 10, received: 4 }, stderr: { written: 3, received: 0 } },
  origin: { user: "ada", command: "make", name: "build", acceptedAt: 1_000 },
};

test("a job in lines", () => {
  expect(jobText(status, 61_000).split("\n")).toEqual([
    `job       ${status.job} (build)`,
    "state     failed: exit code 7",
    "command   make",
    "started   1 min ago by ada",
    "output    stdout 10 bytes, stderr 3 bytes, 9 unread",
  ]);
});

test("of an operator's job the host says what it knows", () => {
  const { origin: _, ...operators } = status;
  expect(jobText({ ...operators, removed: true }, 61_000)).toMatch(
    /command {3}an operator's.*\n.*by an operator\n.*gone from this host$/,
  );
  expect(jobsText([operators], 61_000).split("\n")[1]).toMatch(/ - +failed +9 +1 min ago +an operator +-$/);
});

test("a list lines up, and control characters stay out of the terminal", () => {
  const odd = { ...status, origin: { ...status.origin!, name: "a\u001b[2J" } };
  const [head, first, second] = jobsText([odd, status], 61_000).split("\n");
  expect(first).toContain("a�[2J");
  expect(head!.indexOf("STATE")).toBe(first!.indexOf("failed"));
  expect(head!.indexOf("STATE")).toBe(second!.indexOf("failed"));
  expect(jobsText([], 0)).toBe("no jobs");
});

test.each<[string, Partial<JobStatus>]>([
  ["running", { state: "running" }],
  ["running: the main process ended, others hold the output open", { state: "running", exit: { code: 0 } }],
  ["completed", { state: "completed", exit: { code: 0 } }],
  ["failed: ended by SIGSEGV", { state: "failed", exit: { signal: "SIGSEGV" } }],
  ["failed: timed out", { state: "failed", reason: { code: "timed_out", message: "m" } }],
  ["stopped by alice", { state: "stopped", reason: { code: "stopped", message: "m", by: "alice" } }],
  [
    "lost: the host was restarted",
    { state: "lost", reason: { code: "host_rebooted", message: "the host was restarted" } },
  ],
])("%s", (text, more) => {
  const { exit: _, ...rest } = status;
  expect(stateText({ ...rest, ...more })).toBe(text);
});

test("of a job that is gone nothing is unread", () => {
  expect(unreadBytes(status)).toBe(9);
  expect(unreadBytes({ ...status, removed: true })).toBe(0);
});
