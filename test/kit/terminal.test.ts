import { expect, test } from "vitest";
import { TestTerminal } from "./terminal.ts";

test("shows what a program writes, and gives it what is typed", async () => {
  await using terminal = new TestTerminal({
    argv: ["sh", "-c", "read line; echo got $line; stty size; exit 3"],
    env: process.env,
  });
  terminal.type("this\r");
  await terminal.shows("got this\n24 80");
  expect(await terminal.ended()).toBe(3);
});
