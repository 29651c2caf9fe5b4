import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "@outpost/protocol/testing";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { Recording } from "./recording.ts";

const directories: string[] = [];

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

interface Made {
  readonly recording: Recording;
  readonly clock: FakeClock;
  lines(): unknown[];
}

function record(maxBytes = 1024 * 1024): Made {
  const directory = mkdtempSync(join(tmpdir(), "outpost-recording-"));
  directories.push(directory);
  const path = join(directory, "recording.cast");
  const clock = new FakeClock(1_700_000_000_500);
  const shape = { columns: 80, rows: 24, shell: "/bin/bash", term: "xterm-256color" };
  return {
    recording: new Recording({ ...shape, path, clock, maxBytes }),
    clock,
    lines() {
      const text = readFileSync(path, "utf8");
      expect(text.endsWith("\n")).toBe(true);
      const lines = text.trimEnd().split("\n");
      return lines.map((line) => JSON.parse(line) as unknown);
    },
  };
}

test("a header, then what was shown and when", async () => {
  const { recording, clock, lines } = record();
  recording.output(Buffer.from("$ "));
  await clock.advance(1_234);
  recording.resize(100, 30);
  recording.output(Buffer.from('say "é\x1b[m"\r\n'));
  recording.close();
  expect(lines()).toEqual([
    {
      version: 2,
      width: 80,
      height: 24,
      timestamp: 1_700_000_000,
      env: { SHELL: "/bin/bash", TERM: "xterm-256color" },
    },
    [0, "o", "$ "],
    [1.234, "r", "100x30"],
    [1.234, "o", 'say "é\x1b[m"\r\n'],
  ]);
});

test("no character is cut, however the output was", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 40 }), fc.array(fc.nat(100)), (text, cuts) => {
      const { recording, lines } = record();
      const bytes = Buffer.from(text.toWellFormed());
      const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
      for (let i = 1; i < at.length; i++) recording.output(bytes.subarray(at[i - 1], at[i]));
      recording.close();
      const events = lines().slice(1) as [number, string, string][];
      expect(events.map(([, , data]) => data).join("")).toBe(bytes.toString());
    }),
    { numRuns: 50 },
  );
});

test("at the limit it says so and stops", () => {
  const { recording, lines } = record(1_000);
  for (let i = 0; i < 100; i++) recording.output(Buffer.from("x".repeat(50)));
  const found = lines();
  expect(found.at(-1)).toEqual([0, "m", expect.stringContaining("1000 bytes")]);
  expect(recording.size).toBeLessThan(1_200);
  recording.close();
  expect(lines()).toEqual(found);
});
