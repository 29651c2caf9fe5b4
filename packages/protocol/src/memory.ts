/** Two message sockets joined in memory, with latency and cuts on a clock of the test's. */
import { systemClock, type Clock } from "./clock.ts";
import type { MessageSocket, SocketEvents } from "./socket.ts";

export interface MemoryLinkOptions {
  /** How long a message is on its way, in milliseconds. Default 0: the next turn of the event loop. */
  readonly latencyMs?: number;
  readonly clock?: Clock;
}

class MemorySocket implements MessageSocket {
  other!: MemorySocket;
  readonly #options: MemoryLinkOptions;
  #events: SocketEvents | undefined;
  #bufferedBytes = 0;
  #state: "open" | "closing" | "closed" = "open";

  constructor(options: MemoryLinkOptions) {
    this.#options = options;
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  start(events: SocketEvents): void {
    this.#events = events;
  }

  send(message: Uint8Array): void {
    if (this.#state !== "open") return;
    const copy = message.slice();
    this.#bufferedBytes += copy.byteLength;
    this.#later(() => {
      this.#bufferedBytes -= copy.byteLength;
      if (this.#state === "closed") return;
      this.other.deliver(copy);
      this.#events?.drained();
    });
  }

  close(reason: string): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    // Behind the messages that are on their way.
    this.#later(() => {
      this.end(reason);
      this.other.end(reason);
    });
  }

  abort(): void {
    this.end("the connection was aborted");
    this.#later(() => this.other.end("the connection was cut"));
  }

  deliver(message: Uint8Array): void {
    if (this.#state !== "closed") this.#events?.message(message);
  }

  end(reason: string): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    queueMicrotask(() => this.#events?.closed(reason));
  }

  #later(action: () => void): void {
    const { latencyMs = 0, clock = systemClock } = this.#options;
    if (latencyMs === 0) setImmediate(action);
    else clock.after(latencyMs, action);
  }
}

export interface MemoryLink {
  readonly sockets: readonly [MessageSocket, MessageSocket];
  /** Cuts the connection: both ends see it closed, what is on its way is lost. */
  cut(): void;
}

/** Joins two sockets. */
export function memoryLink(options: MemoryLinkOptions = {}): MemoryLink {
  const left = new MemorySocket(options);
  const right = new MemorySocket(options);
  left.other = right;
  right.other = left;
  return {
    sockets: [left, right],
    cut() {
      left.end("the connection was cut");
      right.end("the connection was cut");
    },
  };
}
