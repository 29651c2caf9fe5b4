/** Every command's table holds what its help and its completion need. */
import { describe, expect, test } from "vitest";
import { commands, groups } from "./commands/index.ts";
import { completions } from "./completions.ts";
import { commandHelp } from "./help.ts";
import { unknownCommand } from "./unknown-command.ts";

describe.each(Object.entries(commands))("%s", (name, { load, hidden }) => {
  test("its help shows how it is called, its options and examples", async () => {
    const command = await load();
    const help = await commandHelp(command, 110);
    expect(command.name).toBe(name);
    for (const line of command.usage) expect(help).toContain(`outpost ${line}`);
    for (const option of Object.keys(command.options)) expect(help).toContain(`--${option}`);
    expect(help).toContain("Examples:");
  });

  test("its examples are not broken, however narrow the terminal is, and the rest of the help fits", async () => {
    const command = await load();
    const lines = (await commandHelp(command, 60)).split("\n");
    for (const [example] of command.examples)
      expect(lines.some((line) => line === `  ${example}` || line.startsWith(`  ${example}    # `))).toBe(
        true,
      );
    const examples = new Set(command.examples.map(([example]) => `  ${example}`));
    for (const line of lines) if (!examples.has(line)) expect(line.length).toBeLessThanOrEqual(60);
  });

  test("its examples call it", async () => {
    for (const [example] of (await load()).examples) expect(example).toContain(`outpost ${name}`);
  });

  test.runIf(hidden !== true)("it has --output", async () => {
    const forPeople = ["invoke", "job receive"].includes(name) ? ["stream", "group", "table"] : ["text"];
    expect((await load()).options["output"]?.choices).toEqual([...forPeople, "json", "ndjson"]);
  });

  test.runIf(name.includes(" "))("its first word is a group", () => {
    expect(groups[name.split(" ")[0]!]).toBeDefined();
  });
});

test("the help of job wait, as a whole", async () => {
  expect(await commandHelp(await commands["job wait"]!.load(), 100)).toMatchInlineSnapshot(`
    "outpost job wait ID [--any] [--timeout DURATION]

    Wait until a job has ended on all its hosts, or with --any on one. Leaves its output where it is.

    Options:
      -h, --help                     Show help
          --any                      Until one host's job has ended
          --timeout DURATION         How long at most; then the exit code is 124 and the job goes on
          --output text|json|ndjson  For people, or for programs: one JSON document, or one JSON object
                                     per line [default: text]

    Examples:
      outpost job wait 4k7m
      outpost job wait nightly --any --timeout 30s

    ID: the job: its id, the beginning of it, or its name

    Exit codes: 0 all succeeded; else the highest of the hosts' exit codes (128+n for signal n), 124
    timed out, 249 a roll-out was stopped before a host had its turn or a check failed, 250 lost or
    unknown, 251 wrong usage, 252 another error (e.g. the controller cannot be reached), 253 denied, 254
    a host was unreachable, 130 interrupted by Ctrl-C."
  `);
});

describe("completion without a controller", () => {
  const words = async (...given: string[]): Promise<string[]> =>
    (await completions(given)).map(({ word }) => word);

  test("commands", async () => {
    expect(await words("")).toEqual([
      "controller",
      "targets",
      "token",
      "host",
      "operator",
      "context",
      "policy",
      "audit",
      "authority",
      "session",
      "job",
      "invoke",
      "copy",
      "enter",
      "sign-in",
      "doctor",
      "completion",
    ]);
    expect(await words("job", "s")).toEqual(["start", "show", "stop"]);
    expect(await words("session", "re")).toEqual(["receive", "replay", "remove"]);
  });

  test("options, each once unless it repeats", async () => {
    expect(await words("job", "receive", "x", "--ke")).toEqual(["--keep"]);
    expect(await words("job", "receive", "x", "--keep", "--ke")).toEqual([]);
    expect(await words("job", "receive", "x", "--host", "a", "--ho")).toEqual(["--host"]);
  });

  test("words of a fixed choice", async () => {
    expect(await words("job", "receive", "x", "--stream", "std")).toEqual(["stdout", "stderr"]);
    expect(await words("completion", "")).toEqual(["bash", "zsh", "fish"]);
    expect(await words("session", "new", "web1", "--buffering", "")).toEqual([
      "spill",
      "block",
      "drop-oldest",
    ]);
    expect(await words("invoke", "--busy", "f")).toEqual(["fail"]);
    expect(await words("invoke", "--rerun", "4k7m", "s")).toEqual(["stopped", "skipped"]);
  });

  test("nothing behind --, nor for what is no command", async () => {
    expect(await words("invoke", "web1", "--", "--ti")).toEqual([]);
    expect(await words("nonsense", "")).toEqual([]);
  });
});

test.each([
  [["invok"], "there is no command outpost invok. Did you mean: outpost invoke"],
  [["job", "lst"], "there is no command outpost job lst. Did you mean: outpost job list"],
  [["job"], "what to do with job? One of: list, show"],
  [["xyzzy"], "there is no command outpost xyzzy. One of: invoke, job"],
  [["--output", "json", "job", "list"], "options come behind the command; one of: invoke, job"],
])("%j", (args, expected) => {
  const words = (group: string): string[] => ({ "": ["invoke", "job"], job: ["list", "show"] })[group] ?? [];
  expect(unknownCommand(args, words).message).toBe(expected);
});
