import type { HostInfo } from "@outpost/protocol";
import { factNames } from "@outpost/protocol/targets";
import { describe, expect, test } from "vitest";
import { factValue, isFactKey, sizeText } from "./fact-value.ts";
import { hostCounts } from "./host-state.ts";
import { hostTable } from "./host-table.ts";

const now = 1_000_000_000;
const facts: NonNullable<HostInfo["facts"]> = {
  platform: "linux",
  os: "Debian GNU/Linux 12 (bookworm)",
  osId: "debian",
  osVersion: "12",
  kernel: "6.1.0",
  arch: "x64",
  hostname: "web1.example.com",
  cpus: 4,
  memoryBytes: 8 * 1024 ** 3,
  agentVersion: "0.3.0",
  bootId: "boot",
  disks: [
    { path: "/", sizeBytes: 100 * 1024 ** 3, freeBytes: 1.5 * 1024 ** 3 },
    { path: "/srv", sizeBytes: 1, freeBytes: 1 },
  ],
  addresses: ["10.0.0.1", "2001:db8::1"],
  custom: { rack: "r12", height: 3, spare: false, os: "mine" },
};
const host = (name: string, more: Partial<HostInfo> = {}): HostInfo =>
  ({
    id: name,
    name,
    state: "connected",
    labels: { role: "web" },
    facts,
    enrolledAt: 1,
    lastSeen: now,
    ...more,
  }) as HostInfo;

describe("what a host is by a key", () => {
  test.each([
    ["os", "debian"],
    ["os.version", "12"],
    ["mem", "8.0 GiB"],
    ["disk", "100 GiB"],
    ["disk.free", "1.5 GiB"],
    ["address", "10.0.0.1 2001:db8::1"],
    ["cpus", "4"],
    ["cloud", undefined],
    ["fact.rack", "r12"],
    ["fact.height", "3"],
    ["fact.spare", "false"],
    ["fact.constructor", undefined],
    ["constructor", undefined],
    ["role", "web"],
    ["label.role", "web"],
    ["label.os", undefined],
    ["rack", undefined],
  ])("%s", (key, value) => expect(factValue(host("web1"), key)).toBe(value));

  test("a label goes before a fact of the same name, and a host's own programs never get there", () => {
    expect(factValue(host("web1", { labels: { os: "ours" } }), "os")).toBe("ours");
    expect(factValue(host("web1"), "os")).toBe("debian");
  });

  test("the keys are those of target expressions", () => {
    expect(factNames.every(isFactKey)).toBe(true);
  });

  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [9.96 * 1024, "10 KiB"],
    [16 * 1024 ** 3, "16 GiB"],
    [2 ** 53, "8.0 PiB"],
  ])("%d bytes are %s", (bytes, text) => expect(sizeText(bytes)).toBe(text));
});

describe("the table", () => {
  test("has a column for each key, and notes when there are some", () => {
    const hosts = [
      host("web1"),
      host("web10", { state: "disconnected", lastSeen: now - 3_600_000, quarantinedSince: now - 60_000 }),
    ];
    expect(hostTable(hosts, { keys: ["mem", "fact.rack"], now, width: undefined }).split("\n")).toEqual([
      "NAME   STATE       LABELS    OS                                  VERSION  MEM      FACT.RACK  LAST SEEN  NOTE",
      "web1   connected   role=web  Debian GNU/Linux 12 (bookworm) x64  0.3.0    8.0 GiB  r12        now",
      "web10  quarantine  role=web  Debian GNU/Linux 12 (bookworm) x64  0.3.0    8.0 GiB  r12        1 h ago    waits for approval since 1 min",
    ]);
  });

  test.each([60, 80, 100])("fits into %i columns", (width) => {
    const hosts = [
      host("web1", { labels: { role: "web", zone: "eu-west-1a", tier: "production" } }),
      host("db1"),
    ];
    const lines = hostTable(hosts, { now, width }).split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
    expect(lines[1]).toMatch(/^web1 .*… .*now$/);
  });

  test("shows nothing that does more than be read", () => {
    const evil = { ...facts, os: "\u001b[2Jx", custom: { rack: "a\nb" } };
    const shown = hostTable([host("web1", { facts: evil })], { keys: ["fact.rack"], now });
    expect(shown.split("\n")).toHaveLength(2);
    expect(shown).not.toContain("\u001b");
  });

  test("of ten thousand hosts", () => {
    const hosts = Array.from({ length: 10_000 }, (_, index) => host(`web${String(index)}`));
    expect(hostTable(hosts, { now, width: 80 }).split("\n")).toHaveLength(10_001);
  });
});

test("how many are how", () => {
  expect(hostCounts([])).toBe("0 hosts");
  expect(hostCounts([host("a")])).toBe("1 host: 1 connected");
  expect(hostCounts([host("a"), host("b", { state: "never" }), host("c", { quarantinedSince: 1 })])).toBe(
    "3 hosts: 1 connected, 1 never seen, 1 in quarantine",
  );
});
