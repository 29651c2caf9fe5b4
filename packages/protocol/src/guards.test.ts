import { expect, test } from "vitest";
import { asFrame } from "./guards.ts";
import { maxChunkBytes } from "./limits.ts";

const some = new Uint8Array(1);

test.each([
  [[0, 0, "m", null]],
  [[0, 1, "", { any: "thing" }]],
  [[1, 1, null, undefined]],
  [[1, 1, { code: "x", message: "y" }, null]],
  [[2, "m", 5]],
  [[3, 1, 0, new Uint8Array(maxChunkBytes)]],
  [[4, 1, Number.MAX_SAFE_INTEGER]],
  [[5, 1, null]],
  [[6, 1]],
  [[6, 1, "of a newer version"]],
])("a frame: %j", (value) => {
  expect(asFrame(value)).toBe(value);
});

test.each<[string, unknown]>([
  ["not an array", { 0: 0 }],
  ["nothing", undefined],
  ["empty", []],
  ["no such type", [7, 1]],
  ["negative type", [-1, 1]],
  ["type by name", ["request", 1, "m", {}]],
  ["request: too short", [0, 1, "m"]],
  ["request: id below 0", [0, -1, "m", {}]],
  ["request: id not whole", [0, 1.5, "m", {}]],
  ["request: id beyond 2^53", [0, 2 ** 53, "m", {}]],
  ["request: id as text", [0, "1", "m", {}]],
  ["request: method no text", [0, 1, 2, {}]],
  ["response: error of text", [1, 1, "failed", null]],
  ["response: error without a code", [1, 1, { message: "x" }, null]],
  ["response: error without a message", [1, 1, { code: "x" }, null]],
  ["response: error data no map", [1, 1, { code: "x", message: "y", data: 3 }, null]],
  ["response: too short", [1, 1, null]],
  ["notification: no name", [2, null, {}]],
  ["chunk: text", [3, 1, 0, "text"]],
  ["chunk: array", [3, 1, 0, [1]]],
  ["chunk: no offset", [3, 1, null, some]],
  ["chunk: offset below 0", [3, 1, -1, some]],
  ["chunk: too large", [3, 1, 0, new Uint8Array(maxChunkBytes + 1)]],
  ["credit: not whole", [4, 1, Number.NaN]],
  ["credit: endless", [4, 1, Number.POSITIVE_INFINITY]],
  ["end: too short", [5, 1]],
  ["end: error of numbers", [5, 1, 3]],
  ["cancel: no id", [6, null]],
])("no frame: %s", (_name, value) => {
  expect(() => asFrame(value)).toThrow(expect.objectContaining({ code: "protocol_error" }));
});
