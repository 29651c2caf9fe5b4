import { mkdtempSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode } from "@outpost/protocol";
import { maxUnixPathBytes } from "@outpost/protocol/unix-socket";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { agentPaths } from "./directory.ts";
import { makePrivateDirectory } from "./private-directory.ts";

let root: string;
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), "outpost-directory-"))));
afterEach(() => rmSync(root, { recursive: true }));

test("sockets are in the directory's run/", () => {
  const paths = agentPaths("/var/lib/outpost-agent");
  expect(paths.sockets).toBe(paths.run);
  expect(paths.sessionHostSocket).toBe("/var/lib/outpost-agent/run/session-host.sock");
  expect(paths.localSocket).toBe("/var/lib/outpost-agent/run/agent.sock");
});

test("whatever the directory, the kernel takes the sockets' paths, and each directory has its own", () => {
  const directory = fc.string({ minLength: 1, maxLength: 200, unit: "grapheme" }).map((name) => `/${name}`);
  fc.assert(
    fc.property(directory, directory, (one, other) => {
      const [a, b] = [agentPaths(one), agentPaths(other)];
      expect(Buffer.byteLength(a.sessionHostSocket)).toBeLessThanOrEqual(maxUnixPathBytes);
      expect(Buffer.byteLength(a.localSocket)).toBeLessThanOrEqual(maxUnixPathBytes);
      expect(a.sockets === b.sockets).toBe(a.directory === b.directory);
      expect(agentPaths(one)).toEqual(a);
    }),
  );
});

test("a private directory is made, or closed to others when it is ours", () => {
  const path = join(root, "a", "b");
  makePrivateDirectory(path);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  const open = join(root, "open");
  mkdirSync(open, { mode: 0o755 });
  makePrivateDirectory(open);
  expect(statSync(open).mode & 0o777).toBe(0o700);
});

test("one that somebody could have put there for us is refused", () => {
  const link = join(root, "link");
  symlinkSync(root, link);
  expect(() => makePrivateDirectory(link)).toThrow(expect.objectContaining({ code: ErrorCode.denied }));
  const file = join(root, "file");
  writeFileSync(file, "");
  expect(() => makePrivateDirectory(file)).toThrow(expect.objectContaining({ code: ErrorCode.internal }));
});

test("the machine's own agent asks the machine's programs for facts, too; any other only its own", () => {
  expect(agentPaths("/var/lib/outpost-agent").factFolders).toEqual([
    "/etc/outpost/facts.d",
    "/var/lib/outpost-agent/facts.d",
  ]);
  expect(agentPaths(root).factFolders).toEqual([join(root, "facts.d")]);
});
