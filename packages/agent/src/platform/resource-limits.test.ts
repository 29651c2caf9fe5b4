import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { oomReset } from "./oom-score.ts";
import { explainEnforcement, limitsPrefix } from "./resource-limits.ts";

const systemd = { scopes: "/usr/bin/systemd-run", rlimits: "/usr/bin/prlimit" };
const rlimits = { rlimits: "/usr/bin/prlimit" };
const limits = { cpus: 0.5, memoryBytes: 1024, processes: 9, openFiles: 33, timeMs: 10_000 };

test("a scope of systemd holds the group, and rlimits what it cannot", () => {
  expect(limitsPrefix({ limits, uid: 501, description: "Outpost job x" }, systemd)).toEqual([
    "/usr/bin/systemd-run",
    "--scope",
    "--quiet",
    "--collect",
    "--slice=outpost.slice",
    "--description=Outpost job x",
    ..."-p CPUQuota=50% -p MemoryMax=1024 -p MemorySwapMax=0 -p TasksMax=9 --".split(" "),
    ..."/usr/bin/prlimit --nofile=33 --".split(" "),
  ]);
});

test("without systemd rlimits hold what they can", () => {
  const prefix = (uid: number): string => limitsPrefix({ limits, uid, description: "x" }, rlimits).join(" ");
  expect(prefix(501)).toBe("/usr/bin/prlimit --nofile=33 --as=1024 --nproc=9 --cpu=5 --");
  expect(prefix(0)).toBe("/usr/bin/prlimit --nofile=33 --as=1024 --cpu=5 --");
});

test("nothing stands in front of what is not limited", () => {
  for (const host of [systemd, rlimits, {}])
    expect(limitsPrefix({ limits: { timeMs: 5 }, uid: 0, description: "x" }, host)).toEqual([]);
  expect(limitsPrefix({ limits, uid: 0, description: "x" }, {})).toEqual([]);
});

test("what is not enforced is said", () => {
  const { timeMs: _, ...untimed } = limits;
  const told = (
    uid: number,
    host: Parameters<typeof explainEnforcement>[2],
    given = limits as object,
  ): string[] =>
    explainEnforcement(given, uid, host)
      .filter(({ enforced }) => !enforced)
      .map(({ limit, how }) => `${limit}: ${how}`);
  expect(told(501, systemd)).toEqual([]);
  expect(told(501, rlimits)).toEqual([]);
  expect(told(501, rlimits, untimed)).toEqual([expect.stringMatching(/^cpu: not enforced/)]);
  expect(told(0, rlimits)).toEqual([expect.stringMatching(/^processes: not enforced.*root/)]);
  expect(told(501, {})).toHaveLength(4);
});

test("a process is put back to where others are when memory runs out, and its parent is not", () => {
  if (process.platform !== "linux") return;
  const score = "/proc/self/oom_score_adj";
  // Upwards, which everybody may: only root may lower it.
  const text = `echo 300 >${score}; (${oomReset(true)}cat ${score}); cat ${score}`;
  expect(spawnSync("/bin/sh", ["-c", text], { encoding: "utf8" }).stdout).toBe("0\n300\n");
  expect(oomReset(false)).toBe("");
});
