import { expect, test } from "vitest";
import { plainLine } from "./log.ts";

const time = new Date(2026, 0, 1, 12, 34, 56).getTime();

test("a record becomes a short line", () => {
  const record = {
    level: 40,
    time,
    state: "waiting",
    code: "busy",
    retryMs: 5,
    msg: "not connected",
    job: "abc",
    n: 2,
  };
  expect(plainLine(JSON.stringify(record))).toBe("12:34:56 warn  not connected job=abc n=2\n");
});

test("an error's stack follows its line", () => {
  const record = { level: 50, time, msg: "fault", err: { message: "boom", stack: "Error: boom\n    at x" } };
  expect(plainLine(JSON.stringify(record))).toBe("12:34:56 error fault\nError: boom\n    at x\n");
});

test("what is no record stays as it is", () => {
  expect(plainLine("plain text\n")).toBe("plain text\n");
});
