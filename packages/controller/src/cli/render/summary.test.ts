import type { HostName, JobId } from "@outpost/protocol";
import { expand } from "@outpost/protocol/targets";
import { describe, expect, test } from "vitest";
import type { ExitEvent } from "../../client/index.ts";
import { clockText, endingText } from "./ending.ts";
import { allNames, foldedNames } from "./names.ts";
import { summaryLines } from "./summary.ts";

function exit(host: string, end: Partial<ExitEvent>): ExitEvent {
  const about = { type: "exit", job: "0123456789ab" as JobId, host: host as HostName } as const;
  return { ...about, ended: true, state: "completed", ...end };
}

const failed = (host: string, code: number): ExitEvent => exit(host, { state: "failed", exit: { code } });

describe("summary", () => {
  test("one host that succeeded is not worth a word", async () => {
    expect(await summaryLines([exit("web1", {})])).toEqual([]);
  });

  test("one host that failed is one line", async () => {
    expect(await summaryLines([failed("web1", 7)])).toEqual(["web1: exit code 7"]);
  });

  test("several are counted by how they ended, and named; what has more to say says it before", async () => {
    const exits = [
      failed("web10", 1),
      failed("web9", 1),
      failed("web11", 3),
      exit("web2", { state: "failed", reason: { code: "timed_out", message: "" } }),
      exit("web3", {}),
      exit("web4", { state: "lost", reason: { code: "host_rebooted", message: "the host was restarted" } }),
      exit("web5", { ended: false, state: "running" }),
      exit("web6", { ended: false, state: "pending" }),
      exit("web7", { state: "stopped", reason: { code: "not_begun", message: "" } }),
      exit("web8", { state: "stopped", reason: { code: "skipped", message: "" } }),
      exit("db1", { state: "failed", exit: { signal: "SIGKILL" } }),
      exit("db2", { state: "failed", reason: { code: "start_failed", message: "no program x" } }),
    ];
    expect(await summaryLines(exits)).toEqual([
      "web4: lost: the host was restarted",
      "db2: cannot start: no program x",
      "12 hosts: 1 succeeded; 2 failed with exit code 1 (web[9-10]); 1 failed with exit code 3 (web11); 1 ended by SIGKILL (db1); " +
        "1 could not start (db2); 1 timed out (web2); 1 lost (web4); 1 skipped (web8); 1 not begun (web7); 1 still running (web5); " +
        "1 without an answer (web6)",
    ]);
  });

  test("hosts on which only the check has failed are no successes", async () => {
    const about = { type: "check", job: "0123456789ab" as JobId, check: "ba9876543210" as JobId } as const;
    const sick = (host: string): ExitEvent =>
      exit(host, {
        failedCheck: { ...about, host: host as HostName, ended: true, state: "failed", exit: { code: 4 } },
      });
    const reason = "check failed: exit code 4; what it said: outpost job receive ba9876543210 --keep";
    expect(await summaryLines([sick("web1")])).toEqual([`web1: ${reason}`]);
    expect(await summaryLines([sick("web1"), sick("web2"), exit("web3", {})])).toEqual([
      `web[1-2]: ${reason}`,
      "3 hosts: 1 succeeded; 2 failed the check (web[1-2])",
    ]);
  });

  test("what differs from host to host is left out for several", async () => {
    const away = (host: string): ExitEvent => {
      const message = `${host} has no connection to the controller (last seen never); nothing ran there`;
      return exit(host, { state: "failed", reason: { code: "host_unreachable", message } });
    };
    expect(await summaryLines([away("web1")])).toEqual([
      "web1: unreachable: has no connection to the controller (last seen never); nothing ran there",
    ]);
    expect(await summaryLines([away("web1"), away("web2")])).toEqual(["2 hosts: 2 unreachable (web[1-2])"]);
  });

  test("a thousand are one line", async () => {
    const exits = Array.from({ length: 1000 }, (_, at) =>
      at < 10
        ? failed(`web${String(at + 1).padStart(4, "0")}`, 3)
        : exit(`web${String(at + 1).padStart(4, "0")}`, {}),
    );
    expect(await summaryLines(exits)).toEqual([
      "1000 hosts: 990 succeeded; 10 failed with exit code 3 (web[0001-0010])",
    ]);
  });

  test("many ways to fail are not all told apart", async () => {
    const exits = Array.from({ length: 40 }, (_, at) => failed(`web${String(at + 1)}`, (at % 20) + 1));
    const [line] = await summaryLines(exits);
    expect(line).toMatch(
      /^40 hosts: 2 failed with exit code 1 \(web\[1,21\]\); .*; 32 failed in 16 other ways \(web/,
    );
    const reasons = Array.from({ length: 14 }, (_, at) =>
      exit(`web${String(at)}`, {
        state: "failed",
        reason: { code: "refused", message: `why ${String(at)}` },
      }),
    );
    const lines = await summaryLines(reasons);
    expect(lines.slice(10)).toEqual([
      "4 more reasons; --output json has them all",
      "14 hosts: 14 refused (web[0-13])",
    ]);
  });

  test("success of several is told, too", async () => {
    expect(await summaryLines([exit("web1", {}), exit("web2", {})])).toEqual(["2 hosts: 2 succeeded"]);
  });
});

describe("names", () => {
  test("are folded, and cut where they are too many", async () => {
    expect(await foldedNames(["web10", "web9", "web2"])).toBe("web[2,9-10]");
    const odd = Array.from(
      { length: 300 },
      (_, at) => `web${String(at)}-${String.fromCodePoint(97 + (at % 26))}${String(at)}x`,
    );
    const text = await foldedNames(odd);
    expect(text.length).toBeLessThanOrEqual(200);
    expect(text).toMatch(/ and \d+ more$/);
    const shown = expand(text.replace(/ and \d+ more$/, ""));
    expect(shown.length + Number(/(\d+) more$/.exec(text)![1])).toBe(300);
    expect(expand(await allNames(odd)).toSorted()).toEqual(odd.toSorted());
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
