import { expect, test } from "vitest";
import { hasColor, hostColored, styled } from "./color.ts";

const terminal = (): boolean => true;
const pipe = (): boolean => false;

test.each([
  ["auto", {}, terminal, true],
  ["auto", {}, pipe, false],
  ["auto", { NO_COLOR: "1" }, terminal, false],
  ["auto", { NO_COLOR: "" }, terminal, true],
  ["auto", { TERM: "dumb" }, terminal, false],
  ["auto", { FORCE_COLOR: "1" }, pipe, true],
  ["auto", { FORCE_COLOR: "0" }, terminal, false],
  ["auto", { NO_COLOR: "1", FORCE_COLOR: "1" }, terminal, false],
  ["always", { NO_COLOR: "1" }, pipe, true],
  ["never", { FORCE_COLOR: "1" }, terminal, false],
] as const)("%s, with %j", (choice, env, isTerminal, expected) => {
  expect(hasColor(choice, 1, env, isTerminal)).toBe(expected);
});

test("a host has one colour, and its neighbour another", () => {
  const env = { TERM: "xterm-256color" };
  const colors = Array.from({ length: 40 }, (_, at) => hostColored(`web${String(at)}`, "", env));
  expect(colors).toEqual(Array.from({ length: 40 }, (_, at) => hostColored(`web${String(at)}`, "", env)));
  expect(new Set(colors).size).toBeGreaterThan(8);
});

test("nothing in a style is nothing", () => {
  expect(styled("", "red")).toBe("");
  expect(styled("x", undefined)).toBe("x");
});
