import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Program, type ProgramVersion } from "./program.ts";
import { writePackage, writeProgram } from "./testing/packages.ts";

let folder: string;
let program: Program;
const children: ChildProcess[] = [];

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "outpost-program-")));
  program = new Program(options());
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

const options = () => ({
  prefix: join(folder, "opt"),
  command: "program",
  main: "dist/main.js",
  commands: join(folder, "bin"),
});

function source(version: string): string {
  const root = writeProgram(join(folder, `source-${version}`), { version, dependencies: ["a"] });
  writePackage(join(root, "node_modules/a"), "a");
  return root;
}

async function put(version: string): Promise<ProgramVersion> {
  const added = await program.add(source(version));
  await program.switchTo(added);
  return added;
}

const say = (file: string, ...args: string[]): string =>
  execFileSync(file, args, { encoding: "utf8", env: { PATH: "/usr/bin:/bin" } }).trim();
const versions = (): string[] => readdirSync(join(folder, "opt/versions")).map((name) => name.split("-")[0]!);

describe("a version", () => {
  test("runs with a Node of its own and without its source", async () => {
    const root = source("1.0.0");
    const added = await program.add(root);
    rmSync(root, { recursive: true });
    expect(program.current, "adding changes nothing").toBeUndefined();
    await program.switchTo(added);
    expect(program.current).toEqual(added);
    expect(say(program.launcher, "--version")).toBe("1.0.0");
    expect(say(program.launcher)).toBe('{"program@1.0.0":[{"a@1.0.0":[]}]}');
    expect(say(join(added.folder, "bin/node"), "-p", "process.execPath")).toBe(
      join(added.folder, "bin/node"),
    );
  });

  test("nobody but its owner can write to it, whatever its source allowed", async () => {
    const root = source("1.0.0");
    execFileSync("chmod", ["-R", "a+rwX", root]);
    const { folder: added } = await program.add(root);
    const open = readdirSync(added, { recursive: true, encoding: "utf8" }).filter(
      (name) => (statSync(join(added, name)).mode & 0o022) !== 0,
    );
    expect(open).toEqual([]);
    expect(statSync(join(added, "dist/main.js")).mode & 0o777).toBe(0o644);
    expect(statSync(join(added, "bin/program")).mode & 0o777).toBe(0o755);
  });

  test("that does not run is not added", async () => {
    const root = source("1.0.0");
    writeFileSync(join(root, "dist/main.js"), 'throw new Error("no such library");');
    await expect(program.add(root)).rejects.toMatchObject({ code: "start_failed" });
    const other = source("2.0.0");
    writeFileSync(join(other, "dist/main.js"), 'console.log("1.5.0");');
    await expect(program.add(other)).rejects.toThrow(/2\.0\.0 says that it is "1\.5\.0"/);
    expect(readdirSync(join(folder, "opt/versions"))).toEqual([]);
  });

  test("that is not built is explained", async () => {
    const root = source("1.0.0");
    rmSync(join(root, "dist"), { recursive: true });
    await expect(program.add(root)).rejects.toThrow(/build the program first/);
  });
});

describe("switching", () => {
  test("keeps the one before, and the way back", async () => {
    const first = await put("1.0.0");
    const second = await put("2.0.0");
    const third = await put("3.0.0");
    await program.prune();
    expect(versions()).toEqual(["2.0.0", "3.0.0"]);
    expect(program.previous).toEqual(second);
    await program.switchTo(second);
    expect(say(program.launcher, "--version")).toBe("2.0.0");
    await program.discard(third);
    await program.discard(second);
    expect(versions(), "the one in force is not discarded").toEqual(["2.0.0"]);
    expect(existsSync(first.folder)).toBe(false);
  });

  test("a version that a process runs from stays, also when that was started by the link", async () => {
    await put("1.0.0");
    const child = spawn(program.launcher, ["wait"], { stdio: ["ignore", "pipe", "inherit"] });
    children.push(child);
    await said(child, "waits");
    await put("2.0.0");
    await put("3.0.0");
    await program.prune();
    expect(versions()).toEqual(["1.0.0", "2.0.0", "3.0.0"]);
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
    await program.prune();
    expect(versions()).toEqual(["2.0.0", "3.0.0"]);
  });

  test("what a crash left is no version, and goes", async () => {
    const first = await put("1.0.0");
    mkdirSync(join(folder, "opt/versions/2.0.0-x.partial/dist"), { recursive: true });
    symlinkSync("versions/gone", join(folder, "opt/current.new"));
    symlinkSync("versions/gone", join(folder, "opt/previous.new"));
    expect(program.current).toEqual(first);
    const second = await put("2.0.0");
    await program.prune();
    expect(program.current).toEqual(second);
    expect(versions()).toEqual(["1.0.0", "2.0.0"]);
    expect(readdirSync(join(folder, "opt")).toSorted()).toEqual(["current", "previous", "versions"]);
  });

  test("killed at any moment, what is in force runs", { timeout: 120_000 }, async () => {
    await put("1.0.0");
    const next = source("2.0.0");
    const script = join(folder, "upgrade.mjs");
    const module = new URL("program.ts", import.meta.url).href;
    const text = `import { Program } from ${JSON.stringify(module)};
      const program = new Program(${JSON.stringify(options())});
      console.log("begins");
      for (;;) {
        await program.switchTo(await program.add(${JSON.stringify(next)}));
        console.log("switched");
        await program.prune();
      }`;
    writeFileSync(script, text);
    let switched = 0;
    for (let cut = 0; cut < 12; cut++) {
      const stdio = ["ignore", "pipe", "inherit"] as const;
      const child = spawn(process.execPath, ["--conditions=source", script], { stdio: [...stdio] });
      children.push(child);
      // Some while it copies, some while it switches and prunes.
      await said(child, cut % 2 === 0 ? "begins" : "switched");
      const ended = new Promise((resolve) => child.once("exit", resolve));
      await setTimeout(cut * 40);
      child.kill("SIGKILL");
      await ended;
      const version = say(program.launcher, "--version");
      expect(["1.0.0", "2.0.0"]).toContain(version);
      if (version === "2.0.0") switched++;
      expect(program.current?.version).toBe(version);
    }
    expect(switched, "some came so far").toBeGreaterThan(0);
    await put("3.0.0");
    await program.prune();
    expect(versions()).toHaveLength(2);
  });
});

function said(child: ChildProcess, line: string): Promise<void> {
  return new Promise((resolve) => {
    let text = "";
    child.stdout!.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes(`${line}\n`)) resolve();
    });
  });
}

describe("the command for people", () => {
  const command = (): string => join(folder, "bin/program");

  test("is a link that follows what is in force", async () => {
    await put("1.0.0");
    expect(await program.linkCommand()).toBeUndefined();
    expect(say(command(), "--version")).toBe("1.0.0");
    await put("2.0.0");
    expect(await program.linkCommand()).toBeUndefined();
    expect(say(command(), "--version")).toBe("2.0.0");
  });

  test("somebody else's is left alone, also when the program goes", async () => {
    await put("1.0.0");
    mkdirSync(join(folder, "bin"));
    writeFileSync(command(), "npm's");
    expect(await program.linkCommand()).toBe(command());
    await program.remove();
    expect(readFileSync(command(), "utf8")).toBe("npm's");
  });
});

test("removing leaves nothing but what still runs", async () => {
  await put("1.0.0");
  await program.linkCommand();
  const child = spawn(program.launcher, ["wait"], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  await said(child, "waits");
  const { folder: old } = await put("2.0.0");
  const left = await program.remove();
  expect(left).toHaveLength(1);
  expect(left[0]).toContain("/1.0.0-");
  expect(existsSync(old)).toBe(false);
  expect(existsSync(join(folder, "bin/program"))).toBe(false);
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
  expect(await program.remove()).toEqual([]);
  expect(existsSync(join(folder, "opt"))).toBe(false);
});
