/** Tells the controller which bytes the consumer has handled: at times while they come, and everything at the end. */
import type { Clock, HostName, JobId, OutputName, Positions } from "@outpost/protocol";
import type { Connection } from "./connection.ts";
import type { HostReceive } from "./host-receive.ts";

/** How long handled bytes may stay unacknowledged, in milliseconds. What a killed reader gets twice is at most this much. */
const everyMs = 500;

export interface AcknowledgerOptions {
  readonly job: JobId;
  readonly connection: Connection;
  readonly hosts: ReadonlyMap<HostName, HostReceive>;
  readonly clock: Clock;
  /** How many of the bytes that were handled last the consumer holds and has not written: see `ReceiveOptions.unwritten`. */
  readonly unwritten: (host: HostName, stream: OutputName) => number;
  /** Ends what is sent in passing. `flush` has a signal of its own. */
  readonly signal: AbortSignal;
}

export class Acknowledger {
  readonly #options: AcknowledgerOptions;
  readonly #touched = new Set<HostReceive>();
  readonly #sent = new Map<HostName, Positions>();
  #cancelTimer: (() => void) | undefined;
  #sending: Promise<void> = Promise.resolve();

  constructor(options: AcknowledgerOptions) {
    this.#options = options;
  }

  /** The consumer has handled something of this host. */
  touch(host: HostReceive): void {
    this.#touched.add(host);
    this.#cancelTimer ??= this.#options.clock.after(everyMs, () => {
      this.#cancelTimer = undefined;
      // A failure shows at the end; until then it only means that more may come twice after a crash.
      this.flush(this.#options.signal).catch(() => {});
    });
  }

  /** Resolves when the controller has recorded everything handled so far. @throws OutpostError as `Connection.request` */
  flush(signal: AbortSignal): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    // One at a time, so that an older one never arrives after a newer one.
    this.#sending = this.#sending.catch(() => {}).then(() => this.#send(signal));
    return this.#sending;
  }

  async #send(signal: AbortSignal): Promise<void> {
    const received: Record<HostName, Positions> = {};
    const sending = [...this.#touched];
    this.#touched.clear();
    for (const host of sending) {
      const positions = this.#written(host);
      // What is held back is told when it is written, at the latest by the last flush.
      if (this.#holdsBack(host)) this.#touched.add(host);
      const before = this.#sent.get(host.host);
      // Sent even without an offset: a host forgets a job without output when it hears that its end was seen.
      const isTold = positions.stdout === before?.stdout && positions.stderr === before?.stderr;
      if (before === undefined || !isTold) received[host.host] = positions;
    }
    if (Object.keys(received).length === 0) return;
    try {
      const { connection, job } = this.#options;
      await connection.request("fanout.acknowledge", { job, received }, { signal });
      for (const [host, positions] of Object.entries(received)) this.#sent.set(host as HostName, positions);
    } catch (error) {
      for (const host of sending) this.#touched.add(host);
      throw error;
    }
  }

  #holdsBack({ host }: HostReceive): boolean {
    const { unwritten } = this.#options;
    return unwritten(host, "stdout") > 0 || unwritten(host, "stderr") > 0;
  }

  /** Up to where the consumer has handled *and* written. */
  #written({ host, handled }: HostReceive): Positions {
    const { unwritten } = this.#options;
    const { stdout, stderr } = handled;
    return {
      ...(stdout === undefined ? {} : { stdout: Math.max(0, stdout - unwritten(host, "stdout")) }),
      ...(stderr === undefined ? {} : { stderr: Math.max(0, stderr - unwritten(host, "stderr")) }),
    };
  }
}
