import { type JobStatus, newJobId } from "@outpost/protocol";
import { expect, test } from "vitest";
import { jobExitCode } from "./job-exit-code.ts";

const nothing = { written: 0, received: 0 };
const status = (more: Partial<JobStatus>): JobStatus => ({
  job: newJobId(),
  state: "running",
  output: { stdout: nothing, stderr: nothing },
  ...more,
});
const reason = (code: NonNullable<JobStatus["reason"]>["code"]) => ({ code, message: "…" });

test.each<[number, Partial<JobStatus>]>([
  [0, { state: "running" }],
  [0, { state: "completed", exit: { code: 0 } }],
  [7, { state: "failed", exit: { code: 7 } }],
  [137, { state: "failed", exit: { signal: "SIGKILL" } }],
  [143, { state: "stopped", exit: { signal: "SIGTERM" }, reason: reason("stopped") }],
  [252, { state: "stopped", exit: { code: 0 }, reason: reason("stopped") }],
  [252, { state: "failed", reason: reason("start_failed") }],
  [124, { state: "failed", exit: { signal: "SIGTERM" }, reason: reason("timed_out") }],
  [250, { state: "lost", reason: reason("host_rebooted") }],
])("%i for %j", (code, more) => {
  expect(jobExitCode(status(more))).toBe(code);
});
