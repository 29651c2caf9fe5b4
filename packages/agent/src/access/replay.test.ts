import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode, newOperatorId } from "@outpost/protocol";
import { FakeClock } from "@outpost/protocol/testing";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Replay } from "./replay.ts";

let directory: string;
let file: string;
let clock: FakeClock;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "outpost-replay-"));
  file = join(directory, "run", "replay");
  clock = new FakeClock();
});
afterEach(() => rmSync(directory, { recursive: true }));

const id = newOperatorId();
const request = (nonce: number, expiresAt = clock.now() + 60_000) => ({
  id,
  nonce: Buffer.alloc(16, nonce),
  expiresAt,
});

test("a request is noted once, of each operator, also over a restart and with half a line at the end", () => {
  {
    using replay = new Replay({ file, clock });
    expect(replay.note(request(1))).toBe(true);
    expect(replay.note(request(1))).toBe(false);
    expect(replay.note({ ...request(1), id: newOperatorId() })).toBe(true);
  }
  expect(statSync(file).mode & 0o777).toBe(0o600);
  writeFileSync(file, `${readFileSync(file, "utf8")}${id}.AAAA`);
  using again = new Replay({ file, clock });
  expect(again.note(request(1))).toBe(false);
  expect(again.note(request(2))).toBe(true);
});

test("what has expired, and could not be verified any more, is forgotten; the file does not grow for ever", async () => {
  using replay = new Replay({ file, clock, maxRequests: 3_000, maxRequestsOfOne: 3_000 });
  for (let round = 0; round < 5; round++) {
    for (let each = 0; each < 1_000; each++) {
      const nonce = Buffer.alloc(16);
      nonce.writeUInt32BE(round * 1_000 + each);
      expect(replay.note({ id, nonce, expiresAt: clock.now() + 60_000 })).toBe(true);
    }
    await clock.advance(60_000 + 5 * 60_000);
  }
  expect(readFileSync(file, "utf8").split("\n").length).toBeLessThan(4_100);
});

test("at its limit it takes no more until others have expired", async () => {
  using replay = new Replay({ file, clock, maxRequests: 2, maxRequestsOfOne: 2 });
  replay.note(request(1));
  replay.note(request(2));
  expect(() => replay.note(request(3))).toThrow(expect.objectContaining({ code: ErrorCode.limitExceeded }));
  expect(replay.note(request(1))).toBe(false);
  await clock.advance(60_000 + 5 * 60_000);
  expect(replay.note(request(3))).toBe(true);
});

test("one operator cannot shut out the others, also over a restart", async () => {
  const options = { file, clock, maxRequests: 8, maxRequestsOfOne: 2 };
  const others = { ...request(1), id: newOperatorId() };
  {
    using replay = new Replay(options);
    replay.note(request(1));
    replay.note(request(2, clock.now() + 120_000));
  }
  using replay = new Replay(options);
  expect(() => replay.note(request(3))).toThrow(
    expect.objectContaining({
      code: ErrorCode.limitExceeded,
      message: expect.stringContaining("of this operator"),
    }),
  );
  expect(replay.note(others)).toBe(true);
  // One of the two has expired.
  await clock.advance(60_000 + 5 * 60_000);
  expect(replay.note(request(3))).toBe(true);
  expect(() => replay.note(request(4))).toThrow(expect.objectContaining({ code: ErrorCode.limitExceeded }));
});

test("a file of anything at all is no reason not to start", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (content) => {
      using _made = new Replay({ file, clock });
      writeFileSync(file, content);
      using replay = new Replay({ file, clock });
      expect(replay.note(request(7))).toBe(true);
    }),
    { numRuns: 50 },
  );
});
