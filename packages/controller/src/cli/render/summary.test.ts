import type { HostName, JobId } from "@outpost/protocol";
import { describe, expect, test } from "vitest";
import type { ExitEvent } from "../../client/index.ts";
import { clockText, endingText } from "./ending.ts";
import { summaryLines } from "./summary.ts";

function exit(host: string, end: Partial<ExitEvent>): ExitEvent {
  const about = { type: "exit", job: "0123456789ab" as JobId, host: host as HostName } as const;
  return { ...about, ended: true, state: "completed", ...end };
}

const failed = (host: string, code: number): ExitEvent => exit(host, { state: "failed", exit: { code } });

describe("summary", () => {
  test("one host that succeeded is not worth a word", () => {
    expect(summaryLines([exit("web1", {})], false)).toEqual([]);
  });

  test("one host that failed is one line", () => {
    expect(summaryLines([failed("web1", 7)], true)).toEqual(["web1: exit code 7"]);
  });

  test("several are grouped by how they ended, and counted", () => {
    const exits = [
      failed("web10", 1),
      failed("web9", 1),
      exit("web2", { state: "failed", reason: { code: "timed_out", message: "" } }),
      exit("web3", {}),
      exit("web4", { state: "lost", reason: { code: "host_rebooted", message: "the host was restarted" } }),
      exit("web5", { ended: false, state: "running" }),
    ];
    expect(summaryLines(exits, true)).toEqual([
      "web9, web10: exit code 1",
      "web2: timed out",
      "web4: lost: the host was restarted",
      "6 hosts: 1 succeeded, 2 failed, 1 timed out, 1 lost, 1 running",
    ]);
  });

  test("what differs from host to host is left out for several", () => {
    const away = (host: string): ExitEvent => {
      const message = `${host} has no connection to the controller (last seen never); nothing ran there`;
      return exit(host, { state: "failed", reason: { code: "host_unreachable", message } });
    };
    expect(summaryLines([away("web1")], true)).toEqual([
      "web1: unreachable: has no connection to the controller (last seen never); nothing ran there",
    ]);
    expect(summaryLines([away("web1"), away("web2")], true)).toEqual([
      "web1, web2: unreachable; nothing ran there",
      "2 hosts: 2 unreachable",
    ]);
  });

  test("many names are cut", () => {
    const exits = Array.from({ length: 12 }, (_, index) => failed(`web${String(index + 1)}`, 1));
    expect(summaryLines(exits, true)[0]).toBe(
      "web1, web2, web3, web4, web5, web6, web7, web8, web9, web10 and 2 more: exit code 1",
    );
  });

  test("success of several is told to who watches, and not to a script", () => {
    const exits = [exit("web1", {}), exit("web2", {})];
    expect(summaryLines(exits, true)).toEqual([]);
    expect(summaryLines(exits, false)).toEqual(["2 hosts: 2 succeeded"]);
  });
});

test.each([
  [{ state: "failed", exit: { signal: "SIGKILL" } }, "ended by SIGKILL"],
  [{ state: "stopped", reason: { code: "stopped", message: "", by: "ada" } }, "stopped by ada"],
  [
    { state: "failed", reason: { code: "start_failed", message: "no program x" } },
    "cannot start: no program x",
  ],
  [{ ended: false, state: "running" }, "running"],
  [
    { ended: false, state: "running", unreachableSince: Date.now() },
    `unreachable since ${clockText(Date.now())}`,
  ],
] as const)("%j", (end, text) => expect(endingText(exit("web1", end))).toBe(text));
