/**
 * Connections that came when no place to arrive was free, and wait for one: accepted, and not read from, so that they
 * cost a descriptor and nothing else. After a restart ten thousand agents come within two seconds, and their handshakes
 * take twenty: whoever had to be sent away would come back later still.
 *
 * Networks take turns. Of one network the newest comes first: whoever has waited long has patience (agents have a
 * minute) or has gone already, which nobody sees while nothing is read; and an operator who comes in the midst of the
 * herd does not queue behind it.
 */
import type { Socket } from "node:net";
import { networkOf } from "./admission.ts";

export interface WaitingRoomOptions {
  readonly maxWaiting: number;
  readonly maxWaitingPerNetwork: number;
  /** After so long a connection is closed, in milliseconds. */
  readonly waitTimeoutMs: number;
  /** Lets one in, if there is a place for its network. */
  readonly enter: (socket: Socket) => boolean;
  /** One is closed because it has waited too long. */
  readonly expired: (socket: Socket) => void;
}

interface Queue {
  readonly sockets: Socket[];
  /** How many of them wait. */
  waiting: number;
}

/** So many are let in before others have a turn: each is some work when its handshake begins. */
const enterAtOnce = 16;

export class WaitingRoom {
  readonly #options: WaitingRoomOptions;
  /** By network, in the order of their turns; the newest of each last. Those that have left are among them still. */
  readonly #networks = new Map<string, Queue>();
  readonly #leave = new Map<Socket, () => void>();
  #calling: NodeJS.Immediate | undefined;

  constructor(options: WaitingRoomOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#leave.size;
  }

  /** Takes a paused connection in. False: there is no room for it. */
  take(socket: Socket): boolean {
    const { maxWaiting, maxWaitingPerNetwork, waitTimeoutMs, expired } = this.#options;
    const network = networkOf(socket.remoteAddress ?? "");
    const queue = this.#networks.get(network) ?? { sockets: [], waiting: 0 };
    if (this.waiting >= maxWaiting || queue.waiting >= maxWaitingPerNetwork) return false;
    const leave = (): void => {
      clearTimeout(timer);
      socket.off("close", leave);
      socket.off("error", ignore);
      this.#leave.delete(socket);
      if (--queue.waiting === 0) this.#networks.delete(network);
    };
    const timer = setTimeout(() => {
      leave();
      expired(socket);
    }, waitTimeoutMs);
    socket.once("close", leave);
    socket.on("error", ignore);
    queue.sockets.push(socket);
    queue.waiting++;
    this.#networks.set(network, queue);
    this.#leave.set(socket, leave);
    return true;
  }

  /** A place may be free. */
  call(): void {
    if (this.waiting > 0) this.#calling ??= setImmediate(() => this.#enter());
  }

  /** Closes all. */
  clear(): void {
    clearImmediate(this.#calling);
    for (const [socket, leave] of this.#leave) {
      leave();
      socket.destroy();
    }
  }

  #enter(): void {
    this.#calling = undefined;
    const refused = new Set<string>();
    for (let entered = 0; refused.size < this.#networks.size; entered++) {
      if (entered === enterAtOnce) return this.call();
      const next = this.#next(refused);
      if (next === undefined) return;
      const { network, socket } = next;
      if (this.#options.enter(socket)) this.#leave.get(socket)?.();
      else refused.add(network);
    }
  }

  /** The newest of the network whose turn it is, which then comes last. */
  #next(but: ReadonlySet<string>): { readonly network: string; readonly socket: Socket } | undefined {
    for (const [network, queue] of this.#networks) {
      if (but.has(network)) continue;
      const { sockets } = queue;
      while (!this.#leave.has(sockets.at(-1)!)) sockets.pop();
      this.#networks.delete(network);
      this.#networks.set(network, queue);
      return { network, socket: sockets.at(-1)! };
    }
    return undefined;
  }
}

/** That it is gone is told by its close. */
function ignore(): void {}
