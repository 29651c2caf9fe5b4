import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { prepareShell } from "./prepare-shell.ts";

let root: string;
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), "outpost-prepare-"))));
afterEach(() => rmSync(root, { recursive: true, force: true }));

function prepare(shell: string): ReturnType<typeof prepareShell> {
  const env = { HOME: "/root" };
  return prepareShell({
    directory: join(root, "shell"),
    shell,
    nonce: "n",
    hostName: "web1",
    env,
    onExit: "end",
  });
}

/** A link `name` to a program `target`. */
function link(name: string, target: string): string {
  mkdirSync(join(root, "programs"), { recursive: true });
  writeFileSync(join(root, "programs", target), "");
  const path = join(root, name);
  if (name !== target) symlinkSync(join(root, "programs", target), path);
  return path;
}

test.each([
  ["bash", "bash", "bash"],
  ["zsh", "zsh-5.9", "zsh"],
  ["sh", "dash", "sh"],
  ["sh", "busybox", "sh"],
  ["ash", "busybox", "sh"],
  ["sh", "bash", "sh"],
  ["sh", "ksh93", "none"],
  ["sh", "mksh", "none"],
  ["rbash", "bash", "none"],
  ["fish", "fish", "none"],
  ["python3", "python3.12", "none"],
])("%s that is really %s has the integration of %s", (name, target, integration) => {
  expect(prepare(link(name, target)).integration).toBe(integration);
});

test("a shell that is not integrated is started as it is, and nothing is written", () => {
  expect(prepare("/usr/bin/fish")).toEqual({
    file: "/usr/bin/fish",
    argv: ["-l"],
    env: { HOME: "/root" },
    integration: "none",
  });
  expect(prepare("/usr/bin/python3").argv).toEqual([]);
  expect(readdirSync(root)).toEqual([]);
});
