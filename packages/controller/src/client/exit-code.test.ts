import { type HostName, HostName as HostNameSchema, newJobId } from "@outpost/protocol";
import * as v from "valibot";
import { expect, test } from "vitest";
import type { ExitEvent } from "./events.ts";
import { exitCodeOf, outcomeOf } from "./exit-code.ts";
import { summarise } from "./summary.ts";

const job = newJobId();
const host = (name: string): HostName => v.parse(HostNameSchema, name);
const exit = (name: string, rest: Partial<ExitEvent>): ExitEvent => ({
  type: "exit",
  job,
  host: host(name),
  ended: true,
  state: "failed",
  ...rest,
});
const reason = (code: NonNullable<ExitEvent["reason"]>["code"]): Pick<ExitEvent, "reason"> => ({
  reason: { code, message: "why" },
});

test.each<[Partial<ExitEvent>, ReturnType<typeof outcomeOf>, number]>([
  [{ state: "completed", exit: { code: 0 } }, "succeeded", 0],
  [{ exit: { code: 7 } }, "failed", 7],
  [{ exit: { signal: "SIGKILL" } }, "failed", 137],
  [{ exit: { signal: "SIGTERM" }, ...reason("timed_out") }, "timedOut", 124],
  [{ ...reason("start_failed") }, "failed", 252],
  [{ ...reason("host_unreachable") }, "unreachable", 254],
  [{ ...reason("expired") }, "unreachable", 254],
  [{ ...reason("refused") }, "failed", 252],
  [{ ...reason("output_limit"), exit: { code: 0 } }, "failed", 252],
  [{ state: "stopped", exit: { signal: "SIGTERM" }, ...reason("stopped") }, "stopped", 143],
  [{ state: "lost", ...reason("host_rebooted") }, "lost", 250],
  [{ ended: false, state: "running" }, "running", 0],
  [{ ended: false, state: "running", unreachableSince: 1 }, "unreachable", 254],
])("%o is %s and exits with %i", (event, outcome, code) => {
  expect(outcomeOf(exit("web1", event))).toBe(outcome);
  expect(exitCodeOf(exit("web1", event))).toBe(code);
});

test("the whole exits with the highest of its hosts', and names all of them", () => {
  const summary = summarise(job, [
    exit("b", { exit: { code: 3 } }),
    exit("a", { exit: { code: 1 } }),
    exit("c", { state: "completed", exit: { code: 0 } }),
  ]);
  expect(summary).toMatchObject({ exitCode: 3, failed: ["a", "b"], succeeded: ["c"] });
});

test("a failed check counts where nothing else has failed", () => {
  const completed = exit("a", { state: "completed", exit: { code: 0 } });
  const failedCheck = { ...completed, type: "check", check: newJobId(), state: "failed" } as const;
  const checked = { ...completed, failedCheck };
  expect(outcomeOf(checked)).toBe("checkFailed");
  expect(summarise(job, [checked])).toMatchObject({ exitCode: 249, checkFailed: ["a"], succeeded: [] });
  expect(summarise(job, [checked, exit("b", { exit: { code: 1 } })])).toMatchObject({ exitCode: 1 });
});
