import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { commandLine, directiveIn, unitText } from "./unit.ts";

test("sections, directives, and reasons as comments", () => {
  const text = unitText("Who wrote it.", [
    { name: "Unit", directives: [{ name: "Description", value: "A thing" }] },
    {
      name: "Service",
      directives: [
        { name: "KillMode", value: "process", why: `${"word ".repeat(30)}end.` },
        { name: "Restart", value: "always" },
      ],
    },
  ]);
  expect(text).toBe(`# Who wrote it.

[Unit]
Description=A thing

[Service]
# word word word word word word word word word word word word word word word word word word word word word word word
# word word word word word word word end.
KillMode=process
Restart=always
`);
  expect(directiveIn(text, "Restart")).toBe("always");
  expect(directiveIn(text, "RestartSec")).toBeUndefined();
});

describe("command lines", () => {
  test.each([
    [["/bin/a", "start", "--dir", "/var/lib/a"], "/bin/a start --dir /var/lib/a"],
    [["/bin/a", "/with space"], '/bin/a "/with space"'],
    [["/bin/a", "100%", "$HOME"], "/bin/a 100%% $$HOME"],
    [["/bin/a", 'a"b\\c', ""], String.raw`/bin/a "a\"b\\c" ""`],
    [["/bin/a", "a;b"], '/bin/a "a;b"'],
  ])("%j", (words, line) => expect(commandLine(words)).toBe(line));

  // Whatever the words are, the line is one that systemd takes.
  const hasSystemd = existsSync("/usr/bin/systemd-analyze");
  test.skipIf(!hasSystemd)("systemd finds nothing wrong with them", () => {
    const folder = mkdtempSync(join(tmpdir(), "outpost-unit-"));
    try {
      const unit = join(folder, "outpost-verify.service");
      fc.assert(
        fc.property(fc.array(fc.string({ minLength: 1, maxLength: 12 }), { maxLength: 4 }), (words) => {
          // No program takes a NUL.
          fc.pre(words.every((word) => !/[\0-\x08\x0b-\x1f\x7f]/.test(word)));
          writeFileSync(unit, `[Service]\nExecStart=${commandLine(["/bin/true", ...words])}\n`);
          execFileSync("systemd-analyze", ["verify", unit], { stdio: "pipe" });
        }),
        { numRuns: 25 },
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
