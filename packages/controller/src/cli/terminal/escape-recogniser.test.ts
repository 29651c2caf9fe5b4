import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EscapeRecogniser } from "./escape-recogniser.ts";

/** What comes out of these pieces: text typed, and actions in braces. */
function recognise(pieces: readonly (string | Uint8Array)[], escape: string | undefined = "~"): string {
  const recogniser = new EscapeRecogniser(escape);
  return pieces
    .flatMap((piece) => recogniser.push(Buffer.from(piece as string, "latin1")))
    .map((each) => (typeof each === "string" ? `{${each}}` : Buffer.from(each).toString("latin1")))
    .join("");
}

const paste = (text: string): string => `\u001b[200~${text}\u001b[201~`;

test.each([
  ["~.", "{leave}"],
  ["ls\r~.", "ls\r{leave}"],
  ["ls\n~.", "ls\n{leave}"],
  ["ls ~.", "ls ~."],
  ["~~.", "~."],
  ["~?~?~.", "{help}{help}{leave}"],
  ["~\u001a", "{suspend}"],
  ["~tx~w", "{control}x~w"],
  ["~t~w", "{control}{watch}"],
  ["~/bin\r", "~/bin\r"],
  ["~\r~.", "~\r{leave}"],
  ["~", ""],
  // The delete key ends in the escape character.
  ["\r\u001b[3~.", "\r\u001b[3~."],
  [`\r${paste("a\r~.\r~?")}x~.`, `\r${paste("a\r~.\r~?")}x~.`],
  [`\r${paste("~.")}\r~.`, `\r${paste("~.")}\r{leave}`],
  // Not quite the end of a paste.
  [`${paste("\u001b[201\u001b[200~\r~.")}`, `${paste("\u001b[201\u001b[200~\r~.")}`],
])("%j becomes %j", (typed, expected) => {
  expect(recognise([typed])).toBe(expected);
});

describe("for any keystrokes", () => {
  const words = [
    "~",
    ".",
    "?",
    "t",
    "\u001a",
    "\r",
    "\n",
    "x",
    "\u001b",
    "[200~",
    "[201~",
    "\u001b[200~",
    "\u001b[201~",
  ];
  const typed = fc.array(fc.constantFrom(...words), { size: "medium" }).map((parts) => parts.join(""));

  test("it does not matter in how many pieces they come", () => {
    fc.assert(
      fc.property(typed, fc.array(fc.nat(100)), (text, cuts) => {
        const places = [0, ...cuts.filter((cut) => cut < text.length).toSorted((a, b) => a - b), text.length];
        const pieces = places.slice(1).map((to, index) => text.slice(places[index], to));
        expect(recognise(pieces)).toBe(recognise([text]));
      }),
    );
  });

  test("without an escape character they are typed as they are", () => {
    fc.assert(
      fc.property(fc.uint8Array(), typed, (bytes, text) => {
        const recogniser = new EscapeRecogniser(undefined);
        const all = Buffer.concat([bytes, Buffer.from(text, "latin1")]);
        expect(Buffer.concat(recogniser.push(all) as Uint8Array[]).equals(all)).toBe(true);
      }),
    );
  });

  test("with a letter before each of the escape characters there is none", () => {
    fc.assert(
      fc.property(typed, (text) => {
        const harmless = text.replaceAll("~", "x~");
        const typable = harmless.replaceAll(/\[20[01]x~/g, "");
        expect(recognise([typable])).toBe(typable);
      }),
    );
  });

  test("what is pasted is typed as it is", () => {
    fc.assert(
      fc.property(typed, (text) => {
        const pasted = paste(text.replaceAll("\u001b[201~", ""));
        expect(recognise(["\r", pasted])).toBe(`\r${pasted}`);
      }),
    );
  });
});
