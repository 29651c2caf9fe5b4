/**
 * A terminal that takes nothing (its window is dragged, its laptop sleeps) while a program on it prints without end: the
 * shell goes on at its own pace, no process on the way fills its memory, and the terminal comes back to the screen as it
 * is. `OUTPOST_FLOOD_BYTES=1000000000` for more than the little that every run prints.
 */
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Playground } from "../kit/playground.ts";
import { TestTerminal } from "../kit/terminal.ts";
import { eventually } from "../kit/wait.ts";

const floodBytes = Number(process.env["OUTPOST_FLOOD_BYTES"] ?? 150_000_000);
/** What a process may grow by meanwhile: windows, the emulator's backlog, and what its garbage collector leaves lying. */
const growthMiB = 96;

let playground: Playground;
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "outpost-stalled-"));
  playground = await Playground.create({ hosts: ["web1"] });
}, 60_000);

afterAll(async () => {
  await playground?.[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true, force: true });
});

/** Resident memory in MiB (Linux: proc_pid_status(5)); undefined elsewhere. */
function residentMiB(pid: number): number | undefined {
  try {
    const status = readFileSync(`/proc/${String(pid)}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
  } catch {
    return undefined;
  }
}

test(
  "a stalled terminal holds up nobody, costs no memory, and comes back with a repaint",
  { timeout: 300_000 },
  async (context) => {
    if (process.platform !== "linux") context.skip("the memory of processes is read from /proc");
    const done = join(scratch, "done");
    await using screen = new TestTerminal({
      argv: playground.argv("enter", "web1", "--env", "HISTFILE=/dev/null", "--env", `HOME=${tmpdir()}`),
      env: playground.env(),
    });
    await screen.shows("[web1]");
    const processes = (): Record<string, number> => ({
      agent: residentMiB(playground.agent("web1").pid!)!,
      controller: residentMiB(playground.controller.pid!)!,
      "session host": residentMiB(playground.sessionHostPid("web1")!)!,
      outpost: residentMiB(screen.pid)!,
    });
    // Once, so that what is loaded and compiled for it is not counted.
    screen.type("yes warm | head -c 20000000; echo r''eady\r");
    await screen.shows(/ready\n.*\[web1\]/s, 60_000);
    const before = processes();

    screen.hold();
    screen.type(
      `yes 'the quick brown fox' | head -c ${String(floodBytes)}; touch ${done}; echo f''inished\r`,
    );
    const highest = { ...before };
    await eventually(
      () => {
        for (const [name, mib] of Object.entries(processes())) highest[name] = Math.max(highest[name]!, mib);
        return existsSync(done);
      },
      { withinMs: 240_000, what: "the end of the flood" },
    );
    const grown = Object.entries(highest).map(
      ([name, mib]) => [name, Math.round(mib - before[name]!)] as const,
    );
    expect(grown.filter(([, mib]) => mib > growthMiB)).toEqual([]);

    screen.release();
    await screen.shows(/finished\n.*\[web1\]/s, 60_000);
    expect(screen.raw).toMatch(/of output skipped, because this terminal was behind/);
    screen.type("exit\r");
    expect(await screen.ended()).toBe(0);
  },
);
