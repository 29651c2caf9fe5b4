/** `outpost controller init`, for real: what it makes, where, and for whom to read. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readContext } from "../client/context.ts";

let home: string;
beforeEach(async () => void (home = await mkdtemp(join(tmpdir(), "outpost-init-"))));
afterEach(() => rm(home, { recursive: true }));

const root = (): string => join(home, ".config", "outpost");
const contextDirectory = (name: string): string => join(root(), "contexts", name);

function init(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const main = join(import.meta.dirname, "main.ts");
  const { OUTPOST_CONTEXT: _, OUTPOST_CONTEXT_DIR: __, ...inherited } = process.env;
  const all = { ...inherited, HOME: home, OUTPOST_CONTROLLER_DIR: join(home, "controller"), ...env };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ["--conditions=source", main, "controller", "init", ...args],
      { env: all },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

test("makes the first context, which holds the key of the operators' authority; the controller does not", async () => {
  const { code, stdout } = await init(["--operator", "ada"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/operators\.key in it makes operators.*Keep a copy in a\nsafe place/);
  const context = await readContext(contextDirectory("default"));
  expect(context).toMatchObject({ name: "ada", controller: "wss://127.0.0.1:7443" });
  expect(context.reach).toMatch(/^wss:\/\/.+:7443$/);
  expect(await readFile(join(root(), "current"), "utf8")).toBe("default\n");
  expect(await modeOf(contextDirectory("default"))).toBe(0o700);
  for (const key of ["operator.key", "operators.key"]) {
    expect(await modeOf(join(contextDirectory("default"), key))).toBe(0o600);
  }
  expect(await readFile(join(home, "controller", "operators.crt"), "utf8")).toBe(context.operators);
  await expect(stat(join(home, "controller", "operators.key"))).rejects.toMatchObject({ code: "ENOENT" });
});

test("the context is called as the controller's host, or as it is told, and says how others reach it", async () => {
  await init(["--name", "outpost.example.com", "--listen", "0.0.0.0:9443"]);
  expect(await readContext(contextDirectory("outpost.example.com"))).toMatchObject({
    controller: "wss://127.0.0.1:9443",
    reach: "wss://outpost.example.com:9443",
  });
  const other = { OUTPOST_CONTROLLER_DIR: join(home, "other") };
  const told = await init(["--context", "lab", "--listen", "127.0.0.1:9444", "--output", "json"], other);
  expect(JSON.parse(told.stdout)).toMatchObject({
    context: "lab",
    contextDirectory: contextDirectory("lab"),
  });
  // Nobody else reaches that one.
  expect((await readContext(contextDirectory("lab"))).reach).toBeUndefined();
});

test("one folder, when OUTPOST_CONTEXT_DIR says so", async () => {
  const folder = join(home, "folder");
  await init(["--operator", "ada"], { OUTPOST_CONTEXT_DIR: folder });
  expect(await readContext(folder)).toMatchObject({ name: "ada" });
  await expect(stat(root())).rejects.toMatchObject({ code: "ENOENT" });
  const both = await init(["--context", "x"], { OUTPOST_CONTEXT_DIR: folder });
  expect(both).toMatchObject({
    code: 251,
    stderr: expect.stringContaining("OUTPOST_CONTEXT_DIR says already"),
  });
});

test("a context that is there is not replaced; one with operators.key not even by force", async () => {
  await init([]);
  const other = { OUTPOST_CONTROLLER_DIR: join(home, "other") };
  for (const args of [[], ["--force"]]) {
    const { code, stderr } = await init(args, other);
    expect(code).toBe(252);
    expect(stderr).toMatch(/operators\.key.*cannot be made again/);
  }
  await expect(stat(join(home, "other"))).rejects.toMatchObject({ code: "ENOENT" });
  await rm(join(contextDirectory("default"), "operators.key"));
  expect((await init([], other)).stderr).toContain("Replace it with --force");
  expect((await init(["--force"], other)).code).toBe(0);
});

test("what fails leaves no empty context", async () => {
  const { code, stderr } = await init(["--operator", "not a name"]);
  expect(code).toBe(251);
  expect(stderr).toContain("--operator NAME");
  await expect(stat(contextDirectory("default"))).rejects.toMatchObject({ code: "ENOENT" });
});

test("in a folder with a context of 0.1 it asks for --force", async () => {
  const folder = join(home, "folder");
  await mkdir(folder);
  await writeFile(join(folder, "context.json"), '{"controller":"wss://x:7443","name":"me"}');
  const env = { OUTPOST_CONTEXT_DIR: folder };
  expect((await init([], env)).stderr).toMatch(/0\.1.*--force/);
  expect((await init(["--force"], env)).code).toBe(0);
});
