import { describe, expect, test } from "vitest";
import { EmulatorAnswers, withoutReports } from "./terminal-reports.ts";

const strip = (text: string, most: number) => {
  const { bytes, removed } = withoutReports(Buffer.from(text, "latin1"), most);
  return [Buffer.from(bytes).toString("latin1"), removed];
};

test.each([
  ["DA1", "\x1b[?62;22c"],
  ["DA2", "\x1b[>41;400;0c"],
  ["DSR", "\x1b[0n"],
  ["CPR", "\x1b[24;80R"],
  ["DECRPM", "\x1b[?2004;2$y"],
  ["DECRQSS", "\x1bP1$r0m\x1b\\"],
  ["a colour", "\x1b]11;rgb:0000/0000/0000\x07"],
])("%s is an answer of a terminal", (_, report) => {
  expect(strip(`${report}typed`, 1)).toEqual(["typed", 1]);
});

describe("what is typed stays", () => {
  test.each(["ls\r", "\x1b", "\x1b[A", "\x1bOP", "\x1b[200~paste\x1b[201~", "\x1b[<0;1;1M", "\x1b[15~"])(
    "%j",
    (keys) => {
      expect(strip(keys, 5)).toEqual([keys, 0]);
    },
  );
});

test("no more go than were answered already", () => {
  expect(strip("\x1b[1;1R\x1b[0n\x1b[?1;2c", 2)).toEqual(["\x1b[?1;2c", 2]);
  expect(strip("\x1b[1;1R", 0)).toEqual(["\x1b[1;1R", 0]);
});

test("answers are counted from where a viewer begins", () => {
  const answers = new EmulatorAnswers();
  for (const offset of [10, 20, 30]) answers.given(offset);
  expect([0, 10, 11, 31].map((from) => answers.after(from))).toEqual([3, 3, 2, 0]);
});
