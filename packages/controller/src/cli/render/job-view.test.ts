/** How a job and its hosts are shown. */
import { type FanOutInfo, HostName, type JobInfo, newJobId } from "@outpost/protocol";
import * as v from "valibot";
import { expect, test } from "vitest";
import { jobViewText } from "./job-view.ts";

const job = newJobId();
const now = Date.UTC(2026, 0, 1);

function info(
  name: string,
  more: Omit<Partial<JobInfo>, "status"> & { status?: Partial<JobInfo["status"]> } = {},
): JobInfo {
  const { status, ...rest } = more;
  const output = { stdout: { written: 3, received: 0 }, stderr: { written: 0, received: 0 } };
  return {
    host: v.parse(HostName, name),
    status: { job, state: "completed", output, startedAt: now - 1_000, endedAt: now, ...status },
    ...rest,
  };
}

function fanOut(hosts: number, more: Partial<FanOutInfo> = {}): FanOutInfo {
  return {
    job,
    name: "up",
    operator: "ada",
    command: "upgrade",
    mode: "keep",
    createdAt: now,
    state: "running",
    counts: {},
    hosts,
    unreadBytes: 6,
    ...more,
  };
}

const nothing = { stdout: { written: 0, received: 0 }, stderr: { written: 0, received: 0 } };
const many: readonly JobInfo[] = [
  ...Array.from({ length: 18 }, (_, index) => info(`web${String(index + 1)}`)),
  info("db1", { status: { state: "failed", exit: { code: 3 } } }),
  info("db2", { status: { state: "failed", exit: { code: 3 } } }),
  info("web19", { status: { state: "running" }, unreachableSince: now }),
  info("web20", { queued: "rollout", status: { state: "pending", output: nothing } }),
  info("web21", { queued: "host", status: { state: "pending", output: nothing } }),
];

test("of many hosts those that stand alike are together, what went wrong first", () => {
  const [, hosts] = jobViewText({ fanout: fanOut(many.length), jobs: many }, now).split("\n\n");
  expect(hosts).toMatchInlineSnapshot(`
    "STATE      COUNT  UNREAD  NOTE                                      HOSTS
    failed     2      6 B     exit code 3                               db[1-2]
    running    1      3 B     unreachable                               web19
    completed  18     54 B    -                                         web[1-18]
    pending    1      0       waits for its turn                        web20
    pending    1      0       offline; waits for the host to come back  web21"
  `);
});

test("each of them has a row when it is asked for, and each of few has one anyway", () => {
  const everyOne = jobViewText({ fanout: fanOut(many.length), jobs: many }, now, true).split("\n\n")[1]!;
  expect(everyOne.split("\n")).toHaveLength(1 + many.length);
  const few = jobViewText({ fanout: fanOut(20), jobs: many.slice(0, 20) }, now).split("\n\n")[1]!;
  expect(few.split("\n")).toHaveLength(21);
});

test("how far its roll-out is, and its check, are above them", () => {
  const check = newJobId();
  const rollout = {
    state: "paused",
    reason: "operator",
    by: "ada",
    stage: 2,
    stages: 5,
    begun: 21,
    waiting: 2,
    failures: 2,
    maxFailures: 10,
    check,
  } as const;
  const [head] = jobViewText({ fanout: fanOut(23, { rollout }), jobs: many }, now).split("\n\n");
  expect(head).toContain(
    "roll-out  stage 2 of 5, 21 of 23 hosts begun, 2 failed (of 10 allowed); paused by ada: outpost job resume up",
  );
  expect(head).toContain(`check     ${check} (outpost job show ${check})`);
});

test("how often it was run is told of a job that was retried", () => {
  const jobs = [info("web1", { status: { attempts: 3 } })];
  expect(jobViewText({ fanout: fanOut(1), jobs }, now)).toMatch(/web1 +completed .*run 3$/);
});
