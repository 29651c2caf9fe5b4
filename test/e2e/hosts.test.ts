/** Hosts as a person looks at them: what they say of themselves, chosen by it, listed, shown and watched. */
import { spawn } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Playground } from "../kit/playground.ts";
import { TestTerminal } from "../kit/terminal.ts";
import { eventually } from "../kit/wait.ts";

let playground: Playground;

beforeAll(async () => {
  playground = await Playground.create({
    hosts: ["web1", "web2", "web10"],
    joinArguments: () => ["--label", "role=web"],
  });
}, 60_000);
afterAll(() => playground?.[Symbol.asyncDispose]());

async function says(host: string, name: string, script: string): Promise<void> {
  const folder = join(playground.agentDirectory(host), "facts.d");
  await mkdir(folder, { recursive: true, mode: 0o755 });
  await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`);
  await chmod(join(folder, name), 0o755);
}

async function succeed(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await playground.outpost(args);
  expect(stderr + stdout.toString(), args.join(" ")).toSatisfy(() => exitCode === 0);
  return stdout.toString();
}

/** The first column of a list. */
const names = (list: string): string[] =>
  list
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => line.split(" ")[0]!);

/** Has the agent look at its facts.d again, without ending. */
function lookAgain(host: string): void {
  process.kill(playground.agent(host).pid!, "SIGHUP");
}

describe("what a host says of itself", () => {
  test("chooses it, is verified there, and is shown", async () => {
    await says("web1", "rack", "echo r12");
    await says("web10", "place", `echo '{"rack": "r13", "height": 4}'`);
    for (const host of ["web1", "web10"]) lookAgain(host);
    await eventually(async () => names(await succeed("host", "list", "fact.rack=r*")).length === 2, {
      what: "the facts",
    });
    expect(names(await succeed("host", "list", "fact.rack=r*"))).toEqual(["web1", "web10"]);
    expect(names(await succeed("host", "list", "fact.height>3"))).toEqual(["web10"]);
    const list = await succeed("host", "list", "--facts", "fact.rack,cpus", "--state", "connected");
    expect(list.split("\n")[0]).toMatch(/FACT\.RACK +CPUS +LAST SEEN/);
    expect(list).toMatch(/^web1 .* r12 /m);
    expect(list).toMatch(/^web2 .* - /m);
    // The host decides by its own facts whether it is meant.
    const ran = await succeed("invoke", "fact.rack=r12", "--", "echo", "here");
    expect(ran).toBe("here\n");
    const shown = await succeed("host", "show", "web10");
    expect(shown).toMatch(/^fact\.height +4$/m);
    expect(shown).toMatch(/^labels +role=web$/m);
    expect(shown).toMatch(/^state +connected$/m);
    const { host } = JSON.parse(await succeed("host", "show", "web10", "--output", "json")) as {
      host: { facts: object };
    };
    expect(host.facts).toMatchObject({ platform: process.platform, custom: { rack: "r13", height: 4 } });
  });

  test("is what `outpost-agent facts` prints; what is wrong is said there and in its status", async () => {
    await says("web2", "broken", "echo no rack here >&2; exit 3");
    const facts = await playground.outpostAgent("web2", ["facts"]);
    expect(facts.exitCode).toBe(1);
    expect(facts.stdout.toString()).toMatch(/^platform +\w+$/m);
    expect(facts.stderr).toContain("broken failed with exit code 3: no rack here");
    lookAgain("web2");
    await playground.agent("web2").printed("no rack here");
    const status = await playground.outpostAgent("web2", ["status"]);
    expect(status.stdout.toString()).toMatch(
      /^facts .*cannot be used.*\n {2}\S*broken failed with exit code 3/m,
    );
    await says("web2", "broken", "echo fine");
    lookAgain("web2");
    await playground.agent("web2").printed("in order again");
    expect(playground.agent("web2").isRunning).toBe(true);
  });

  test("a host that nobody knows, several, and a key that means nothing", async () => {
    const several = await playground.outpost(["host", "show", "web*"]);
    expect(several.exitCode).not.toBe(0);
    expect(several.stderr).toContain("web* means 3 hosts (web[1-2,10])");
    expect((await playground.outpost(["host", "show", "db1"])).stderr).toContain("db1");
    const typo = await playground.outpost(["host", "list", "--facts", "memory"]);
    expect(typo.stderr).toMatch(/memory is no fact.*mem, /);
  });
});

describe("host list --watch", () => {
  const watchArgs = ["host", "list", "--watch", "--interval", "100ms"];

  test("is drawn in place, follows the hosts and the window, and gives the terminal back", async () => {
    await using terminal = new TestTerminal({
      argv: playground.argv(...watchArgs),
      env: playground.env(),
      columns: 100,
      rows: 12,
    });
    await terminal.shows(/^web1 .*connected[^]*3 hosts: 3 connected/m);
    expect(terminal.isAlternate).toBe(true);
    await playground.agent("web2").signal("SIGTERM");
    const screen = await terminal.shows("3 hosts: 2 connected, 1 disconnected");
    expect(screen.split("\n")).toHaveLength(5);
    expect(screen).toMatch(/^web2 +disconnected/m);
    terminal.resize(100, 4);
    await terminal.shows(/^web1 [^]*\n… and 2 more\n\S+ {2}3 hosts/m);
    terminal.resize(100, 12);
    playground.agent("web2").start();
    await terminal.shows("3 hosts: 3 connected");
    terminal.type("q");
    expect(await terminal.ended()).toBe(0);
    expect(terminal.isAlternate).toBe(false);
    expect(terminal.screen()).toContain("3 hosts: 3 connected");
  });

  test("goes on over a restart of the controller, and Ctrl-C leaves", async () => {
    await using terminal = new TestTerminal({
      argv: playground.argv(...watchArgs),
      env: playground.env(),
      columns: 100,
      rows: 12,
    });
    await terminal.shows("3 hosts: 3 connected");
    await playground.controller.signal("SIGKILL");
    await terminal.shows(/no answer for|connection|reach/);
    expect(terminal.screen()).toMatch(/^web1 /m);
    playground.controller.start();
    await terminal.shows("3 hosts: 3 connected", 30_000);
    terminal.type("\u0003");
    expect(await terminal.ended()).toBe(0);
    expect(terminal.isAlternate).toBe(false);
  });

  test("needs a terminal; as ndjson it is a line for each change", async () => {
    const piped = await playground.outpost(watchArgs);
    expect(piped.exitCode).not.toBe(0);
    expect(piped.stderr).toMatch(/needs a terminal.*--output ndjson/);
    const [program, ...args] = playground.argv(...watchArgs, "web*", "--output", "ndjson");
    const child = spawn(program!, args, { env: playground.env(), stdio: ["ignore", "pipe", "inherit"] });
    const lines: { name: string; state: string }[] = [];
    createInterface({ input: child.stdout }).on("line", (line) => void lines.push(JSON.parse(line) as never));
    await eventually(() => lines.length === 3);
    await playground.agent("web10").signal("SIGTERM");
    await eventually(() => lines.length === 4);
    expect(lines[3]).toMatchObject({ name: "web10", state: "disconnected" });
    playground.agent("web10").start();
    await eventually(() =>
      lines.some(({ name, state }, index) => index > 3 && name === "web10" && state === "connected"),
    );
    child.kill("SIGINT");
    await new Promise((resolve) => child.once("exit", resolve));
  });
});
