import type * as files from "node:fs/promises";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OutpostError, systemClock } from "@outpost/protocol";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { EventEntry } from "./audit.ts";
import { initController, startController } from "./index.ts";
import { PolicyFile } from "./policy-file.ts";

/** What the next reads of a file wait for, when they have what they read. */
const holds = vi.hoisted((): Promise<void>[] => []);
vi.mock("node:fs/promises", async (original) => {
  const actual = await original<typeof files>();
  const readFile = async (...args: Parameters<typeof actual.readFile>) => {
    const content = await actual.readFile(...args);
    await holds.shift();
    return content;
  };
  return { ...actual, readFile };
});

const log = pino({ level: "silent" });

const allowing = (operator: string): string =>
  `rules: [{ name: some, operators: [${operator}], actions: ["*"] }]\n`;

/** @throws after five seconds */
const until = (attempt: () => boolean): Promise<boolean> =>
  vi.waitUntil(attempt, { timeout: 5_000, interval: 5 });

let directory: string;
let file: string;
let events: EventEntry[];
let isFull = false;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "outpost-policy-"));
  file = join(directory, "policy.yaml");
  events = [];
  isFull = false;
});
afterEach(() => rmSync(directory, { recursive: true }));

function open(): Promise<PolicyFile> {
  const event = (entry: EventEntry): void => {
    if (isFull) throw new OutpostError("disk_full", "the disk is full");
    events.push(entry);
  };
  return PolicyFile.open({ file, audit: { event }, clock: systemClock, log });
}

const allows = ({ policy }: PolicyFile, operator: string): boolean =>
  policy.decide({ operator, action: "audit.read" }).allowed;

describe("at the start", () => {
  test("no file: it says so, and what to write, and what it says to write is a policy", async () => {
    const error = await open().then(
      () => undefined,
      (reason: unknown) => reason as OutpostError,
    );
    expect(error).toMatchObject({ code: "not_found", message: expect.stringContaining(file) });
    const example = /`(rules: .*)`/.exec(error!.message)![1]!;
    writeFileSync(file, example.replace("NAME", "ada"));
    using policy = await open();
    expect(allows(policy, "ada")).toBe(true);
  });

  test("a bad file is refused with its place", async () => {
    writeFileSync(file, "rules:\n  - name: x\n");
    await expect(open()).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringMatching(/policy\.yaml:\d+:\d+: /),
    });
  });

  test("a directory in its place is refused", async () => {
    file = directory;
    await expect(open()).rejects.toMatchObject({ code: "invalid_argument" });
  });
});

describe("a controller", () => {
  const start = () => startController({ directory, host: "127.0.0.1", port: 0, log });

  test("does not start without a policy, nor with one that it does not understand", async () => {
    await initController({ directory, names: ["127.0.0.1"], operatorName: "ada" });
    const initial = readFileSync(file, "utf8");
    rmSync(file);
    await expect(start()).rejects.toMatchObject({
      code: "not_found",
      message: expect.stringContaining(file),
    });
    writeFileSync(file, "rules: everything\n");
    await expect(start()).rejects.toMatchObject({ code: "invalid_argument" });
    writeFileSync(file, initial);
    await using controller = await start();
    expect(controller.port).toBeGreaterThan(0);
  });
});

describe("while it is in force", () => {
  test("a change comes into force, written in place or put in its place", async () => {
    writeFileSync(file, allowing("ada"));
    using policy = await open();
    expect([allows(policy, "ada"), allows(policy, "grace")]).toEqual([true, false]);
    writeFileSync(file, allowing("grace"));
    await until(() => allows(policy, "grace"));
    expect(allows(policy, "ada")).toBe(false);
    // As vim and sed -i do.
    writeFileSync(`${file}.new`, allowing("linus"));
    renameSync(`${file}.new`, file);
    await until(() => allows(policy, "linus"));
    writeFileSync(file, allowing("margaret"));
    await until(() => allows(policy, "margaret"));
    expect(events.map(({ action }) => action)).toEqual(Array(4).fill("policy.loaded"));
    expect(policy.shown).toMatchObject({ file, text: allowing("margaret") });
    expect(policy.shown.problem).toBeUndefined();
  });

  test("a bad edit keeps the old one in force and is shown; the next good one comes into force", async () => {
    writeFileSync(file, allowing("ada"));
    using policy = await open();
    writeFileSync(file, "rules: [{ name: some, operators: [ada], actions: [fly] }]\n");
    await until(() => policy.shown.problem !== undefined);
    expect(policy.shown.problem).toContain("fly");
    expect(policy.shown.text).toBe(allowing("ada"));
    expect(allows(policy, "ada")).toBe(true);
    expect(events.at(-1)).toMatchObject({ action: "policy.rejected", message: policy.shown.problem });
    // Not written down anew at each look.
    const { length } = events;
    writeFileSync(join(directory, "other.txt"), "x");
    rmSync(file);
    await until(() => policy.shown.problem!.includes("there is no policy"));
    expect(allows(policy, "ada")).toBe(true);
    expect(events.length).toBe(length + 1);
    writeFileSync(file, allowing("ada"));
    await until(() => policy.shown.problem === undefined);
    writeFileSync(file, allowing("grace"));
    await until(() => allows(policy, "grace"));
  });

  test("a slow look does not bring back what was there before", async () => {
    writeFileSync(file, allowing("ada"));
    using policy = await open();
    const { promise, resolve } = Promise.withResolvers<void>();
    holds.push(promise);
    writeFileSync(file, allowing("grace"));
    await until(() => holds.length === 0);
    writeFileSync(file, allowing("linus"));
    await until(() => allows(policy, "linus"));
    resolve();
    await new Promise((settled) => setImmediate(settled));
    expect([allows(policy, "grace"), allows(policy, "linus")]).toEqual([false, true]);
    expect(events).toHaveLength(2);
  });

  test("what cannot be audited does not come into force until it can", async () => {
    writeFileSync(file, allowing("ada"));
    using policy = await open();
    isFull = true;
    writeFileSync(file, allowing("grace"));
    await until(() => policy.shown.problem !== undefined);
    expect(allows(policy, "grace")).toBe(false);
    isFull = false;
    writeFileSync(file, allowing("grace"));
    await until(() => allows(policy, "grace"));
    expect(policy.shown.problem).toBeUndefined();
  });
});
