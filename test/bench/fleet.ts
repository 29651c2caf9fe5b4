/** A controller with many agents that share one process. */
import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { Playground, type PlaygroundOptions } from "../kit/playground.ts";

const program = join(import.meta.dirname, "../kit/fleet.ts");

export class Fleet implements AsyncDisposable {
  readonly playground: Playground;
  readonly #processes: ChildProcess[] = [];
  #count = 0;

  private constructor(playground: Playground) {
    this.playground = playground;
  }

  /** Sets up a controller and `count` connected hosts, `host1` and so on. */
  static async create(count: number, from: PlaygroundOptions["from"] = "source"): Promise<Fleet> {
    const fleet = new Fleet(await Playground.create({ hosts: [], from: from ?? "source" }));
    await fleet.grow(count);
    return fleet;
  }

  /** Adds `count` connected hosts in one more process. */
  async grow(count: number): Promise<void> {
    await using client = await this.playground.client();
    const { token } = await client.createToken({ ttlMs: 600_000, uses: count });
    const directory = join(this.playground.directory, "fleet");
    const argv = [
      "--conditions=source",
      program,
      this.playground.url,
      token,
      String(count),
      directory,
      String(this.#count),
    ];
    this.#count += count;
    const child = spawn(process.execPath, argv, { stdio: ["pipe", "pipe", "inherit"] });
    this.#processes.push(child);
    await new Promise<void>((resolve, reject) => {
      child.stdout.on("data", () => resolve());
      child.on("exit", (code) => reject(new Error(`the fleet ended with ${String(code)}`)));
    });
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
}
