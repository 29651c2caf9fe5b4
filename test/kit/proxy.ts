/** A TCP proxy on loopback that can hold back one direction and cut what goes through it: the network as a test wants it. */
import { connect, createServer, type Server, type Socket } from "node:net";

export type Direction = "toTarget" | "fromTarget";

interface Pair {
  readonly client: Socket;
  readonly target: Socket;
}

export class Proxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #held = new Set<Direction>();
  #refusing = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens on a free port of loopback and forwards to `targetPort` there. */
  static async listen(targetPort: number): Promise<Proxy> {
    const server = createServer();
    const proxy = new Proxy(server);
    server.on("connection", (client) => proxy.#forward(client, targetPort));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** From now on bytes of this direction wait; the sender feels it as a network that has stalled. */
  hold(direction: Direction): void {
    this.#held.add(direction);
    for (const pair of this.#pairs) this.#source(pair, direction).pause();
  }

  release(direction: Direction): void {
    this.#held.delete(direction);
    for (const pair of this.#pairs) this.#source(pair, direction).resume();
  }

  /** Cuts all connections, without a goodbye. What was held back is lost. */
  cut(): void {
    for (const { client, target } of this.#pairs) {
      client.resetAndDestroy();
      target.resetAndDestroy();
    }
    this.#pairs.clear();
  }

  /** Cuts, and lets nobody in until `heal`. */
  partition(): void {
    this.#refusing = true;
    this.cut();
  }

  heal(): void {
    this.#refusing = false;
    this.#held.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.partition();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #source({ client, target }: Pair, direction: Direction): Socket {
    return direction === "toTarget" ? client : target;
  }

  #forward(client: Socket, targetPort: number): void {
    if (this.#refusing) {
      client.resetAndDestroy();
      return;
    }
    const target = connect(targetPort, "127.0.0.1");
    const pair = { client, target };
    this.#pairs.add(pair);
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      from.on("data", (chunk) => {
        if (!to.write(chunk)) from.pause();
      });
      to.on("drain", () => {
        const direction: Direction = from === client ? "toTarget" : "fromTarget";
        if (!this.#held.has(direction)) from.resume();
      });
      from.on("error", () => {}); // a cut connection is what this is for
      from.on("close", () => {
        to.destroy();
        this.#pairs.delete(pair);
      });
    }
    for (const direction of this.#held) this.#source(pair, direction).pause();
  }
}
