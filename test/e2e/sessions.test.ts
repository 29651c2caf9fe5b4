/** Sessions as a person uses them: a real terminal, the real programs, hosts and controllers killed under it. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Playground, type RunResult } from "../kit/playground.ts";
import { TestTerminal } from "../kit/terminal.ts";
import { eventually } from "../kit/wait.ts";

let playground: Playground;
let scratch: string;
/** The operator's second machine. */
let laptop: string;
let count = 0;
/** A session name that no other test has. */
let name: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "outpost-sessions-"));
  playground = await Playground.create({ hosts: ["web1", "web2"] });
  laptop = await playground.anotherContext("laptop");
}, 60_000);

afterAll(async () => {
  await playground?.[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true, force: true });
});

beforeEach(() => {
  name = `s${String(++count)}`;
});

/** What tests type is nobody's history, and shells that they kill must not leave locks of anybody's start-up files behind. */
const noHistory = ["--env", "HISTFILE=/dev/null", "--env", `HOME=${tmpdir()}`];

interface Place {
  readonly context?: string;
  readonly columns?: number;
  readonly rows?: number;
}

function terminal(args: readonly string[], { context, ...size }: Place = {}): TestTerminal {
  const env = {
    ...playground.env(),
    PATH: `${playground.binDirectory}:${process.env["PATH"] ?? ""}`,
    ...(context === undefined ? {} : { OUTPOST_CONTEXT_DIR: context }),
  };
  return new TestTerminal({ argv: playground.argv(...args), env, ...size });
}

async function outpost(...args: string[]): Promise<RunResult> {
  return playground.outpost(args);
}

async function succeed(...args: string[]): Promise<string> {
  const result = await outpost(...args);
  expect(result.stderr + result.stdout.toString(), args.join(" ")).toSatisfy(() => result.exitCode === 0);
  return result.stdout.toString();
}

interface Listed {
  readonly host: string;
  readonly status: {
    readonly session: string;
    readonly name?: string;
    readonly state: string;
    readonly availability: string;
    readonly viewers: { role: string }[];
    readonly output: { unread: number };
  };
}

async function listed(): Promise<Listed[]> {
  return (JSON.parse(await succeed("session", "list", "--output", "json")) as { sessions: Listed[] })
    .sessions;
}

async function find(session: string): Promise<Listed | undefined> {
  return (await listed()).find(({ status }) => status.name === session);
}

async function killAgent(): Promise<void> {
  await playground.agent("web1").signal("SIGKILL");
  playground.agent("web1").start();
}

function which(program: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

describe("enter", () => {
  test("is a real terminal that says where it is, and ends with exit", async () => {
    await using screen = terminal(["enter", "web1", ...noHistory], { columns: 100, rows: 30 });
    await screen.shows("[web1]");
    screen.type("stty size; tty; echo $TERM\r");
    await screen.shows(/30 100\n\/dev\/pts\/\d+\nxterm-256color/);
    screen.resize(90, 20);
    await eventually(async () => {
      screen.type("clear; stty size\r");
      return /^20 90$/m.test(screen.screen());
    });
    screen.type("printf 'gr\\303\\274n \\033[32mgreen\\033[0m\\n'; exit 7\r");
    expect(await screen.ended()).toBe(7);
    expect(screen.raw).toContain("grün \u001b[32mgreen");
    await eventually(async () => (await listed()).length === 0, { what: "the temporary session's end" });
  });

  test("leaves with ~. and lists what else there is with ~?", async () => {
    await using screen = terminal(["enter", "web1", ...noHistory], { columns: 120 });
    await screen.shows("[web1]");
    screen.type("\r~?");
    await screen.shows("~.");
    screen.type("\r");
    screen.type("kept=42\r");
    await screen.shows("kept=42");
    screen.type("\r~.");
    expect(await screen.ended()).toBe(0);
    const id = /outpost enter --session (\S+?)\]?\s/.exec(`${screen.screen()} `)?.[1];
    expect(id, screen.screen()).toBeDefined();
    await using again = terminal(["enter", "--session", id!]);
    await again.shows("kept=42");
    again.type("echo still $kept\r");
    await again.shows("still 42");
    again.type("exit\r");
    await again.ended();
  });

  test("vim survives the agent's death, and saves what was typed before and after", async (context) => {
    if (!which("vim")) context.skip("vim is not installed");
    const file = join(scratch, "notes.txt");
    await using screen = terminal(["enter", "web1", ...noHistory]);
    await screen.shows("[web1]");
    screen.type(`vim -u NONE -N ${file}\r`);
    await eventually(() => screen.isAlternate, { what: "vim" });
    screen.type("ifirst line\r");
    await screen.shows("first line");
    await killAgent();
    screen.type("second line");
    await screen.shows("second line", 40_000);
    screen.type("\u001b:wq\r");
    await eventually(() => !screen.isAlternate, { what: "the end of vim" });
    await eventually(async () => (await readFile(file, "utf8")) === "first line\nsecond line\n");
    screen.type("exit\r");
    await screen.ended();
  });

  test("top goes on when it is left, and is drawn again on another machine", async (context) => {
    if (!which("top")) context.skip("top is not installed");
    await succeed("session", "new", "web1", "--name", name, ...noHistory);
    await using here = terminal(["enter", "--session", name]);
    await here.shows("[web1]");
    here.type("top\r");
    await here.shows("%Cpu");
    here.kill("SIGKILL"); // the lid is closed
    await here.ended();
    await eventually(async () => (await find(name))?.status.state === "disconnected");
    expect((await find(name))?.status.availability).toBe("busy");
    await using there = terminal(["session", "connect", name], { context: laptop, columns: 110, rows: 40 });
    await there.shows("%Cpu");
    there.type("q");
    await eventually(() => !/%Cpu/.test(there.screen()) || /\[web1\][^\n]*$/.test(there.screen()));
    there.type("exit\r");
    await there.ended();
  });

  test("a bracketed paste of 5,000 lines arrives as it is", async () => {
    const lines = Array.from(
      { length: 5_000 },
      (_, index) => `line ${String(index)} ~. äöü ${"x".repeat(index % 70)}\n`,
    );
    const text = lines.join("");
    const file = join(scratch, "pasted.txt");
    await using screen = terminal(["enter", "web1", ...noHistory]);
    await screen.shows("[web1]");
    screen.type(`stty -echo; cat > ${file}; stty echo; echo d''one\r`);
    await eventually(() => existsSync(file), { what: "cat" });
    screen.type(`\u001b[200~${text.replaceAll("\n", "\r")}\u001b[201~\r\u0004`);
    await screen.shows("done", 30_000);
    expect(await readFile(file, "utf8")).toBe(`\u001b[200~${text}\u001b[201~\n`);
    screen.type("exit\r");
    await screen.ended();
  });

  test("Ctrl-C gets through while a gigabyte is printed", async () => {
    await using screen = terminal(["enter", "web1", ...noHistory]);
    await screen.shows("[web1]");
    screen.type("yes 'the quick brown fox jumps over the lazy dog' | head -c 1000000000; echo status=$?\r");
    await screen.shows("lazy dog");
    await eventually(() => screen.raw.length > 1_000_000);
    screen.type("\u0003");
    await eventually(() => /\[web1\][^\n]*$/.test(screen.screen()), { what: "the prompt" });
    expect(screen.raw.length).toBeLessThan(500_000_000);
    screen.type("exit\r");
    await screen.ended();
  });

  test("says that it reconnects, and goes on, when the controller is killed", async () => {
    await using screen = terminal(["enter", "web1", ...noHistory]);
    await screen.shows("[web1]");
    screen.type("v=before\r");
    await playground.controller.signal("SIGKILL");
    await screen.shows("reconnecting");
    screen.type("echo $v and after\r");
    playground.controller.start();
    await screen.shows("before and after", 45_000);
    screen.type("exit\r");
    await screen.ended();
    await playground.connected();
  });

  test("jobs started inside belong to the host", async () => {
    await using screen = terminal(["enter", "web1", ...noHistory]);
    await screen.shows("[web1]");
    const go = join(scratch, "go");
    screen.type(
      `outpost-agent job start --name inside -- sh -c 'until [ -e ${go} ]; do sleep 0.05; done; echo from inside'\r`,
    );
    await eventually(async () => (await succeed("job", "list")).includes("inside"));
    screen.type("exit\r");
    await screen.ended();
    await writeFile(go, "");
    expect(await succeed("job", "receive", "inside", "--follow")).toBe("from inside\n");
  });

  test("without a terminal says what to use instead", async () => {
    const result = await outpost("enter", "web1");
    expect(result.exitCode).toBe(251);
    expect(result.stderr).toMatch(/terminal/);
    expect(result.stderr).toMatch(/invoke/);
  });
});

describe("invoke --session", () => {
  test("runs in the session's shell, with its state, exactly", async () => {
    await succeed("session", "new", "web1", "--name", name, ...noHistory);
    await succeed("invoke", "--session", name, "-c", `cd ${scratch}; v=$(hostname); f() { echo "f: $1"; }`);
    const seen = await outpost(
      "invoke",
      "--session",
      name,
      "-c",
      'f "$v"; pwd; echo to stderr >&2; (exit 9)',
    );
    expect(seen.exitCode).toBe(9);
    expect(seen.stdout.toString()).toBe(`f: ${execFileSync("hostname").toString()}${scratch}\n`);
    expect(seen.stderr).toContain("to stderr\n");
    await using screen = terminal(["enter", "--session", name]);
    await screen.shows("[web1]");
    screen.type("echo entered $PWD; entered=yes\r");
    await screen.shows(`entered ${scratch}`);
    screen.type("\r~.");
    await screen.ended();
    expect(await succeed("invoke", "--session", name, "--", "printf", "%s|", "a b", "$entered", "*")).toBe(
      "a b|$entered|*|",
    );
    expect(await succeed("invoke", "--session", name, "-c", "echo $entered")).toBe("yes\n");
    await succeed("session", "remove", name);
    expect(await find(name)).toBeUndefined();
  });

  test("gives gigabytes byte for byte, and several sessions by host", async () => {
    await succeed("session", "new", "web1,web2", "--name", name, ...noHistory);
    const result = await outpost("invoke", "--session", name, "-c", "echo $OUTPOST_HOST");
    expect(result.stdout.toString().split("\n").toSorted().join("\n")).toMatch(/web1.*web1\n.*web2.*web2/);
    const big = await outpost("invoke", "web1", "--session", name, "-c", "head -c 50000000 /dev/zero");
    expect(big.stdout.length).toBe(50_000_000);
    await succeed("session", "remove", name);
  });

  test("one after the other, or busy", async () => {
    await succeed("session", "new", "web1", "--name", name, ...noHistory);
    const go = join(scratch, `${name}.go`);
    const first = outpost(
      "invoke",
      "--session",
      name,
      "-c",
      `n=1; until [ -e ${go} ]; do sleep 0.05; done; echo first`,
    );
    await eventually(async () => (await find(name))?.status.availability === "busy");
    const refused = await outpost("invoke", "--session", name, "--busy", "fail", "-c", "echo never");
    expect(refused.exitCode).not.toBe(0);
    expect(refused.stderr).toMatch(/busy/);
    const second = outpost("invoke", "--session", name, "-c", "echo second $n");
    await writeFile(go, "");
    expect((await first).stdout.toString()).toBe("first\n");
    expect((await second).stdout.toString()).toBe("second 1\n");
    await succeed("session", "remove", name);
  });

  test("goes on when the agent is killed meanwhile", async () => {
    await succeed("session", "new", "web1", "--name", name, ...noHistory);
    const go = join(scratch, `${name}.go`);
    const running = outpost(
      "invoke",
      "--session",
      name,
      "-c",
      `echo begun; until [ -e ${go} ]; do sleep 0.05; done; echo over; w=set`,
    );
    await eventually(async () => (await find(name))?.status.availability === "busy");
    await killAgent();
    await playground.connected(["web1"], 60_000);
    await writeFile(go, "");
    const result = await running;
    expect(result.exitCode, result.stderr).toBe(0);
    expect(result.stdout.toString()).toBe("begun\nover\n");
    expect(await succeed("invoke", "--session", name, "-c", "echo $w")).toBe("set\n");
    await succeed("session", "remove", name);
  });
});

describe("leaving and coming back", () => {
  test("what ran while nobody looked is received once, or kept", async () => {
    await succeed("session", "new", "web1", "--name", name, ...noHistory);
    const go = join(scratch, `${name}.go`);
    await using screen = terminal(["enter", "--session", name]);
    await screen.shows("[web1]");
    screen.type(`until [ -e ${go} ]; do sleep 0.05; done; seq 1 20000 | tee ${go}.copy; echo fin''ished\r`);
    await screen.shows("until");
    const left = await outpost("session", "disconnect", name);
    expect(left.exitCode, left.stderr).toBe(0);
    expect(await screen.ended()).toBe(0);
    await writeFile(go, "");
    await eventually(async () => (await succeed("session", "receive", name, "--keep")).includes("finished"));
    const kept = await succeed("session", "receive", name, "--keep");
    const received = await succeed("session", "receive", name);
    expect(received).toBe(kept);
    const numbers = received
      .replaceAll("\r", "")
      .split("\n")
      .filter((line) => /^\d+$/.test(line));
    expect(digest(numbers.join("\n"))).toBe(
      digest(Array.from({ length: 20_000 }, (_, index) => index + 1).join("\n")),
    );
    expect(await succeed("session", "receive", name)).toBe("");
    await succeed("session", "remove", name);
  });

  test("two see the same, one types; taking over is told", async () => {
    await succeed("session", "new", "web1", "--name", name, ...noHistory);
    await using first = terminal(["enter", "--session", name]);
    await first.shows("[web1]");
    await using busy = terminal(["enter", "--session", name], { context: laptop });
    expect(await busy.ended()).not.toBe(0);
    expect(busy.screen()).toMatch(/--watch/);
    expect(busy.screen()).toMatch(/--take-over/);
    await using watcher = terminal(["enter", "--session", name, "--watch"], { context: laptop });
    await watcher.shows("[web1]");
    first.type("echo shown $((6*7))\r");
    await first.shows("shown 42");
    await watcher.shows("shown 42");
    watcher.type("echo not typed\r");
    await using second = terminal(["enter", "--session", name, "--take-over"], { context: laptop });
    await second.shows("shown 42");
    await first.shows(/took over|taken over/);
    second.type("echo by $((2*50+1))\r");
    for (const each of [first, second, watcher]) await each.shows("by 101");
    expect(second.screen()).not.toContain("not typed");
    second.type("exit\r");
    for (const each of [first, second, watcher]) await each.ended();
  });

  test("a session whose session host was killed is broken, and its output still there", async () => {
    await succeed("session", "new", "web2", "--name", name, ...noHistory);
    await using screen = terminal(["enter", "--session", name]);
    await screen.shows("[web2]");
    screen.type("\r~.");
    await screen.ended();
    const pid = playground.sessionHostPid("web2");
    expect(pid).toBeDefined();
    process.kill(pid!, "SIGKILL");
    await eventually(async () => (await find(name))?.status.state === "broken", { withinMs: 30_000 });
    const again = await outpost("invoke", "--session", name, "--", "true");
    expect(again.exitCode).not.toBe(0);
    expect(again.stderr).toMatch(/broken|died/);
    await succeed("session", "remove", name);
  });

  test("a recording is replayed and exported", async () => {
    await succeed("session", "new", "web1", "--name", name, "--record", ...noHistory);
    await using screen = terminal(["enter", "--session", name]);
    await screen.shows("[web1]");
    screen.type("echo recorded $((3*3))\r");
    await screen.shows("recorded 9");
    screen.type("\r~.");
    await screen.ended();
    const cast = (await succeed("session", "export", name)).trimEnd().split("\n");
    expect(JSON.parse(cast[0]!)).toMatchObject({ version: 2, width: 80, height: 24 });
    const output = cast.slice(1).map((line) => JSON.parse(line) as [number, string, string]);
    expect(
      output
        .filter(([, kind]) => kind === "o")
        .map(([, , text]) => text)
        .join(""),
    ).toContain("recorded 9");
    await using replay = terminal(["session", "replay", name, "--speed", "100"]);
    await replay.shows("recorded 9");
    expect(await replay.ended()).toBe(0);
    await succeed("session", "remove", name);
  });
});

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
