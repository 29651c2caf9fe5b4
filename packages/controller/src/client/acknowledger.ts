/** Tells the controller which bytes the consumer has handled: at times while they come, and everything at the end. */
import type { Clock, HostName, JobId, Positions } from "@outpost/protocol";
import type { Connection } from "./connection.ts";
import type { HostReceive } from "./host-receive.ts";

/** How long handled bytes may stay unacknowledged, in milliseconds. What a killed reader gets twice is at most this much. */
const everyMs = 500;

export interface AcknowledgerOptions {
  readonly job: JobId;
  readonly connection: Connection;
  readonly hosts: ReadonlyMap<HostName, HostReceive>;
  readonly clock: Clock;
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
      this.flush().catch(() => {});
    });
  }

  /** Resolves when the controller has recorded everything handled so far. @throws OutpostError as `Connection.request` */
  flush(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    // One at a time, so that an older one never arrives after a newer one.
    this.#sending = this.#sending.catch(() => {}).then(() => this.#send());
    return this.#sending;
  }

  async #send(): Promise<void> {
    const received: Record<HostName, Positions> = {};
    const sending = [...this.#touched];
    this.#touched.clear();
    for (const host of sending) {
      const { stdout, stderr } = host.handled;
      const before = this.#sent.get(host.host);
      // Sent even without an offset: a host forgets a job without output when it hears that its end was seen.
      if (before === undefined || stdout !== before.stdout || stderr !== before.stderr) {
        received[host.host] = host.handled;
      }
    }
    if (Object.keys(received).length === 0) return;
    try {
      await this.#options.connection.request("fanout.acknowledge", { job: this.#options.job, received });
      for (const [host, positions] of Object.entries(received)) this.#sent.set(host as HostName, positions);
    } catch (error) {
      for (const host of sending) this.#touched.add(host);
      throw error;
    }
  }
}
