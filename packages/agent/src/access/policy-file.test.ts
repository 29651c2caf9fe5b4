import { chmodSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "@outpost/protocol/testing";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { web1 } from "../testing/access.ts";
import { PolicyFile } from "./policy-file.ts";

let directory: string;
let file: string;
let clock: FakeClock;
let lines: { level: number; msg: string }[];
let states: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "outpost-policy-"));
  file = join(directory, "policy.yaml");
  clock = new FakeClock();
  lines = [];
  states = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

function open(): PolicyFile {
  const log = pino({ level: "debug" }, { write: (line) => void lines.push(JSON.parse(line) as never) });
  return new PolicyFile({ file, clock, log, changed: ({ kind }) => states.push(kind) });
}

const decide = (policy: PolicyFile, operator = "ada") =>
  policy.decide({ operator, action: "invoke", host: web1 });
const allowing = (operator: string): string =>
  `rules: [{ name: some, operators: [${operator}], actions: ["*"] }]\n`;

test("without a file, whatever the controller lets through", () => {
  using policy = open();
  expect(decide(policy)).toMatchObject({ allowed: true, rule: "none" });
  expect(states).toEqual([]);
});

test("every change is in force with the next request", () => {
  using policy = open();
  writeFileSync(file, allowing("ada"));
  expect([decide(policy).allowed, decide(policy, "grace").allowed]).toEqual([true, false]);
  writeFileSync(`${file}.new`, allowing("grace"));
  renameSync(`${file}.new`, file);
  expect([decide(policy).allowed, decide(policy, "grace").allowed]).toEqual([false, true]);
  rmSync(file);
  expect(decide(policy).allowed).toBe(true);
  expect(states).toEqual(["loaded", "loaded", "none"]);
});

test("with a file that is no policy nothing is allowed, loudly, until it is one", async () => {
  writeFileSync(file, "rules: [{ nam: x }]\n");
  using policy = open();
  expect(decide(policy)).toMatchObject({
    allowed: false,
    reason: expect.stringContaining(`${file}:1:`),
  });
  expect(lines).toMatchObject([
    { level: 50, msg: expect.stringMatching(/^NOTHING is allowed.*policy check/) },
  ]);
  writeFileSync(file, allowing("ada"));
  expect(decide(policy).allowed).toBe(true);
  // Also when nobody asks.
  writeFileSync(file, "rules: 7\n");
  await clock.advance(10_000);
  expect(states).toEqual(["bad", "loaded", "bad"]);
});

test.skipIf(process.getuid?.() === 0)("a file that cannot be read allows nothing", () => {
  writeFileSync(file, allowing("ada"));
  chmodSync(file, 0);
  using policy = open();
  expect(decide(policy).allowed).toBe(false);
});

test("a directory in its place allows nothing", () => {
  file = directory;
  using policy = open();
  expect(decide(policy)).toMatchObject({ allowed: false, reason: expect.stringContaining("cannot be read") });
});

test("a link that leads nowhere allows nothing, whenever it begins to", () => {
  const elsewhere = join(directory, "elsewhere.yaml");
  using policy = open();
  expect(decide(policy).allowed).toBe(true);
  symlinkSync(elsewhere, file);
  expect(decide(policy)).toMatchObject({ allowed: false, reason: expect.stringContaining("leads nowhere") });
  writeFileSync(elsewhere, allowing("ada"));
  expect([decide(policy).allowed, decide(policy, "grace").allowed]).toEqual([true, false]);
  rmSync(elsewhere);
  expect(decide(policy).allowed).toBe(false);
  expect(states).toEqual(["bad", "loaded", "bad"]);
});

test("disposed, it looks no more", () => {
  open()[Symbol.dispose]();
  expect(clock.pending).toBe(0);
});
