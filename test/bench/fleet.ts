/** A controller with many agents, some of which share a process. */
import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { Playground, type PlaygroundOptions } from "../kit/playground.ts";

const program = join(import.meta.dirname, "../kit/fleet.ts");

export interface FleetOptions {
  /** Default `source`. */
  readonly from?: PlaygroundOptions["from"];
  readonly agentsPerProcess: number;
}

export class Fleet implements AsyncDisposable {
  readonly playground: Playground;
  readonly #agentsPerProcess: number;
  readonly #processes: ChildProcess[] = [];
  #count = 0;

  private constructor(playground: Playground, agentsPerProcess: number) {
    this.playground = playground;
    this.#agentsPerProcess = agentsPerProcess;
  }

  /** Sets up a controller and `count` connected hosts, `host1` and so on. */
  static async create(count: number, { from = "source", agentsPerProcess }: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(await Playground.create({ hosts: [], from }), agentsPerProcess);
    if (count > 0) await fleet.grow(count);
    return fleet;
  }

  /** Adds `count` connected hosts. @param enrolled awaited when they are enrolled and not connected yet */
  async grow(count: number, enrolled: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    await using client = await this.playground.client();
    const { token } = await client.administration.createToken({ ttlMs: 600_000, uses: count });
    const added: ChildProcess[] = [];
    for (let left = count; left > 0; left -= this.#agentsPerProcess) {
      added.push(await this.#enrol(token, Math.min(left, this.#agentsPerProcess)));
    }
    await enrolled();
    for (const child of added) {
      child.stdin?.write("connect\n");
      await printed(child, "connected");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#processes.map((child) => {
        const ended = new Promise((resolve) => child.once("exit", resolve));
        child.stdin?.end();
        return ended;
      }),
    );
    await this.playground[Symbol.asyncDispose]();
  }

  async #enrol(token: string, count: number): Promise<ChildProcess> {
    const directory = join(this.playground.directory, "fleet");
    const argv = [program, this.playground.url, token, String(count), directory, String(this.#count)];
    this.#count += count;
    const child = spawn(process.execPath, ["--conditions=source", ...argv], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#processes.push(child);
    await printed(child, "enrolled");
    return child;
  }
}

function printed(child: ChildProcess, word: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => reject(new Error(`the fleet ended with ${String(code)}`));
    child.once("exit", onExit);
    child.stdout?.on("data", function onData(this: NodeJS.ReadableStream, text: Buffer) {
      if (!text.toString().includes(word)) return;
      child.off("exit", onExit);
      this.off("data", onData);
      resolve();
    });
  });
}
