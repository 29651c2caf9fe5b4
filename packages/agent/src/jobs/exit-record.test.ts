import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseExitRecord } from "./exit-record.ts";
import { emptyExitRecord } from "./wrapper.ts";

function overSpaces(text: string): Buffer {
  const content = Buffer.from(emptyExitRecord);
  content.write(text, "latin1");
  return content;
}

describe("the exit record", () => {
  it.each([
    ["exit 0\n", { code: 0 }],
    ["exit 3\n", { code: 3 }],
    ["exit 143\n", { code: 143 }],
    ["Terminated\nexit 143\n", { signal: "SIGTERM" }],
    [
      'outpost: line 1:  9792 Killed                  ( exec "$@" 2>&3 3>&- )\nexit 137\n',
      { signal: "SIGKILL" },
    ],
    ["Aborted (core dumped)\nexit 134\n", { signal: "SIGABRT" }],
    // A remark about something else than a signal leaves an exit code an exit code.
    ["outpost: something\nexit 1\n", { code: 1 }],
  ])("reads %j", (text, exit) => {
    expect(parseExitRecord(overSpaces(text))).toEqual({ kind: "complete", exit });
  });

  it("is empty before anything was written", () => {
    expect(parseExitRecord(emptyExitRecord)).toEqual({ kind: "empty" });
    expect(parseExitRecord(new Uint8Array())).toEqual({ kind: "empty" });
  });

  it.each(["exit", "exit 1", "Killed\nexit 137", "exit 999\n", "exit 0\nexit 0", "exit x\n", "exit 0\nmore"])(
    "is damaged when it reads %j",
    (text) => {
      expect(parseExitRecord(overSpaces(text))).toEqual({ kind: "damaged" });
    },
  );

  it("counts only when it is whole, wherever it was cut", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 255 }), fc.boolean(), fc.nat(), (code, remark, cut) => {
        const text = `${remark ? "Killed\n" : ""}exit ${String(code)}\n`;
        const shorter = text.slice(0, cut % text.length);
        expect(parseExitRecord(overSpaces(text)).kind).toBe("complete");
        expect(parseExitRecord(overSpaces(shorter)).kind).not.toBe("complete");
      }),
    );
  });
});
