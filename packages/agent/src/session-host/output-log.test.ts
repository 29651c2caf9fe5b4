import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { OutputLog } from "./output-log.ts";
import { SeenRanges } from "./seen-ranges.ts";

const directories: string[] = [];

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), "outpost-log-"));
  directories.push(directory);
  return directory;
}

function open(directory: string, limitBytes: number): OutputLog {
  return new OutputLog({
    directory,
    limitBytes,
    onFault: (error) => {
      throw error;
    },
  });
}

/** What byte is at an offset: told from every other of its surroundings. */
const byteAt = (offset: number): number => (offset * 7 + (offset >> 8)) & 0xff;
const bytes = (from: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => byteAt(from + i));

/** All that can be read from an offset, with the holes. */
function readAll(log: OutputLog, from: number): { kept: number; missing: number } {
  const block = new Uint8Array(50);
  const found = { kept: 0, missing: 0 };
  for (let at = from; at < log.end;) {
    const next = log.kept(at);
    found.missing += next - at;
    at = next;
    const length = log.read(at, block);
    expect(length > 0 || at === log.end).toBe(true);
    for (let i = 0; i < length; i++) expect(block[i]).toBe(byteAt(at + i));
    at += length;
    found.kept += length;
  }
  return found;
}

const step = fc.oneof(
  fc.record({ do: fc.constant("append" as const), length: fc.nat(300) }),
  fc.record({ do: fc.constant("see" as const), from: fc.nat(2_000), length: fc.nat(1_000) }),
  fc.record({ do: fc.constant("trim" as const), neededFrom: fc.nat(3_000) }),
  fc.record({ do: fc.constant("reopen" as const) }),
);

test("whatever is written, seen and forgotten: what is there is right, and what is unseen is there up to the limit", () => {
  const limitBytes = 400;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const directory = temporary();
      let log = open(directory, limitBytes);
      const seen = new SeenRanges();
      let end = 0;
      for (const action of steps) {
        switch (action.do) {
          case "append":
            log.append(bytes(end, action.length));
            end += action.length;
            log.trim(seen, end);
            break;
          case "see":
            seen.add(Math.min(action.from, end), Math.min(action.from + action.length, end));
            break;
          case "trim":
            log.trim(seen, action.neededFrom);
            break;
          case "reopen":
            log.close();
            log = open(directory, limitBytes);
            break;
          default:
            action satisfies never;
        }
        expect(log.end).toBe(end);
        const { kept, missing } = readAll(log, 0);
        expect(kept).toBe(log.keptBytes);
        expect(kept + missing).toBe(end);
        expect(log.keptBytes).toBeLessThanOrEqual(limitBytes + 300);
        expect(log.unread(seen)).toBeLessThanOrEqual(end - seen.count(0, end));
        if (end <= limitBytes) expect(log.unread(seen)).toBe(end - seen.count(0, end));
      }
      log.close();
    }),
    { numRuns: 60 },
  );
});

test("what was seen goes, except the newest", () => {
  const directory = temporary();
  const log = open(directory, 40 * 1024 * 1024);
  const mebibyte = 1024 * 1024;
  const seen = new SeenRanges();
  for (let i = 0; i < 8; i++) log.append(new Uint8Array(mebibyte));
  seen.add(mebibyte, 8 * mebibyte);
  log.trim(seen, log.end);
  // The first, which nobody has seen, and the newest.
  expect(readdirSync(directory)).toHaveLength(2);
  expect(log.unread(seen)).toBe(mebibyte);
  expect(log.kept(mebibyte)).toBe(7 * mebibyte);
  log.close();
});

test("a reader that is behind holds back what was seen, but not the limit", () => {
  const log = open(temporary(), 1_000);
  const seen = new SeenRanges();
  log.append(bytes(0, 900));
  seen.add(0, 900);
  log.trim(seen, 0);
  expect(log.keptBytes).toBe(900);
  log.append(bytes(900, 400));
  log.trim(seen, 0);
  expect(log.keptBytes).toBeLessThanOrEqual(1_000);
  expect(log.kept(0)).toBeGreaterThan(0);
  log.close();
});

test("a full disk makes a hole, and the offsets go on", () => {
  const directory = temporary();
  const faults: Error[] = [];
  const log = new OutputLog({ directory, limitBytes: 1_000, onFault: (error) => faults.push(error) });
  log.append(bytes(0, 100));
  log.close();
  rmSync(directory, { recursive: true });
  log.append(bytes(100, 50));
  expect(faults).toHaveLength(1);
  expect(log.end).toBe(150);
  expect(log.kept(100)).toBe(150);
});
