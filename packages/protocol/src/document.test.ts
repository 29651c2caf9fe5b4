/** docs/protocol.md against the code: its bytes, its methods, their fields. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { decode, encode } from "./codec.ts";
import type { Frame } from "./frame.ts";
import * as methods from "./methods.ts";

const document = readFileSync(new URL("../../../docs/protocol.md", import.meta.url), "utf8");

/** A JSON value in which `h'00ff'` stands for bytes. */
function parseNotation(text: string): unknown {
  const marked = text.replaceAll(/h'([0-9a-f]*)'/g, '{"$bytes": "$1"}');
  return JSON.parse(marked, (_key, value: unknown) =>
    typeof value === "object" && value !== null && "$bytes" in value
      ? new Uint8Array(Buffer.from(String(value.$bytes), "hex"))
      : value,
  );
}

function parseExample(block: string): { hex: string; frame: Frame } {
  const at = block.search(/^\[/m);
  const bytes = block.slice(0, at).replaceAll(/#.*$/gm, "").replaceAll(/\s/g, "");
  return { hex: bytes, frame: parseNotation(block.slice(at)) as Frame };
}

const examples = [...document.matchAll(/^```frame\n([^]*?)^```/gm)].map((match) => parseExample(match[1]!));

describe("the examples", () => {
  test("there is at least one of each frame", () => {
    expect(new Set(examples.map(({ frame }) => frame[0]))).toEqual(new Set([0, 1, 2, 3, 4, 5, 6]));
  });

  test.each(examples)("$hex", ({ hex, frame }) => {
    expect(Buffer.from(encode(frame)).toString("hex")).toBe(hex);
    const read = decode(Buffer.from(hex, "hex"));
    expect(Buffer.from(encode(read)).toString("hex")).toBe(hex);
  });
});

/** The text under a heading, up to the next one. */
function section(heading: string): string | undefined {
  const start = document.search(new RegExp(`^#+ \`?${heading.replaceAll(".", "\\.")}\`?$`, "m"));
  if (start === -1) return undefined;
  const body = document.slice(document.indexOf("\n", start));
  const end = body.search(/^##/m);
  return end === -1 ? body : body.slice(0, end);
}

/** The names of an object schema's fields. */
function fields(schema: unknown): string[] {
  const entries = (schema as { entries?: Record<string, unknown> } | null)?.entries;
  return Object.keys(entries ?? {});
}

const maps = {
  agentMethods: methods.agentMethods,
  controllerAgentMethods: methods.controllerAgentMethods,
  controllerEnrolmentMethods: methods.controllerEnrolmentMethods,
  controllerOperatorMethods: methods.controllerOperatorMethods,
  operatorMethods: methods.operatorMethods,
} as const;
const all = Object.values(maps).flatMap((map) =>
  Object.entries<methods.MethodDefinition>(map).map(([name, definition]) => ({ name, definition })),
);

describe("the methods", () => {
  test.each(all)(
    "$name has a heading, and all its fields and events are named there",
    ({ name, definition }) => {
      const text = section(name);
      expect(text, `a heading \`${name}\``).toBeDefined();
      const events = Object.entries(definition.events ?? {});
      const wanted = [
        ...fields(definition.params),
        ...fields(definition.result),
        ...events.map(([event]) => event),
        ...events.flatMap(([, schema]) => fields(schema)),
      ];
      const missing = wanted.filter(
        (word) => !new RegExp(`[\`{ ,]${word.replaceAll(".", "\\.")}\\??[\`}:, ]`).test(text!),
      );
      expect(missing).toEqual([]);
    },
  );
});

test("every map of methods is looked at", () => {
  const known = new Set<unknown>([...Object.values(maps), methods.enrolmentMethods]);
  expect(Object.values(methods).filter((value) => !known.has(value))).toEqual([]);
});
