/** What a host says of itself over its agent's life, with real programs in its facts.d. */
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "@outpost/protocol/testing";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { HostFacts } from "./host-facts.ts";

let root: string;
let clock: FakeClock;
let lines: { level: number; msg: string }[];
let facts: HostFacts;
let changes: unknown[];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "outpost-facts-"));
  await mkdir(join(root, "facts.d"));
  clock = new FakeClock();
  lines = [];
});
afterEach(async () => {
  await facts[Symbol.asyncDispose]();
  expect(clock.pending).toBe(0);
  await rm(root, { recursive: true });
});

async function begin(): Promise<void> {
  facts = await HostFacts.begin({
    bootId: "boot",
    folders: [join(root, "facts.d")],
    remembered: join(root, "run", "facts.json"),
    intervalMs: 1_000,
    clock,
    log: pino({ level: "info" }, { write: (line) => void lines.push(JSON.parse(line) as never) }),
    random: () => 0.5,
  });
  changes = [];
  facts.onChanged(() => void changes.push(facts.current.custom));
}

async function says(script: string): Promise<void> {
  const path = join(root, "facts.d", "rack");
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
}

const warnings = (): string[] => lines.filter(({ level }) => level === 40).map(({ msg }) => msg);

test("programs are asked behind the start, and again and again; what changes is told", async () => {
  await says("echo r1");
  await begin();
  expect(facts.current).toMatchObject({ bootId: "boot", platform: process.platform });
  await expect.poll(() => changes).toEqual([{ rack: "r1" }]);
  await says("echo r2");
  await clock.advance(1_000);
  await expect.poll(() => changes).toEqual([{ rack: "r1" }, { rack: "r2" }]);
  await facts.refresh();
  expect(changes).toHaveLength(2);
  await says("true");
  await facts.refresh();
  expect(changes.at(-1)).toBeUndefined();
  expect(facts.status).toEqual({ gatheredAt: clock.now(), custom: 0, problems: [] });
});

test("what programs said before a restart holds until they have spoken again", async () => {
  await says("echo r1");
  await begin();
  await expect.poll(() => changes).toHaveLength(1);
  await facts[Symbol.asyncDispose]();
  await says("sleep 1000");
  await begin();
  expect(facts.current.custom).toEqual({ rack: "r1" });
  await facts[Symbol.asyncDispose]();
  // Interrupted it has said nothing, and nothing is forgotten.
  await says("echo r1");
  await begin();
  expect(facts.current.custom).toEqual({ rack: "r1" });
  await facts.refresh();
  expect(changes).toEqual([]);
});

test("a program that fails is logged once, its facts are gone, and its status says why", async () => {
  await says("echo no disk >&2; exit 1");
  await begin();
  await expect.poll(warnings).toHaveLength(1);
  expect(warnings()[0]).toContain("exit code 1: no disk");
  await facts.refresh();
  await facts.refresh();
  expect(warnings()).toHaveLength(1);
  expect(facts.status.problems).toEqual([
    { file: join(root, "facts.d", "rack"), message: "failed with exit code 1: no disk" },
  ]);
  await says("echo r1");
  await facts.refresh();
  expect(lines.at(-1)?.msg).toContain("in order again");
  await says("exit 1");
  await facts.refresh();
  expect(warnings()).toHaveLength(2);
  expect(facts.current.custom).toBeUndefined();
});

test("asked while it is gathering, it gathers once more: what changed meanwhile is seen", async () => {
  await says("echo r1");
  await begin();
  const first = facts.refresh();
  await says("echo r2");
  await Promise.all([first, facts.refresh()]);
  expect(facts.current.custom).toEqual({ rack: "r2" });
});
