import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeTimeline, type OutputName, type TimelineRecord } from "@outpost/protocol";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { coveredBy, Timeline } from "./timeline.ts";
import { TimelineReader } from "./timeline-reader.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "outpost-timeline-"));
  path = join(directory, "timeline");
});
afterEach(() => rmSync(directory, { recursive: true }));

const records = fc
  .array(fc.tuple(fc.constantFrom<OutputName>("stdout", "stderr"), fc.integer({ min: 1, max: 2 ** 40 })), {
    maxLength: 200,
  })
  .map((growth) => {
    const sizes = { stdout: 0, stderr: 0 };
    return growth.map(([stream, bytes], index): TimelineRecord => ({
      stream,
      upTo: (sizes[stream] += bytes),
      timeUs: 1e15 + index,
    }));
  });

describe("the timeline", () => {
  it("is on disk what was appended, however it was cut into files and restarts", async () => {
    await fc.assert(
      fc.asyncProperty(records, fc.nat(), async (written, cut) => {
        rmSync(path, { force: true });
        const at = written.length === 0 ? 0 : cut % written.length;
        const first = new Timeline(path, 0);
        for (const record of written.slice(0, at)) first.append(record);
        first.flush();
        // An agent that died in mid-record.
        if (existsSync(path)) appendFileSync(path, Buffer.alloc(7, 1));
        const fileBytes = existsSync(path) ? readFileSync(path).length : 0;
        const second = new Timeline(path, fileBytes);
        for (const record of written.slice(at)) second.append(record);
        second.flush();
        const whole = existsSync(path) ? readFileSync(path).subarray(0, second.bytes) : Buffer.alloc(0);
        expect(decodeTimeline(whole)).toEqual(written);
        const reader = new TimelineReader(path);
        for (const record of written) expect(await reader.next(second.bytes)).toEqual(record);
        expect(await reader.next(second.bytes)).toBeUndefined();
        reader.close();
      }),
      { numRuns: 50 },
    );
  });

  it("tells how much of each stream it covers", () => {
    fc.assert(
      fc.property(records, (written) => {
        rmSync(path, { force: true });
        const timeline = new Timeline(path, 0);
        for (const record of written) timeline.append(record);
        timeline.flush();
        const last = (name: OutputName): number =>
          written.findLast(({ stream }) => stream === name)?.upTo ?? 0;
        expect(coveredBy(path)).toEqual({ stdout: last("stdout"), stderr: last("stderr") });
      }),
      { numRuns: 50 },
    );
  });

  it("makes no file as long as it is short", () => {
    const timeline = new Timeline(path, 0);
    timeline.append({ stream: "stdout", upTo: 5, timeUs: 7 });
    expect(existsSync(path)).toBe(false);
    expect(decodeTimeline(timeline.unwritten!)).toEqual([{ stream: "stdout", upTo: 5, timeUs: 7 }]);
    timeline.flush();
    expect(timeline.unwritten).toBeUndefined();
  });

  it("keeps what it could not write", () => {
    const timeline = new Timeline(join(directory, "missing", "timeline"), 0);
    timeline.append({ stream: "stdout", upTo: 5, timeUs: 7 });
    expect(() => timeline.flush()).toThrow();
    expect(timeline.bytes).toBe(16);
  });
});
