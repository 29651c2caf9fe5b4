/** What a person sees: answers of jobs that never ran, shown by a process of its own on a terminal. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { TestTerminal } from "../kit/terminal.ts";

const folder = join(import.meta.dirname, "../../packages/controller/src/cli/render/testing");
const node = [process.execPath, "--conditions=source"];
const { NO_COLOR: _no, FORCE_COLOR: _force, ...inherited } = process.env;
const environment = { ...inherited, LC_ALL: "C.UTF-8" };

/** A program on a terminal, and behind its end a mark: whoever has seen that has seen everything. */
function run(
  argv: readonly string[],
  size: { columns: number; rows: number },
  env: NodeJS.ProcessEnv = {},
): TestTerminal {
  const line = ["sh", "-c", '"$@"; echo "[end]"', "sh", ...argv];
  return new TestTerminal({ argv: line, env: { ...environment, ...env }, ...size });
}

function show(asked: object, size: { columns: number; rows: number }, env?: NodeJS.ProcessEnv): TestTerminal {
  return run([...node, join(folder, "show.ts"), JSON.stringify(asked)], size, env);
}

/** The screen when the program has ended. */
async function lastScreen(terminal: TestTerminal): Promise<string> {
  const screen = await terminal.shows("[end]", 60_000);
  return screen.replace("[end]", "").trimEnd();
}

const wide = { columns: 200, rows: 60 };
const narrow = { columns: 40, rows: 60 };

describe("screens", () => {
  test.each([
    ["three hosts in streams", { job: "lines", hosts: 3 }],
    ["three hosts in a table", { job: "json", hosts: 3, format: "table" }],
    ["forty hosts in groups", { job: "fleet", hosts: 40, format: "group" }],
    ["forty hosts in groups, compared", { job: "fleet", hosts: 40, format: "group", diff: true }],
    ["forty hosts in a table", { job: "lines", hosts: 40, format: "table" }],
    ["a thousand hosts in groups", { job: "fleet", hosts: 1000, format: "group" }],
  ])("%s, wide and narrow", async (_name, asked) => {
    for (const size of [wide, narrow]) {
      await using terminal = show({ ...asked, progress: false, color: "never" }, size);
      expect(await lastScreen(terminal)).toMatchSnapshot(`${String(size.columns)} columns`);
    }
  });

  test("colours on a terminal, none with NO_COLOR", async () => {
    const asked = { job: "fleet", hosts: 40, format: "group", progress: false };
    await using colored = show(asked, wide);
    await using plain = show(asked, wide, { NO_COLOR: "1" });
    expect(await lastScreen(plain)).toBe(await lastScreen(colored));
    expect(colored.raw).toContain("\u001b[31m(3) exit 1");
    expect(plain.raw).not.toContain("\u001b");
  });
});

describe("the status line", () => {
  test.each([["stream"], ["group"], ["table"], ["ndjson"]])(
    "comes and goes, and leaves %s as it is",
    async (format) => {
      const asked = { job: "fleet", hosts: 30, format, paceMs: 40 };
      const size = { columns: 100, rows: 150 };
      await using terminal = show(asked, size);
      await using alone = show({ ...asked, progress: false, paceMs: 0 }, size);
      const screen = await lastScreen(terminal);
      // What came, however fast: the screen may have been looked at too late.
      expect(terminal.raw).toMatch(/\d+\/30.*ok.*\d/);
      expect(screen).toBe(await lastScreen(alone));
      expect(screen).not.toContain("outpost  ");
    },
  );

  test("is in nobody's way, whoever writes half a line where", async () => {
    const size = { columns: 60, rows: 150 };
    for (const seed of ["1", "2"]) {
      const start = (...args: string[]): TestTerminal =>
        run([...node, join(folder, "footer.ts"), seed, ...args], size);
      await using terminal = start("yes");
      await using alone = start("no");
      expect(await lastScreen(terminal)).toBe(await lastScreen(alone));
      expect(terminal.raw).toContain("status #");
    }
  });

  test("leaves nothing behind when the terminal becomes narrower", async () => {
    await using terminal = show(
      { job: "lines", hosts: 30, format: "group", paceMs: 60 },
      { columns: 120, rows: 150 },
    );
    await terminal.shows(/outpost {2}\S+ {2}\d+\/30/);
    terminal.resize(30, 150);
    const screen = await lastScreen(terminal);
    expect(screen).not.toMatch(/\d+\/30|outpost {2}|running/);
    expect(screen).toContain("web01 up 26 days");
  });

  test("is not for dumb terminals, nor for those who do not want it", async () => {
    const asked = { job: "lines", hosts: 12, format: "group", paceMs: 60 };
    const argv = ["env", "TERM=dumb", ...node, join(folder, "show.ts"), JSON.stringify(asked)];
    await using dumb = run(argv, wide);
    await using unwanted = show({ ...asked, progress: false }, wide);
    await Promise.all([lastScreen(dumb), lastScreen(unwanted)]);
    for (const { raw } of [dumb, unwanted]) expect(raw).not.toMatch(/\d+\/12|\u001b\[K/);
  });

  test("is on the terminal while the output goes to a file", async () => {
    const asked = { job: "fleet", hosts: 20, format: "ndjson", paceMs: 60 };
    const line = `${[...node, join(folder, "show.ts")].join(" ")} '${JSON.stringify(asked)}' > /dev/null`;
    await using terminal = run(["sh", "-c", line], wide);
    expect((await lastScreen(terminal)).trim()).toBe("");
    expect(terminal.raw).toMatch(/\d+\/20/);
  });

  test("is not there where somebody else shows what comes, in the middle of it", async () => {
    const asked = { job: "fleet", hosts: 20, format: "stream", paceMs: 60 };
    const line = `${[...node, join(folder, "show.ts")].join(" ")} '${JSON.stringify(asked)}' | cat`;
    await using terminal = run(["sh", "-c", line], wide);
    expect(await lastScreen(terminal)).toContain("outpost: 20 hosts");
    expect(terminal.raw).not.toMatch(/\d+\/20/);
  });
});

test("Ctrl-C shows what came and who has not answered, and the status line is gone", async () => {
  const asked = { job: "fleet", hosts: 40, format: "group", waitsAfter: 80 };
  // Not by way of a shell, which would be interrupted, too.
  const argv = [...node, join(folder, "show.ts"), JSON.stringify(asked)];
  await using terminal = new TestTerminal({ argv, env: environment, ...wide });
  await terminal.shows(/outpost {2}\S+ {2}\d+\/40/);
  terminal.type("\u0003");
  await terminal.ended();
  const screen = await terminal.shows(/outpost: 40 hosts/);
  expect(screen).toMatch(/^web\[.*\] \(\d+\) exit 0$/m);
  expect(screen).toMatch(/^web.* \(\d+\) still running$/m);
  expect(screen).toMatch(/outpost: 40 hosts: \d+ succeeded; .*still running \(web/);
  expect(screen).not.toMatch(/\d+\/40/);
});

test.each(["SIGINT", "SIGTERM"] as const)("somebody who dies of %s leaves no status line", async (signal) => {
  const argv = [...node, join(folder, "footer.ts"), "1", "yes", "stays"];
  await using terminal = new TestTerminal({ argv, env: environment, columns: 60, rows: 150 });
  await terminal.shows(/shown\n\s*status #/);
  process.kill(terminal.pid, signal);
  await terminal.ended();
  await terminal.shows(/shown$/);
});

/** Measured: 220 MiB, of which 90 are Node and what is loaded. */
const maxRssKiB = 320 * 1024;

test("a thousand different answers of a megabyte are not held in memory", { timeout: 180_000 }, async () => {
  const asked = { job: "different", hosts: 1000, bytes: 1_000_000, format: "group", tellsMemory: true };
  const child = spawn(process.execPath, [...node.slice(1), join(folder, "show.ts"), JSON.stringify(asked)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let shownBytes = 0;
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (shownBytes += chunk.byteLength));
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  await once(child, "close");
  const { maxRssKiB: rss } = JSON.parse(said.trimEnd().split("\n").at(-1)!) as { maxRssKiB: number };
  expect(shownBytes).toBeGreaterThan(1_000_000_000);
  expect(rss).toBeLessThan(maxRssKiB);
});
