/**
 * A real controller with hosts by the hundred or the ten thousand, which are real agents that share a few processes. For
 * tests and benchmarks; `test/README.md` says what of it is real.
 */
import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { Playground, type PlaygroundOptions } from "../kit/playground.ts";
import { eventually } from "../kit/wait.ts";
import type { AgentsOptions, Look, Order, Report } from "./messages.ts";

const program = join(import.meta.dirname, "agents.ts");

export interface EmulatedFleetOptions extends Partial<Pick<AgentsOptions, "store" | "launch">> {
  /** How the controller and the CLI run. Default `source`. */
  readonly from?: PlaygroundOptions["from"];
  /** At most so many agents share a process. Default: as many as there are descriptors for. */
  readonly agentsPerProcess?: number;
  /** Kept, and used again when there is a fleet in it: enrolling ten thousand takes a minute. Default: a new folder that goes. */
  readonly directory?: string;
  /** Where the hosts' directories are made. Default: in the fleet's. */
  readonly hostsDirectory?: string;
}

/** Of each agent: its connection, its audit log, its memory of requests; with real jobs, the files of one that runs. */
const descriptors = { memory: 3, real: 9 } as const;
/** For the process itself. */
const otherDescriptors = 200;

/** How many descriptors a process may have; `undefined` where that cannot be told. */
function maxDescriptors(): number | undefined {
  const { userLimits } = process.report.getReport() as {
    userLimits?: { open_files?: { hard: number | string } };
  };
  const hard = userLimits?.open_files?.hard;
  return typeof hard === "number" ? hard : undefined;
}

export class EmulatedFleet implements AsyncDisposable {
  readonly playground: Playground;
  readonly #options: EmulatedFleetOptions;
  readonly #processes: AgentsProcess[] = [];
  #count = 0;

  private constructor(playground: Playground, options: EmulatedFleetOptions) {
    this.playground = playground;
    this.#options = options;
  }

  /** Sets up a controller and `count` connected hosts, `host1` and so on. */
  static async create(count: number, options: EmulatedFleetOptions = {}): Promise<EmulatedFleet> {
    const { from = "source", directory } = options;
    const controllerNeeds = count + otherDescriptors;
    const limit = maxDescriptors();
    if (limit !== undefined && limit < controllerNeeds) {
      throw new Error(
        `${String(count)} hosts need ${String(controllerNeeds)} descriptors at the controller, and a process may have ${String(limit)}: raise the hard limit (ulimit -Hn)`,
      );
    }
    const playground = await Playground.create({
      hosts: [],
      from,
      ...(directory === undefined ? {} : { directory }),
    });
    const fleet = new EmulatedFleet(playground, options);
    try {
      if (count > 0) await fleet.grow(count);
      return fleet;
    } catch (error) {
      await fleet[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The processes of the agents. */
  get pids(): readonly number[] {
    return this.#processes.map(({ pid }) => pid);
  }

  /** Adds `count` connected hosts. @param enrolled awaited when they are enrolled and not connected yet */
  async grow(count: number, enrolled: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    await using client = await this.playground.client();
    const { token } = await client.administration.createToken({ ttlMs: 600_000, uses: count });
    const added: AgentsProcess[] = [];
    const processes = Math.ceil(count / this.#perProcess);
    for (let left = processes, hosts = count; left > 0; left--) {
      const part = Math.ceil(hosts / left);
      added.push(await this.#fork(part));
      hosts -= part;
    }
    await Promise.all(added.map((each) => each.ask({ kind: "enrol", token }, "enrolled")));
    await enrolled();
    await Promise.all(added.map((each) => each.ask({ kind: "start" }, "started")));
  }

  /** How all agents stand. */
  async look(): Promise<Look> {
    const looks = await Promise.all(this.#processes.map((each) => each.ask({ kind: "look" }, "look")));
    const failures: Record<string, number> = {};
    let connected = 0;
    for (const { look } of looks) {
      connected += look.connected;
      for (const [what, count] of Object.entries(look.failures))
        failures[what] = (failures[what] ?? 0) + count;
    }
    return { connected, failures };
  }

  forgetFailures(): void {
    for (const each of this.#processes) each.tell({ kind: "forget-failures" });
  }

  /** Waits until every agent is connected. */
  async connected(withinMs = 60_000): Promise<void> {
    await eventually(async () => (await this.look()).connected === this.#count, {
      withinMs,
      what: `all ${String(this.#count)} agents connected`,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map((each) => each.end()));
    await this.playground[Symbol.asyncDispose]();
  }

  get #perProcess(): number {
    const { agentsPerProcess, store = "real" } = this.#options;
    const most = Math.floor(((maxDescriptors() ?? 1024) - otherDescriptors) / descriptors[store]);
    return Math.min(agentsPerProcess ?? Infinity, most);
  }

  async #fork(count: number): Promise<AgentsProcess> {
    const { store = "real", launch = "instant", hostsDirectory } = this.#options;
    const started = await AgentsProcess.fork({
      url: this.playground.url,
      directory: hostsDirectory ?? join(this.playground.directory, "fleet"),
      first: this.#count + 1,
      count,
      store,
      launch,
    });
    this.#count += count;
    this.#processes.push(started);
    return started;
  }
}

class AgentsProcess {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async fork(options: AgentsOptions): Promise<AgentsProcess> {
    const child = fork(program, [JSON.stringify(options)], { execArgv: ["--conditions=source"] });
    const started = new AgentsProcess(child);
    await started.#reported("ready");
    return started;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  tell(order: Order): void {
    this.#child.send(order);
  }

  /** Gives an order and waits for the report that answers it. */
  ask<K extends Report["kind"]>(order: Order, answer: K): Promise<Report & { kind: K }> {
    const reported = this.#reported(answer);
    this.tell(order);
    return reported;
  }

  /** The agents leave their controller; then the process ends. */
  end(): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    if (child.connected) child.disconnect();
    return ended;
  }

  #reported<K extends Report["kind"]>(kind: K): Promise<Report & { kind: K }> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        child.off("message", onMessage);
        child.off("exit", onExit);
      };
      const onMessage = (report: Report): void => {
        if (report.kind !== kind && report.kind !== "failed") return;
        settle();
        if (report.kind === "failed") reject(new Error(`the emulated agents failed: ${report.message}`));
        else resolve(report as Report & { kind: K });
      };
      const onExit = (code: number | null): void => {
        settle();
        reject(new Error(`the process of the emulated agents ended with ${String(code)}`));
      };
      child.on("message", onMessage);
      child.on("exit", onExit);
    });
  }
}
