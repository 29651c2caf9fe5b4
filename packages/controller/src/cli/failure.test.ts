import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

let directory: string;
beforeAll(async () => void (directory = await mkdtemp(join(tmpdir(), "outpost-cli-"))));
afterAll(() => rm(directory, { recursive: true }));

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `outpost` for real, where nothing is set up. */
function outpost(...args: string[]): Promise<Outcome> {
  const main = join(import.meta.dirname, "main.ts");
  const env = { ...process.env, OUTPOST_CONTEXT_DIR: directory, OUTPOST_CONTROLLER_DIR: directory };
  return new Promise((resolve) => {
    execFile(process.execPath, ["--conditions=source", main, ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

test("no context: says where it looked, and how to get one", async () => {
  const { code, stdout, stderr } = await outpost("host", "list");
  expect(code).toBe(252);
  expect(stdout).toBe("");
  expect(stderr).toMatch(
    /^outpost: there is no operator's context in .*; `outpost controller init` makes one/,
  );
});

test("programs get the error in their format, with its code", async () => {
  const json = await outpost("host", "list", "--output", "json");
  expect(JSON.parse(json.stdout)).toMatchObject({ error: { code: "not_found", data: { directory } } });
  const ndjson = await outpost("job", "list", "--output=ndjson");
  expect(JSON.parse(ndjson.stdout)).toMatchObject({ type: "error", code: "not_found" });
});

test("wrong usage: one line, the way to the help, its own exit code", async () => {
  const { code, stderr } = await outpost("job", "receiv", "x");
  expect(stderr).toBe(
    "outpost: there is no command outpost job receiv. Did you mean: outpost job receive. See: outpost job --help\n",
  );
  expect(code).toBe(251);
});

test("no terminal: says what to use instead", async () => {
  const { code, stderr } = await outpost("enter", "web1");
  expect(stderr).toBe(
    "outpost: a session needs a terminal, and standard input is none; to run a command: outpost invoke web1 -- COMMAND\n",
  );
  expect(code).toBe(251);
  expect((await outpost("session", "connect", "deploy")).stderr).toContain(
    "outpost invoke --session deploy -c TEXT",
  );
});

test("no controller: says how to make one", async () => {
  const { code, stderr } = await outpost("controller", "start");
  expect(stderr).toMatch(/^outpost: there is no controller in .*`outpost controller init`\n$/);
  expect(code).toBe(252);
});

test("a completion that fails is silent", async () => {
  expect(await outpost("__complete", "--", "job", "show", "")).toEqual({ code: 0, stdout: "", stderr: "" });
});

test("the version", async () => {
  expect((await outpost("--version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});
