/** How fast a session is: keystroke to echo, and exec to prompt. Each program runs on a PTY of ours, as in a terminal. */
import { spawn as spawnProcess, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawn, type IPty } from "@lydell/node-pty";
import { makeCertificate } from "./certificate.ts";

export interface TerminalProgram {
  readonly argv: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** How many keys are typed and not counted, until everything is compiled. */
const warmUpKeys = 200;
const quietMs = 300;
// With whatever sequences stand behind it.
const prompt = /[$#] (?:\u001b[^ ]*)?$/;
const giveUpMs = 30_000;

function open({ argv, env = process.env }: TerminalProgram): IPty {
  const text = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return spawn(argv[0]!, argv.slice(1), {
    name: "xterm-256color",
    cols: 80,
    rows: 24,
    env: Object.fromEntries(text),
  });
}

function end(pty: IPty): Promise<void> {
  return new Promise((resolve) => {
    pty.onExit(() => resolve());
    pty.write("\u0003exit\r");
    setTimeout(() => pty.kill("SIGKILL"), 5_000).unref();
  });
}

/** Resolves when the program has printed `wanted`. Call it as soon as the program is there. */
function printed(pty: IPty, wanted: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = "";
    const timer = setTimeout(() => reject(new Error(`no ${String(wanted)} in ${text}`)), giveUpMs);
    const listener = pty.onData((data) => {
      text += data;
      if (!wanted.test(text)) return;
      clearTimeout(timer);
      listener.dispose();
      resolve();
    });
  });
}

function quiet(pty: IPty): Promise<void> {
  return new Promise((resolve) => {
    let timer = setTimeout(done, quietMs);
    const listener = pty.onData(() => {
      clearTimeout(timer);
      timer = setTimeout(done, quietMs);
    });
    function done(): void {
      listener.dispose();
      resolve();
    }
  });
}

/** One key, one echo: milliseconds between. The next key comes after it, as from somebody who types. */
function echoMs(pty: IPty, key: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const timer = setTimeout(() => reject(new Error(`no echo of ${key}`)), giveUpMs);
    const listener = pty.onData((data) => {
      if (!data.includes(key)) return;
      clearTimeout(timer);
      listener.dispose();
      resolve(performance.now() - begun);
    });
    pty.write(key);
  });
}

export interface Latency {
  readonly median: number;
  readonly p99: number;
}

/** Types `keys` keys into each program, in turns of twenty, so that a machine whose speed drifts is fair to all. */
export async function echoLatency(
  programs: Readonly<Record<string, TerminalProgram | undefined>>,
  keys: number,
): Promise<Record<string, Latency>> {
  const opened = Object.entries(programs)
    .filter((entry): entry is [string, TerminalProgram] => entry[1] !== undefined)
    .map(([name, program]) => {
      const pty = open(program);
      return { name, pty, prompt: printed(pty, prompt), values: [] as number[] };
    });
  try {
    await Promise.all(opened.map((each) => each.prompt));
    for (const { pty } of opened) {
      await quiet(pty);
      await type(pty, warmUpKeys);
    }
    for (let done = 0; done < keys; done += 20) {
      for (const { pty, values } of opened) values.push(...(await type(pty, 20)));
    }
  } finally {
    await Promise.all(opened.map(({ pty }) => end(pty)));
  }
  return Object.fromEntries(opened.map(({ name, values }) => [name, latency(values)]));
}

async function type(pty: IPty, keys: number): Promise<number[]> {
  const values: number[] = [];
  for (let index = 0; index < keys; index++) {
    values.push(await echoMs(pty, "xyzwv"[index % 5]!));
    // A line must not grow until it wraps.
    if (index % 20 === 19) {
      pty.write("\u0015");
      await quietFor(pty);
    }
  }
  return values;
}

/** The answer to Ctrl-U, whatever it looks like, MUST not be taken for an echo. */
function quietFor(pty: IPty): Promise<void> {
  return new Promise((resolve) => {
    const listener = pty.onData(() => {
      listener.dispose();
      setTimeout(resolve, 5);
    });
  });
}

function latency(values: readonly number[]): Latency {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
  return { median: at(0.5), p99: at(0.99) };
}

/** From exec to the first prompt, in milliseconds. */
export async function promptMs(program: TerminalProgram): Promise<number> {
  const begun = performance.now();
  const pty = open(program);
  await printed(pty, prompt);
  const ms = performance.now() - begun;
  await end(pty);
  return ms;
}

type Role = "relay" | "host" | "owner" | "agent";

/** The bare floor (echo-floor.ts), running: what to start as its client. */
export class EchoFloor implements Disposable {
  readonly client: TerminalProgram;
  readonly #directory: string;
  readonly #children: readonly ChildProcess[];

  private constructor(directory: string, port: number, children: readonly ChildProcess[]) {
    this.#directory = directory;
    this.#children = children;
    this.client = { argv: program("client", directory, port) };
  }

  /** @param roles what stands between the client and the PTY, the relay first */
  static async start(roles: readonly Role[], port: number): Promise<EchoFloor> {
    const directory = mkdtempSync(join(tmpdir(), "outpost-floor-"));
    makeCertificate(directory);
    const children: ChildProcess[] = [];
    for (const role of roles) children.push(await running(program(role, directory, port)));
    return new EchoFloor(directory, port, children);
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function program(role: Role | "client", directory: string, port: number): string[] {
  return [process.execPath, join(import.meta.dirname, "echo-floor.ts"), role, directory, String(port)];
}

function running(argv: readonly string[]): Promise<ChildProcess> {
  const child = spawnProcess(argv[0]!, argv.slice(1), { stdio: ["ignore", "pipe", "inherit"] });
  return new Promise((resolve, reject) => {
    child.stdout.once("data", () => resolve(child));
    child.once("exit", (code) => reject(new Error(`${argv[2]!} ended with ${String(code)}`)));
  });
}
