/**
 * A controller and agents as real processes on loopback, in a folder of their own, set up by the same commands that a
 * person types. Used by the demo, the end-to-end tests, the fault tests and the benchmarks.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { agentPaths } from "@outpost/agent";
import { connect, type Client } from "@outpost/controller/client";
import { Program } from "./program.ts";
import { Proxy } from "./proxy.ts";
import { eventually } from "./wait.ts";

const root = join(import.meta.dirname, "../..");

/** How `outpost` and `outpost-agent` are run: from the sources, or as built by `pnpm build`. */
const programs = {
  source: {
    outpost: [process.execPath, "--conditions=source", join(root, "packages/controller/src/cli/main.ts")],
    agent: [process.execPath, "--conditions=source", join(root, "packages/agent/src/main.ts")],
  },
  built: {
    outpost: [process.execPath, join(root, "packages/controller/dist/cli/main.js")],
    agent: [process.execPath, join(root, "packages/agent/dist/main.js")],
  },
} as const;

export interface RunResult {
  readonly exitCode: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: Uint8Array | string;
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
}

export interface PlaygroundOptions {
  /** The agents' names. Default `web1, web2, web3`. */
  readonly hosts?: readonly string[];
  /** Default `source`. */
  readonly from?: keyof typeof programs;
  /** More text for each agent's `join`, e.g. labels. */
  readonly joinArguments?: (host: string) => readonly string[];
  /** True: agents reach the controller through `playground.proxy`, which can hold and cut. */
  readonly proxied?: boolean;
  /** Used as it is, with the controller that may be in it, and kept. Default: a new folder, which goes in the end. */
  readonly directory?: string;
  /** Told of each command as a person would type it. */
  readonly narrate?: (command: string) => void;
}

/** Where a context's controller listens. */
async function setPort(contextDirectory: string, port: number): Promise<void> {
  const file = join(contextDirectory, "context.json");
  const context = JSON.parse(await readFile(file, "utf8")) as object;
  await writeFile(file, JSON.stringify({ ...context, controller: `wss://127.0.0.1:${String(port)}` }));
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class Playground implements AsyncDisposable {
  readonly directory: string;
  readonly port: number;
  readonly controller: Program;
  readonly agents = new Map<string, Program>();
  #proxy: Proxy | undefined;
  readonly #options: PlaygroundOptions;

  private constructor(directory: string, port: number, options: PlaygroundOptions) {
    this.directory = directory;
    this.port = port;
    this.#options = options;
    this.controller = new Program({
      name: "controller",
      argv: [...this.#programs.outpost, "controller", "start", "--listen", `127.0.0.1:${String(port)}`],
      env: this.env(),
      logFile: join(directory, "controller.log"),
    });
  }

  /** Sets everything up and waits until every host is connected. */
  static async create(options: PlaygroundOptions = {}): Promise<Playground> {
    const directory = options.directory ?? (await mkdtemp(join(tmpdir(), "outpost-")));
    const playground = new Playground(directory, await freePort(), options);
    try {
      await playground.#writePrograms();
      if (options.proxied === true) playground.#proxy = await Proxy.listen(playground.port);
      await playground.#setUp(options.hosts ?? ["web1", "web2", "web3"]);
      return playground;
    } catch (error) {
      await playground[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where agents dial. */
  get url(): string {
    return `wss://127.0.0.1:${String(this.#proxy?.port ?? this.port)}`;
  }

  /** What the agents' connections go through, with `proxied`. */
  get proxy(): Proxy {
    if (this.#proxy === undefined) throw new Error("this playground is not proxied");
    return this.#proxy;
  }

  /** Where `outpost` and `outpost-agent` of this playground are, for a shell's PATH. */
  get binDirectory(): string {
    return join(this.directory, "bin");
  }

  agent(host: string): Program {
    const agent = this.agents.get(host);
    if (agent === undefined) throw new Error(`no agent called ${host} here`);
    return agent;
  }

  agentDirectory(host: string): string {
    return join(this.directory, "agents", host);
  }

  /** The environment in which `outpost` finds this playground. */
  env(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      NO_COLOR: "1",
      OUTPOST_CONTROLLER_DIR: join(this.directory, "controller"),
      OUTPOST_CONTEXT_DIR: join(this.directory, "context"),
      NODE_COMPILE_CACHE: join(tmpdir(), "outpost-compile-cache"),
    };
  }

  /** The argument vector of `outpost …`, for tests that spawn it themselves. */
  argv(...args: string[]): string[] {
    return [...this.#programs.outpost, ...args];
  }

  /** Runs `outpost …` to its end. Never throws for an exit code. */
  async outpost(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return this.#run([...this.#programs.outpost, ...args], this.env(), options);
  }

  async outpostAgent(host: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return this.#run([...this.#programs.agent, ...args], this.#agentEnv(host), options);
  }

  /** A client of the library, as the playground's operator. */
  client(contextDirectory = join(this.directory, "context")): Promise<Client> {
    return connect({ contextDirectory });
  }

  /**
   * The operator's identity on one more machine: a copy of the context in a folder of its own.
   * @param port where that machine finds the controller, e.g. a proxy's; default the controller's own
   * @returns the folder, for `OUTPOST_CONTEXT_DIR` and `client`
   */
  async anotherContext(name: string, port = this.port): Promise<string> {
    const directory = join(this.directory, `context-${name}`);
    await cp(join(this.directory, "context"), directory, { recursive: true });
    await setPort(directory, port);
    return directory;
  }

  /** The process that owns the host's sessions, if there is one. */
  sessionHostPid(host: string): number | undefined {
    try {
      const text = readFileSync(agentPaths(this.agentDirectory(host)).sessionHostLock, "utf8");
      const { pid } = JSON.parse(text) as { pid: number };
      process.kill(pid, 0);
      return pid;
    } catch {
      return undefined;
    }
  }

  /** Enrols and starts one more agent. */
  async addHost(host: string): Promise<void> {
    const token = await this.#outpostOrThrow([
      "token",
      "create",
      "--ttl",
      "1h",
      "--uses",
      "1",
      "--output",
      "json",
    ]);
    const { token: text } = JSON.parse(token) as { token: string };
    await mkdir(this.agentDirectory(host), { recursive: true });
    const join_ = [
      "join",
      this.url,
      "--token",
      text,
      "--name",
      host,
      ...(this.#options.joinArguments?.(host) ?? []),
    ];
    const joined = await this.outpostAgent(host, join_);
    if (joined.exitCode !== 0) throw new Error(`${host} could not join: ${joined.stderr}`);
    const agent = new Program({
      name: host,
      argv: [...this.#programs.agent, "start"],
      env: this.#agentEnv(host),
      logFile: join(this.directory, `${host}.log`),
    });
    this.agents.set(host, agent);
    agent.start();
  }

  /** Waits until the controller says that these hosts (default all) are connected. */
  async connected(hosts: readonly string[] = [...this.agents.keys()], withinMs = 15_000): Promise<void> {
    await using client = await eventually(() => this.client(), { what: "the controller's answer" });
    if (hosts.length === 0) return;
    await eventually(
      async () => {
        const infos = await client.hosts();
        const connected = new Set<string>(
          infos.filter(({ state }) => state === "connected").map(({ name }) => name),
        );
        return hosts.every((host) => connected.has(host));
      },
      { withinMs, what: `${hosts.join(", ")} connected` },
    );
  }

  /** Ends all processes, and jobs and sessions that still run, and deletes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#proxy?.heal();
    await this.#stopJobs();
    await Promise.all([...this.agents.values()].map((agent) => agent[Symbol.asyncDispose]()));
    await this.controller[Symbol.asyncDispose]();
    await this.#proxy?.[Symbol.asyncDispose]();
    await this.#endSessionHosts();
    if (this.#options.directory !== undefined) return;
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }

  /** They outlive their agents. Their shells end with them: the terminal hangs up. */
  async #endSessionHosts(): Promise<void> {
    for (const host of this.agents.keys()) {
      const pid = this.sessionHostPid(host);
      if (pid === undefined) continue;
      process.kill(pid, "SIGKILL");
      await eventually(() => this.sessionHostPid(host) === undefined, { what: "the session host's end" });
    }
  }

  get #programs(): (typeof programs)[keyof typeof programs] {
    return programs[this.#options.from ?? "source"];
  }

  #agentEnv(host: string): NodeJS.ProcessEnv {
    return { ...this.env(), OUTPOST_AGENT_DIR: this.agentDirectory(host) };
  }

  async #setUp(hosts: readonly string[]): Promise<void> {
    const narrate = this.#options.narrate ?? (() => {});
    const isThere = existsSync(join(this.directory, "controller"));
    if (isThere) await setPort(join(this.directory, "context"), this.port);
    else {
      narrate("outpost controller init");
      await this.#outpostOrThrow(["controller", "init", "--listen", `127.0.0.1:${String(this.port)}`]);
    }
    narrate("outpost controller start");
    this.controller.start();
    await eventually(async () => (await this.outpost(["token", "list"])).exitCode === 0, {
      what: "the controller's answer",
    });
    for (const host of hosts) {
      narrate(`outpost token create --ttl 1h --uses 1`);
      narrate(`outpost-agent join ${this.url} --token … --name ${host}`);
      narrate(`outpost-agent start                    # for ${host}`);
      await this.addHost(host);
    }
    await this.connected();
  }

  /** Two small programs, so that a person in another terminal types what the docs say. */
  async #writePrograms(): Promise<void> {
    await mkdir(this.binDirectory, { recursive: true });
    const env = this.env();
    const exports = ["OUTPOST_CONTROLLER_DIR", "OUTPOST_CONTEXT_DIR"].map(
      (key) => `export ${key}='${env[key]!}'\n`,
    );
    for (const [name, argv] of [
      ["outpost", this.#programs.outpost],
      ["outpost-agent", this.#programs.agent],
    ] as const) {
      const file = join(this.binDirectory, name);
      const words = argv.map((word) => `'${word}'`).join(" ");
      await writeFile(file, `#!/bin/sh\n${exports.join("")}exec ${words} "$@"\n`);
      await chmod(file, 0o755);
    }
  }

  async #stopJobs(): Promise<void> {
    if (!this.controller.isRunning) return;
    await this.controller.signal("SIGCONT");
    try {
      await using client = await this.client();
      const fanouts = await client.jobs({ states: ["pending", "running", "disconnected"] });
      for (const { job } of fanouts) {
        const handle = await client.job(job);
        await handle.stop({ graceMs: 0 });
        await handle.wait({ timeoutMs: 5_000 });
      }
    } catch {
      // The test broke the playground on purpose; what it started is its own to end.
    }
  }

  async #outpostOrThrow(args: readonly string[]): Promise<string> {
    const result = await this.outpost(args);
    if (result.exitCode !== 0) throw new Error(`outpost ${args.join(" ")} failed: ${result.stderr}`);
    return result.stdout.toString();
  }

  #run(argv: readonly string[], env: NodeJS.ProcessEnv, options: RunOptions): Promise<RunResult> {
    return new Promise((resolve, reject) => {
      const child = spawn(argv[0]!, argv.slice(1), {
        env: { ...env, ...options.env },
        stdio: "pipe",
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
      const stdout: Buffer[] = [];
      const stderr: Buffer[] = [];
      child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
      child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
      child.on("error", reject);
      child.on("close", (exitCode) =>
        resolve({ exitCode, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }),
      );
      child.stdin.on("error", () => {}); // a program that does not read its input is no failure of ours
      child.stdin.end(options.input);
    });
  }
}
