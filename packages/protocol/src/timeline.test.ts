import { expect, test } from "vitest";
import { decodeTimeline, encodeTimeline } from "./timeline.ts";

const records = [
  { time: 1_767_225_600_000, stream: "stdout", upTo: 5 },
  { time: 1_767_225_600_123, stream: "stderr", upTo: 5_000_000_000 },
] as const;
const bytes = "019b76da a800 01 00 0000000000000005" + "019b76da a87b 02 00 000000012a05f200";

test("golden bytes, both ways", () => {
  expect(Buffer.from(encodeTimeline(records)).toString("hex")).toBe(bytes.replaceAll(" ", ""));
  expect(decodeTimeline(Buffer.from(bytes.replaceAll(" ", ""), "hex"))).toEqual(records);
});

test("the beginning of a record is left for later", () => {
  expect(decodeTimeline(encodeTimeline(records).subarray(0, 31))).toEqual([records[0]]);
});

test("a record of no stream is refused", () => {
  expect(() => decodeTimeline(new Uint8Array(16))).toThrow(
    expect.objectContaining({ code: "protocol_error" }),
  );
});
