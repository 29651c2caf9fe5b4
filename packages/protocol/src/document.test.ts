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

/** The text under a method's heading, up to the next one. Where two sides answer the same method differently, the heading
 * of the second has a word behind it that says whose it is. */
function section(method: string, suffix = ""): string | undefined {
  const start = document.search(new RegExp(`^#+ \`${method.replaceAll(".", "\\.")}\`${suffix}$`, "m"));
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
  sessionMethods: methods.sessionMethods,
  sessionHostMethods: methods.sessionHostMethods,
  sessionHostAgentMethods: methods.sessionHostAgentMethods,
  agentMethods: methods.agentMethods,
  agentLocalMethods: methods.agentLocalMethods,
  agentLocalClientMethods: methods.agentLocalClientMethods,
  controllerAgentMethods: methods.controllerAgentMethods,
  controllerEnrolmentMethods: methods.controllerEnrolmentMethods,
  controllerOperatorMethods: methods.controllerOperatorMethods,
  operatorMethods: methods.operatorMethods,
} as const;
const suffixes: Partial<Record<keyof typeof maps, string>> = {
  agentLocalMethods: " \\(local\\)",
  controllerOperatorMethods: " \\(operators\\)",
};
const all = (Object.keys(maps) as (keyof typeof maps)[]).flatMap((side) =>
  Object.entries<methods.MethodDefinition>(maps[side]).map(([name, definition]) => ({
    side,
    name,
    definition,
  })),
);

describe("the methods", () => {
  test.each(all)(
    "$side $name has a heading, and all its fields and events are named there",
    ({ side, name, definition }) => {
      const text = section(name, suffixes[side]) ?? section(name);
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
