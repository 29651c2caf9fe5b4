import { expect, test } from "vitest";
import { decodeTimeline, encodeTimeline } from "./timeline.ts";

const records = [
  { timeUs: 1_767_225_600_000_000, stream: "stdout", upTo: 5 },
  { timeUs: 1_767_225_600_000_123, stream: "stderr", upTo: 5_000_000_000 },
  { timeUs: 0, stream: "stdout", upTo: 2 ** 53 - 1 },
] as const;
const bytes = Buffer.from(
  `0006474846204000 01 00000000000005
   000647484620407b 02 0000012a05f200
   0000000000000000 01 1fffffffffffff`.replaceAll(/\s/g, ""),
  "hex",
);

test("golden bytes, both ways", () => {
  expect(Buffer.from(encodeTimeline(records)).toString("hex")).toBe(bytes.toString("hex"));
  expect(decodeTimeline(bytes)).toEqual(records);
});

test("the beginning of a record is left for later", () => {
  expect(decodeTimeline(bytes.subarray(0, 31))).toEqual([records[0]]);
});

test("a record of a stream that we do not know is left out", () => {
  const changed = Buffer.from(bytes);
  changed[8] = 7;
  expect(decodeTimeline(changed)).toEqual(records.slice(1));
});
