import { type JobStartResult, type JobStatus, newJobId } from "@outpost/protocol";
import { beforeEach, expect, test } from "vitest";
import { Starts } from "./starts.ts";

const job = newJobId();
const nothing = { written: 0, received: 0 };
const inState = (state: JobStatus["state"], more: Partial<JobStatus> = {}): JobStatus => ({
  job,
  state,
  output: { stdout: nothing, stderr: nothing },
  ...more,
});

let told: string[];
let starts: Starts;
beforeEach(() => {
  told = [];
  starts = new Starts(({ state }) => told.push(state));
});

test("what the answer says is not told besides", async () => {
  const { status } = await starts.answering(job, async () => {
    starts.changed(inState("running"));
    starts.changed(inState("completed"));
    return { status: inState("completed") };
  });
  expect([status.state, told]).toEqual(["completed", []]);
});

test("what comes after the answer is told, and so is what other jobs do meanwhile", async () => {
  await starts.answering(job, async () => {
    starts.changed({ ...inState("failed"), job: newJobId() });
    starts.changed(inState("running"));
    return { status: inState("running") };
  });
  starts.changed(inState("completed"));
  expect(told).toEqual(["failed", "completed"]);
});

test("the last word is told when the answer is an older one, or there is none", async () => {
  await starts.answering(job, async () => {
    const status = inState("running");
    starts.changed(status);
    starts.changed(inState("stopped"));
    return { status };
  });
  await starts.answering(job, async () => {
    starts.changed(inState("completed", { removed: true }));
    return { status: inState("completed") };
  });
  const cancelled = starts.answering(job, async () => {
    starts.changed(inState("lost"));
    throw new Error("cancelled");
  });
  await expect(cancelled).rejects.toThrow("cancelled");
  expect(told).toEqual(["stopped", "completed", "lost"]);
});

test("asked for twice at the same time, everything is told from then on", async () => {
  const first = Promise.withResolvers<JobStartResult>();
  const second = Promise.withResolvers<JobStartResult>();
  const answers = [starts.answering(job, () => first.promise), starts.answering(job, () => second.promise)];
  starts.changed(inState("running"));
  second.resolve({ status: inState("running") });
  starts.changed(inState("completed"));
  first.resolve({ status: inState("completed") });
  await Promise.all(answers);
  expect(told).toEqual(["running", "completed"]);
});
