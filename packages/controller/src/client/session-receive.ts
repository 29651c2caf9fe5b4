/**
 * Reads what a session keeps on its host: output that nobody has seen yet, or its recording. Pulled, one host at a time;
 * after a cut it goes on from the offset that has arrived.
 */
import {
  type Clock,
  type controllerOperatorMethods,
  ErrorCode,
  type EventOf,
  type HostName,
  limits,
  OutpostError,
  type SessionId,
  type SessionsReadParams,
  systemClock,
} from "@outpost/protocol";
import { signedRead } from "./authorizing.ts";
import { Backoff } from "./backoff.ts";
import type { Connection, ControllerPeer } from "./connection.ts";
import { Cursor } from "./cursor.ts";
import { EventQueue } from "./event-queue.ts";
import { SessionAcknowledger } from "./session-acknowledger.ts";
import type { SessionReceiveEvent } from "./session-events.ts";

export interface SessionReadTarget {
  readonly connection: Connection;
  readonly session: SessionId;
  readonly host: HostName;
  readonly clock?: Clock;
}

export interface SessionReadOptions {
  readonly what: SessionsReadParams["what"];
  /** Read without acknowledging. */
  readonly keep: boolean;
  readonly follow: boolean;
  /** From the first byte, what was seen included. */
  readonly fromStart: boolean;
  readonly signal: AbortSignal | undefined;
}

type Event = EventOf<typeof controllerOperatorMethods, "session.read">;

/** How much may wait for the consumer, in bytes: what fills a link of 300 Mbit/s at 100 ms. */
const windowBytes = 4 * 1024 * 1024;
/** How long the last acknowledgement of a receive that was left early may take, in milliseconds. */
const partingMs = 2_000;

/** @see Session.receive, Session.recording */
export async function* readSession(
  target: SessionReadTarget,
  options: SessionReadOptions,
): AsyncGenerator<SessionReceiveEvent, void, void> {
  const reading = new SessionReading(target, options);
  try {
    for (;;) {
      const event = await reading.next();
      if (event === undefined) return;
      yield event;
      // Being asked for the next one says that this one was handled.
      await reading.handled(event);
    }
  } finally {
    await reading.stop();
  }
}

class SessionReading {
  readonly #target: SessionReadTarget;
  readonly #options: SessionReadOptions;
  readonly #queue = new EventQueue<SessionReceiveEvent>();
  readonly #stopping = new AbortController();
  readonly #acknowledger: SessionAcknowledger | undefined;
  readonly #backoff = new Backoff();
  readonly #clock: Clock;
  readonly #running: Promise<void>;
  #cursor: Cursor | undefined;
  #hostIsAway = false;

  constructor(target: SessionReadTarget, options: SessionReadOptions) {
    const { connection, session, host, clock = systemClock } = target;
    const { keep, signal } = options;
    this.#target = target;
    this.#options = options;
    this.#clock = clock;
    const { signal: stopped } = this.#stopping;
    this.#acknowledger = keep
      ? undefined
      : new SessionAcknowledger({ connection, session, host, clock, signal: stopped });
    const onAbort = (): void => this.#stopping.abort(OutpostError.from(signal?.reason, ErrorCode.cancelled));
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    this.#running = this.#run().finally(() => signal?.removeEventListener("abort", onAbort));
  }

  next(): Promise<SessionReceiveEvent | undefined> {
    return this.#queue.next();
  }

  async handled(event: SessionReceiveEvent): Promise<void> {
    if (event.type === "gap") {
      this.#cursor?.handledTo(event.to, 0);
    } else if (event.type === "output") {
      const end = event.offset + event.bytes.byteLength;
      this.#cursor?.handledTo(end, event.bytes.byteLength);
      this.#acknowledger?.seen(event.offset, end);
    } else if (event.type === "end") {
      await this.#acknowledger?.flush(this.#stopping.signal);
    }
  }

  /** Ends the reading, at any time. What was handled is acknowledged if the controller can be reached. */
  async stop(): Promise<void> {
    this.#stopping.abort(new OutpostError(ErrorCode.cancelled, "the receive was ended"));
    await this.#running;
    await this.#acknowledger?.flush(AbortSignal.timeout(partingMs)).catch(() => {});
  }

  async #run(): Promise<void> {
    const { connection } = this.#target;
    const forget = connection.onState((state) => this.#controllerNotice(state));
    try {
      while (!(await this.#attempt())) {
        // Cut: again, from where we are.
      }
      this.#queue.end();
    } catch (error) {
      this.#queue.end(this.#stopping.signal.aborted ? this.#stopping.signal.reason : error);
    } finally {
      forget();
    }
  }

  /** One connection's worth. Returns false when it was cut. */
  async #attempt(): Promise<boolean> {
    const { signal } = this.#stopping;
    const { connection, host } = this.#target;
    const peer = await connection.peer(signal);
    signal.throwIfAborted();
    const params = this.#params();
    try {
      const { status } = await peer.request("session.read", params, {
        signal,
        onEvent: (event) => this.#onEvent(peer, params.window, event),
      });
      this.#queue.push({ type: "end", host, status });
      return true;
    } catch (reason) {
      const error = OutpostError.from(reason);
      if (signal.aborted) throw error;
      if (error.code === ErrorCode.disconnected && !peer.isOpen) return false;
      const isHostAway = error.code === ErrorCode.disconnected || error.code === ErrorCode.hostUnreachable;
      // A host that is away at first is an error; one that goes away is waited for.
      if (!isHostAway || this.#cursor === undefined) throw error;
      await this.#hostAway();
      return false;
    }
  }

  #params(): SessionsReadParams {
    const { session, host, connection } = this.#target;
    const { what, follow, fromStart } = this.#options;
    const from = this.#cursor?.arrived ?? (fromStart ? 0 : undefined);
    return signedRead(connection, {
      session,
      host,
      what,
      ...(from === undefined ? {} : { from }),
      seen: fromStart,
      follow,
      // Again, the least: what came before may still wait for the consumer, and the cursor grants what is free.
      window: this.#cursor === undefined ? windowBytes : limits.minWindowBytes,
    });
  }

  #onEvent(peer: ControllerPeer, window: number, event: Event): void {
    const { host } = this.#target;
    switch (event.event) {
      case "read.opened": {
        const { stream, offset } = event.params;
        const incoming = peer.acceptStream(
          stream,
          { offset, window },
          { chunk: (at, bytes) => this.#chunk(at, bytes), end: () => {} },
        );
        this.#cursor ??= new Cursor(offset, windowBytes);
        this.#cursor.attach(incoming);
        this.#backoff.reset();
        if (!this.#hostIsAway) break;
        this.#hostIsAway = false;
        const message = `${host} is connected again`;
        this.#queue.push({ type: "notice", host, code: "host_reconnected", message });
        break;
      }
      case "read.gap": {
        const { from, to, reason } = event.params.gap;
        this.#cursor?.skipTo(to);
        this.#queue.push({ type: "gap", host, from, to, reason });
        break;
      }
      default:
        event satisfies never;
    }
  }

  #chunk(offset: number, bytes: Uint8Array): void {
    this.#cursor?.came(bytes.byteLength);
    this.#queue.push({ type: "output", host: this.#target.host, offset, bytes });
  }

  async #hostAway(): Promise<void> {
    const { host } = this.#target;
    if (!this.#hostIsAway) {
      this.#hostIsAway = true;
      const message = `${host} cannot be reached; its session goes on there, and its output waits`;
      this.#queue.push({ type: "notice", host, code: "host_unreachable", message });
    }
    await this.#backoff.sleep(this.#clock, this.#stopping.signal);
  }

  #controllerNotice(state: "reconnecting" | "reconnected"): void {
    const { host } = this.#target;
    this.#queue.push(
      state === "reconnecting"
        ? {
            type: "notice",
            host,
            code: "controller_reconnecting",
            message: "the connection to the controller was cut; reconnecting",
          }
        : {
            type: "notice",
            host,
            code: "controller_reconnected",
            message: "connected to the controller again",
          },
    );
  }
}
