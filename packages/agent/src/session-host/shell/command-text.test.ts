import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "@outpost/protocol";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { sessionCommandText } from "./command-text.ts";

const directory = mkdtempSync(join(tmpdir(), "outpost-command-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const shells: readonly (readonly [string, string, readonly string[]])[] = [
  ["sh", "/bin/sh", []],
  ["bash", "/bin/bash", []],
  ["bash in POSIX mode", "/bin/bash", ["--posix"]],
  ["zsh", "/bin/zsh", ["-f"]],
  [
    "zsh with RC_QUOTES and more",
    "/bin/zsh",
    ["-f", "-o", "rcquotes", "-o", "extendedglob", "-o", "globsubst"],
  ],
  ["busybox ash", "/bin/busybox", ["ash"]],
];

/** Text that hurts, and anything else that can be an argument. */
const word = fc.oneof(
  fc.string({ unit: "binary" }).map((text) => text.replaceAll("\0", "").toWellFormed()),
  fc.string({ unit: fc.constantFrom(..."'\"\\$`!*?[]{}()<>|&;#~=%^-\n\t\r \u0001\u007fa".split("")) }),
  fc.constantFrom("", "'", "''", "'''", "-n", "--", "~", "*", "a=b", "é✓🙂", "$(exit 9)", "L"),
);

test.for(shells)("%s runs exactly the vector", ([name, shell, options], context) => {
  if (!existsSync(shell)) context.skip(`quoting for ${name}: there is no ${shell} here`);
  const run = (text: string): Buffer => {
    const file = join(directory, "text");
    writeFileSync(file, `alias -g L=wrong 2>/dev/null; alias printf=wrong\n${text}`);
    const result = spawnSync(shell, [...options, file], { env: { PATH: "/usr/bin:/bin", LANG: "C.UTF-8" } });
    expect(result.stderr.toString()).toBe("");
    return result.stdout;
  };
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 8 }), (words) => {
      const printed = run(sessionCommandText({ kind: "exec", argv: ["printf", "%s\\0", ...words] }));
      expect(printed).toEqual(Buffer.from(words.map((text) => `${text}\0`).join("")));
    }),
    { numRuns: 60 },
  );
});

test("no first word is a keyword, an assignment or an alias", () => {
  for (const name of ["if", "a=b", "{", "!", "ll", ""]) {
    const text = sessionCommandText({ kind: "exec", argv: [name, "x"] });
    writeFileSync(join(directory, "text"), `shopt -s expand_aliases; alias ll=true\n${text}`);
    expect(spawnSync("/bin/bash", [join(directory, "text")]).status, name).toBe(127);
  }
});

test("shell text stays as it is, a script is run by its own first line", () => {
  expect(sessionCommandText({ kind: "shell", text: "cd /srv # there" })).toBe("cd /srv # there\n");
  const path = join(directory, "it's a script");
  writeFileSync(path, '#!/bin/cat\nexit 3\n"$@"\n');
  chmodSync(path, 0o700);
  const command: Command = { kind: "script", name: "it", body: new Uint8Array(), args: ["/dev/null"] };
  writeFileSync(join(directory, "text"), sessionCommandText(command, path));
  const { stdout } = spawnSync("/bin/sh", [join(directory, "text")]);
  expect(stdout.toString()).toBe(readFileSync(path, "utf8"));
  expect(() => sessionCommandText(command)).toThrow("written to a file");
});
