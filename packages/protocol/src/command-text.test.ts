import { expect, test } from "vitest";
import { commandText } from "./command-text.ts";

test.each([
  [["echo", "a b", "it's", "x=1"], String.raw`echo 'a b' 'it'\''s' x=1`],
  [["printf", "%s\n", ""], "printf '%s ' ''"],
])("%j is quoted for a shell", (argv, text) => {
  expect(commandText({ kind: "exec", argv })).toBe(text);
});

test("shell text stays as it is, but on one line", () => {
  expect(commandText({ kind: "shell", text: "\n  make all &&\n\tmake test\n" })).toBe(
    "make all && make test",
  );
});

test("a script is called by its name", () => {
  const body = Buffer.from("#!/bin/sh\n");
  expect(commandText({ kind: "script", name: "check.sh", body, args: ["-v", "a b"] })).toBe(
    "check.sh -v 'a b'",
  );
});

test("what is long is shortened, and says so", () => {
  const text = commandText({ kind: "shell", text: "x".repeat(500) });
  expect(text).toHaveLength(120);
  expect(text.endsWith("x…")).toBe(true);
});
