/** Tells a host which ranges of a session's output somebody has seen: at times while it comes, and the rest at the end. */
import { type Clock, ErrorCode, type HostName, OutpostError, type SessionId } from "@outpost/protocol";
import type { Connection } from "./connection.ts";

/** How long what was seen may stay untold, in milliseconds. What a killed viewer leaves unread is at most this much. */
const everyMs = 500;

interface Range {
  readonly from: number;
  readonly to: number;
}

export interface SessionAcknowledgerOptions {
  readonly connection: Connection;
  readonly session: SessionId;
  readonly host: HostName;
  readonly clock: Clock;
  /** Ends what is sent in passing. `flush` has a signal of its own. */
  readonly signal: AbortSignal;
}

export class SessionAcknowledger {
  readonly #options: SessionAcknowledgerOptions;
  #ranges: Range[] = [];
  #cancelTimer: (() => void) | undefined;
  #sending: Promise<void> = Promise.resolve();

  constructor(options: SessionAcknowledgerOptions) {
    this.#options = options;
  }

  /** Bytes `from` to `to` are on the screen, or in a file. */
  seen(from: number, to: number): void {
    this.#add({ from, to });
    this.#cancelTimer ??= this.#options.clock.after(everyMs, () => {
      this.#cancelTimer = undefined;
      // A failure shows at the end; until then it only means that more may count as unread.
      this.flush(this.#options.signal).catch(() => {});
    });
  }

  /** Resolves when the host has recorded everything seen so far, or has forgotten the session. @throws OutpostError as `Connection.request` */
  flush(signal: AbortSignal): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#sending = this.#sending.catch(() => {}).then(() => this.#send(signal));
    return this.#sending;
  }

  #add(range: Range): void {
    const last = this.#ranges.at(-1);
    if (last?.to === range.from) this.#ranges[this.#ranges.length - 1] = { from: last.from, to: range.to };
    else if (range.from < range.to) this.#ranges.push(range);
  }

  async #send(signal: AbortSignal): Promise<void> {
    const { connection, session, host } = this.#options;
    const ranges = this.#ranges;
    this.#ranges = [];
    try {
      await Promise.all(
        ranges.map((range) =>
          connection.request("session.acknowledge", { host, session, ...range }, { signal }),
        ),
      );
    } catch (reason) {
      const error = OutpostError.from(reason);
      if (error.code === ErrorCode.notFound) return;
      // Told again: ranges that were told already do no harm.
      this.#ranges = [...ranges, ...this.#ranges];
      throw error;
    }
  }
}
