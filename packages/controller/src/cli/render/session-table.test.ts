import { newSessionId, type SessionInfo } from "@outpost/protocol";
import { expect, test } from "vitest";
import { sessionTable } from "./session-table.ts";

const now = Date.UTC(2026, 0, 2);
const minute = 60_000;

function info(host: string, changes: object, more: object = {}): SessionInfo {
  return {
    host,
    status: {
      session: "4k7mabcdefgh",
      operator: "ann",
      state: "opened",
      availability: "available",
      activeAt: now - 5 * minute,
      viewers: [],
      output: { written: 10, unread: 0 },
      ...changes,
    },
    ...more,
  } as unknown as SessionInfo;
}

test("one row for each host, with what matters of each", () => {
  const viewer = (operator: string, role: string): object => ({
    viewer: newSessionId(),
    operator,
    role,
    since: 0,
  });
  const sessions = [
    info("web1", {
      name: "deploy",
      availability: "busy",
      viewers: [viewer("bob", "watch"), viewer("ann", "control")],
      command: "vim notes",
    }),
    info("web2", {
      name: "deploy",
      state: "disconnected",
      expiresAt: now + 115 * minute,
      output: { unread: 2_000_000 },
    }),
    info("web3", { state: "disconnected" }, { unreachableSince: now - 1_000 }),
    info("web4", {
      state: "closed",
      availability: "none",
      reason: { code: "removed", message: "removed by bob" },
    }),
  ];
  const lines = sessionTable(sessions, now, 200).split("\n");
  const cells = lines.map((line) => line.split(/ {2,}/));
  expect(cells[1]).toEqual([
    "4k7mabcdefgh",
    "deploy",
    "web1",
    "opened",
    "busy",
    "ann",
    "-",
    "-",
    "ann +bob",
    "0",
    "vim notes",
  ]);
  expect(cells[2]!.slice(3)).toEqual([
    "disconnected",
    "available",
    "ann",
    "5 min",
    "in 1 h 55 min",
    "-",
    "2.0 MB",
    "-",
  ]);
  expect(lines[3]).toMatch(/disconnected\? .*unreachable since/);
  expect(cells[4]!.slice(3)).toEqual(["closed", "none", "ann", "-", "-", "-", "0", "removed by bob"]);
});

test("none", () => {
  expect(sessionTable([], now)).toBe("no sessions; open one with: outpost session new TARGETS");
});
