/**
 * Walks a MessagePack value without building it, so that size and nesting limits hold before anything is allocated.
 * Knows the format (https://github.com/msgpack/msgpack/blob/master/spec.md), not what the values mean.
 */
import { ErrorCode, OutpostError } from "./errors.ts";
import { maxNestingDepth, maxValuesPerMessage } from "./limits.ts";

/** Thrown inside the walk; `what` completes "a message …". */
function refuse(what: string): never {
  throw new OutpostError(ErrorCode.protocolError, `a message ${what}`);
}

/** What a type byte says: how many bytes of payload follow it, and how many values are nested in it. */
interface Head {
  readonly size: number;
  readonly children: number;
}

/** Type bytes 0xc0 to 0xdf: a fixed payload size, or the width of a length field and what the length counts. */
type Shape =
  | { readonly fixed: number }
  | { readonly width: 1 | 2 | 4; readonly counts: "bytes" | "values" | "pairs" };
const shapes: readonly (Shape | undefined)[] = [
  { fixed: 0 }, // c0 nil
  undefined, // c1 never used
  { fixed: 0 }, // c2 false
  { fixed: 0 }, // c3 true
  { width: 1, counts: "bytes" }, // c4 bin 8
  { width: 2, counts: "bytes" }, // c5 bin 16
  { width: 4, counts: "bytes" }, // c6 bin 32
  undefined, // c7 ext 8: extensions are not part of the protocol
  undefined, // c8 ext 16
  undefined, // c9 ext 32
  { fixed: 4 }, // ca float 32
  { fixed: 8 }, // cb float 64
  { fixed: 1 }, // cc uint 8
  { fixed: 2 }, // cd uint 16
  { fixed: 4 }, // ce uint 32
  { fixed: 8 }, // cf uint 64
  { fixed: 1 }, // d0 int 8
  { fixed: 2 }, // d1 int 16
  { fixed: 4 }, // d2 int 32
  { fixed: 8 }, // d3 int 64
  undefined, // d4 fixext 1
  undefined, // d5 fixext 2
  undefined, // d6 fixext 4
  undefined, // d7 fixext 8
  undefined, // d8 fixext 16
  { width: 1, counts: "bytes" }, // d9 str 8
  { width: 2, counts: "bytes" }, // da str 16
  { width: 4, counts: "bytes" }, // db str 32
  { width: 2, counts: "values" }, // dc array 16
  { width: 4, counts: "values" }, // dd array 32
  { width: 2, counts: "pairs" }, // de map 16
  { width: 4, counts: "pairs" }, // df map 32
];

function readLength(bytes: Uint8Array, at: number, width: 1 | 2 | 4): number {
  if (at + width > bytes.length) refuse("is cut off");
  let length = 0;
  for (let index = at; index < at + width; index++) length = length * 256 + bytes[index]!;
  return length;
}

function readHead(bytes: Uint8Array, at: number): Head {
  if (at >= bytes.length) refuse("is cut off");
  const type = bytes[at]!;
  if (type < 0x80 || type >= 0xe0) return { size: 0, children: 0 };
  if (type < 0x90) return { size: 0, children: 2 * (type & 0x0f) };
  if (type < 0xa0) return { size: 0, children: type & 0x0f };
  if (type < 0xc0) return { size: type & 0x1f, children: 0 };
  const shape = shapes[type - 0xc0];
  if (shape === undefined) refuse(`has an extension or an unused type (0x${type.toString(16)})`);
  if ("fixed" in shape) return { size: shape.fixed, children: 0 };
  const length = readLength(bytes, at + 1, shape.width);
  if (shape.counts === "bytes") return { size: shape.width + length, children: 0 };
  return { size: shape.width, children: shape.counts === "pairs" ? 2 * length : length };
}

/**
 * Checks that `bytes` is exactly one MessagePack value without extensions, nested no deeper than
 * `maxNestingDepth` and holding no more than `maxValuesPerMessage` values.
 * @throws OutpostError `protocol_error`
 */
export function scan(bytes: Uint8Array): void {
  const remaining: number[] = [];
  let values = 0;
  let at = 0;
  for (;;) {
    const { size, children } = readHead(bytes, at);
    at += 1 + size;
    if (at > bytes.length) refuse("is cut off");
    values += children;
    if (values > maxValuesPerMessage) refuse(`holds more than ${String(maxValuesPerMessage)} values`);
    if (children > 0) {
      if (remaining.length >= maxNestingDepth) refuse(`nests deeper than ${String(maxNestingDepth)}`);
      remaining.push(children);
    } else {
      while (remaining.length > 0 && --remaining[remaining.length - 1]! === 0) remaining.pop();
    }
    if (remaining.length === 0) break;
  }
  if (at !== bytes.length) refuse("has bytes after its value");
}
