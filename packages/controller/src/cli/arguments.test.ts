import { describe, expect, test } from "vitest";
import { readArguments } from "./arguments.ts";
import { commands } from "./commands/index.ts";

async function read(name: string, ...args: string[]) {
  return readArguments(await commands[name]!.load(), args);
}

const message = (name: string, ...args: string[]): Promise<string> =>
  read(name, ...args).then(
    () => "",
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );

describe("what stands behind -- is left alone", () => {
  test("its options, too, and further --", async () => {
    const parsed = await read("invoke", "web1", "--timeout", "5s", "--", "git", "--help", "--", "-c", "x");
    expect(parsed?.positionals).toEqual(["web1"]);
    expect(parsed?.given.get("timeout")).toEqual(["5s"]);
    expect(parsed?.rest).toEqual(["git", "--help", "--", "-c", "x"]);
  });

  test("a command that takes nothing there says so", async () => {
    expect(await message("job list", "--", "x")).toBe("outpost job list takes nothing behind --");
  });
});

test("options may stand before and behind the targets, repeat where they may, and be written with =", async () => {
  const parsed = await read("invoke", "--env", "A=1", "web1", "--env=B=2", "-c", "true");
  expect(parsed?.given.get("env")).toEqual(["A=1", "B=2"]);
  expect(parsed?.given.get("command")).toEqual(["true"]);
});

test("the targets may be left out when sessions are named", async () => {
  expect((await read("invoke", "--session", "a,b", "-c", "pwd"))?.positionals).toEqual([]);
  expect((await read("invoke", "web1", "--session", "a", "-c", "pwd"))?.positionals).toEqual(["web1"]);
});

test.each([["--help"], ["web1", "-h"]])("help is asked for by %j", async (...args) => {
  expect(await read("invoke", ...args)).toBeUndefined();
});

describe("mistakes", () => {
  test.each([
    [["invoke"], /^TARGETS is missing/],
    [["invoke", "", "--", "true"], /^TARGETS is empty/],
    [["invoke", "--rerun", "4k7m", "failed", " "], /^TARGETS is empty/],
    [
      ["invoke", "web1", "web2", "--", "true"],
      /"web2" could be; several hosts are one expression: web1,web2$/,
    ],
    [
      ["invoke", "web1", "--batch", "-1", "--", "true"],
      /^a value that begins with - is written --batch=VALUE$/,
    ],
    [["invoke", "web1", "-c", "-1"], /^a value that begins with - is written --command=VALUE$/],
    [["invoke", "web1", "ls", "-l"], /Did you mean: outpost invoke web1 -- ls -l$/],
    [
      ["invoke", "web1", "--name", "n", "ls", "a b"],
      /Did you mean: outpost invoke web1 --name n -- ls 'a b'$/,
    ],
    [["invoke", "web1", "ls -l | wc"], /Did you mean: outpost invoke web1 -c 'ls -l \| wc'$/],
    [
      ["invoke", "web1", "--timeot", "5s", "-c", "x"],
      /there is no option --timeot.*Did you mean --timeout\?$/,
    ],
    [["invoke", "web1", "--name", "a", "--name", "b", "-c", "x"], /^--name is given more than once$/],
    [["invoke", "web1", "--env", "--", "ls"], /^--env needs a value$/],
    [["job list", "--stat", "running"], /^there is no option --stat.*Did you mean --state\?$/],
    [["job show"], /^ID is missing/],
    [["job show", "a", "b"], /"b"/],
    [["enter"], /^TARGET is missing/],
    [["enter", "web1", "web2"], /"web2"/],
    [["enter", "--session"], /--session needs a value$/],
    [["session connect"], /^SESSION is missing/],
    [["session list", "--stat", "opened"], /Did you mean --state\?$/],
    [["job receive", "a", "--kep"], /Did you mean --keep\?$/],
  ] as const)("%j", async ([name, ...args], expected) => {
    expect(await message(name, ...args)).toMatch(expected);
  });
});

test.each([
  ["invoke", ["web1", "--timeout", "soon", "-c", "x"], /--timeout: "soon" is not a duration/],
  ["invoke", ["web1", "--env", "A", "-c", "x"], /--env: "A" is not KEY=VALUE/],
  ["invoke", ["web1"], /what to run is missing/],
  ["invoke", ["web1", "-c", "x", "--script", "y"], /exclude each other/],
  ["invoke", ["web1", "-c", "x", "--", "y"], /-c takes shell text alone/],
  ["invoke", ["web1", "--script", "/no/such"], /--script: \/no\/such is not there/],
  ["invoke", ["web1", "--script", "/"], /--script: \/ is a directory/],
  ["host list", ["--output", "xml"], /--output: "xml" is none of text, json, ndjson/],
  ["job list", ["--state", "ended"], /--state: "ended" is none of pending,/],
  ["token create", ["--uses", "0"], /--uses: "0" is not a number/],
  ["invoke", ["--session", "a,,b", "-c", "x"], /--session: "a,,b" is not a list of sessions/],
  ["invoke", ["--session", "a", "--busy", "no", "-c", "x"], /--busy: "no" is none of wait, fail/],
  ["invoke", ["--session", "a", "--env", "A=1", "-c", "x"], /its own environment and directory/],
  ["invoke", ["--session", "a"], /missing: outpost invoke --session a -- COMMAND/],
  ["job start", ["--session", "a", "--cwd", "/", "-c", "x"], /its own environment and directory/],
  ["enter", ["web1", "--watch"], /--watch is for a session that is there: name it with --session/],
  ["enter", ["--session", "a", "--shell", "zsh"], /--shell is for a new session; this one has begun/],
  ["enter", ["web1", "--session", "a"], /which host of the session, --host says/],
  ["enter", ["--session", "a", "--watch", "--take-over"], /exclude each other/],
  ["enter", ["web1", "--escape", "~~"], /--escape: "~~" is neither one visible ASCII character nor none/],
  ["session new", ["web1", "--buffering", "all"], /--buffering: "all" is none of spill, block, drop-oldest/],
  ["session new", ["web1", "--idle-timeout", "0s"], /--idle-timeout: "0s" is no time at all/],
  ["session replay", ["a", "--speed", "0"], /--speed: "0" is not a number above 0/],
  ["controller init", ["--listen", "here"], /--listen: "here" is not HOST:PORT/],
] as const)("%s %j", async (name, args, expected) => {
  const command = await commands[name]!.load();
  const parsed = await readArguments(command, args);
  await expect(command.execute(parsed!)).rejects.toThrow(expected);
});
