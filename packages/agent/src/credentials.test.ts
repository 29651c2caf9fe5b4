import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode } from "@outpost/protocol";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Credentials, readCredentials, settleCredentials, writeCredentials } from "./credentials.ts";
import { agentPaths, type AgentPaths } from "./directory.ts";

/** After so many changes of the disk the power fails: nothing is changed any more. */
const power = vi.hoisted(() => ({ changesLeft: Infinity }));

vi.mock("node:fs/promises", async (importOriginal) => {
  const real = await importOriginal<typeof fs>();
  const change = (): void => {
    if (power.changesLeft-- <= 0) throw new Error("the power failed");
  };
  const changing =
    <A extends unknown[], R>(action: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      change();
      return action(...args);
    };
  return {
    ...real,
    mkdir: changing(real.mkdir),
    rename: changing(real.rename),
    rm: changing(real.rm),
    open: async (path: string, flags: string, mode?: number) => {
      if (flags !== "r") change();
      const handle = await real.open(path, flags, mode);
      const write = handle.writeFile.bind(handle);
      handle.writeFile = async (text) => {
        // Half of it is on disk when it fails.
        if (power.changesLeft <= 0) await write((text as string).slice(0, 3));
        change();
        await write(text);
      };
      return handle;
    },
  };
});

let paths: AgentPaths;
beforeEach(async () => {
  power.changesLeft = Infinity;
  paths = agentPaths(await fs.mkdtemp(join(tmpdir(), "outpost-credentials-")));
});
afterEach(async () => {
  power.changesLeft = Infinity;
  await fs.rm(paths.directory, { recursive: true });
});

const named = (name: string): Credentials => ({
  key: `${name} key`,
  certificate: `${name} certificate`,
  authority: `${name} authority`,
  operators: `${name} operators`,
});

test("a crash at any moment leaves the whole old identity or the whole new one", async () => {
  const outcomes = new Set<string>();
  for (let changes = 0; ; changes++) {
    power.changesLeft = Infinity;
    await fs.rm(paths.directory, { recursive: true });
    await fs.mkdir(paths.directory);
    await writeCredentials(paths, named("old"));
    power.changesLeft = changes;
    const failed = await writeCredentials(paths, named("new")).then(
      () => false,
      () => true,
    );
    power.changesLeft = Infinity;
    const found = await readCredentials(paths);
    expect([named("old"), named("new")]).toContainEqual(found);
    outcomes.add(found.key);
    // The next agent tidies up, and finds the same.
    await settleCredentials(paths);
    expect(await readCredentials(paths)).toEqual(found);
    expect(await fs.readdir(paths.directory)).toEqual(["identity"]);
    if (!failed) break;
    expect(changes).toBeLessThan(100);
  }
  expect([...outcomes].toSorted()).toEqual(["new key", "old key"]);
});

test("a crash of the very first writing leaves no identity", async () => {
  power.changesLeft = 5;
  await expect(writeCredentials(paths, named("first"))).rejects.toThrow();
  power.changesLeft = Infinity;
  await expect(readCredentials(paths)).rejects.toMatchObject({ code: ErrorCode.notFound });
  await writeCredentials(paths, named("second"));
  expect(await readCredentials(paths)).toEqual(named("second"));
});

test("a crash of the tidying up is tidied up", async () => {
  for (let changes = 0; changes < 4; changes++) {
    await writeCredentials(paths, named("old"));
    await fs.cp(paths.identity, `${paths.identity}.new`, { recursive: true });
    await fs.rename(paths.identity, `${paths.identity}.old`);
    power.changesLeft = changes;
    await settleCredentials(paths).catch(() => {});
    power.changesLeft = Infinity;
    expect(await readCredentials(paths)).toEqual(named("old"));
    await settleCredentials(paths);
    expect(await readCredentials(paths)).toEqual(named("old"));
  }
});

test("the key is its owner's alone; without operators there is no file of them", async () => {
  const { operators: _, ...old } = named("old");
  await writeCredentials(paths, old);
  expect((await fs.stat(paths.key)).mode & 0o777).toBe(0o600);
  expect((await fs.stat(paths.identity)).mode & 0o777).toBe(0o700);
  expect(await readCredentials(paths)).toEqual({ ...old, operators: undefined });
});
