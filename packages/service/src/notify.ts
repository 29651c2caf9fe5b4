/**
 * What a service tells systemd about itself: that it is ready, what it does, that it leaves, and, again and again, that
 * it still works (sd_notify(3)). Without systemd, or started by hand, nothing is told and nothing is done.
 *
 * Node has no datagram Unix sockets, so systemd-notify(1) tells it for us. When root runs that, it sends in its parent's
 * name (the credentials of the message are the parent's pid; systemd-notify.c, since 229), so units of root have
 * `NotifyAccess=main`: no job that runs in the unit's control group can pass for the service. Another user may not send
 * so: such units need `NotifyAccess=all`, which is right only where nothing but the service runs in the group.
 *
 *     idle ──ready──▶ ready ──stopping──▶ stopping       the watchdog is fed in `ready` only: a service that hangs while
 *                                                        it leaves is ended by the unit's TimeoutStopSec
 */
import { execFile } from "node:child_process";
import { type Clock, systemClock } from "@outpost/protocol";

export interface NotifierOptions {
  /** Whose variables tell of systemd; they are removed from it, so that no child is told. Default `process.env`. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Told when systemd could not be. */
  readonly fault?: (error: Error) => void;
  /** Default `systemClock`. */
  readonly clock?: Clock;
  /** The program. Default `systemd-notify`, from the PATH. */
  readonly program?: string;
}

/** How late a timer may come, as a part of the watchdog's time, while the service still counts as healthy: an event loop
 * that is this late answers nobody in time. */
const lateShare = 1 / 4;
/** How soon to look again after that, as a part of the watchdog's time: soon enough for a service that recovers. */
const retryShare = 1 / 30;
/** How long systemd-notify may take, in milliseconds. It waits until systemd has taken the message. */
const tellTimeoutMs = 10_000;

export class Notifier implements Disposable {
  readonly #socket: string | undefined;
  readonly #watchdogMs: number | undefined;
  readonly #fault: (error: Error) => void;
  readonly #clock: Clock;
  readonly #program: string;
  /** What is to be told, by name: of several statuses only the last one matters. */
  readonly #pending = new Map<string, string>();
  #telling: Promise<void> | undefined;
  #cancelFeeding: () => void = () => {};
  #state: "idle" | "ready" | "stopping" = "idle";

  constructor(options: NotifierOptions = {}) {
    const { environment = process.env, fault = () => {}, clock = systemClock } = options;
    const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: micros, WATCHDOG_PID: pid } = environment;
    for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete environment[name];
    this.#socket = socket === "" ? undefined : socket;
    const isOurs = pid === undefined || Number(pid) === process.pid;
    this.#watchdogMs = Number(micros) > 0 && isOurs ? Number(micros) / 1000 : undefined;
    this.#fault = fault;
    this.#clock = clock;
    this.#program = options.program ?? "systemd-notify";
  }

  /** How long the service may be silent before systemd starts it anew, in milliseconds; `undefined`: for ever. */
  get watchdogMs(): number | undefined {
    return this.#socket === undefined ? undefined : this.#watchdogMs;
  }

  /** The service serves. Resolves when systemd knows; never rejects. */
  async ready(status: string): Promise<void> {
    this.#state = "ready";
    this.#pending.set("READY", "1").set("STATUS", status);
    await this.#tell();
    this.#feedLater();
  }

  /** What the service does now, in one line, for `systemctl status`. */
  status(text: string): void {
    if (this.#state !== "ready") return;
    this.#pending.set("STATUS", text);
    void this.#tell();
  }

  /** The service leaves. From here on nobody feeds the watchdog. */
  async stopping(): Promise<void> {
    this.#state = "stopping";
    this.#cancelFeeding();
    this.#pending.clear();
    this.#pending.set("STOPPING", "1");
    await this.#tell();
  }

  [Symbol.dispose](): void {
    this.#cancelFeeding();
  }

  #feedLater(): void {
    const { watchdogMs } = this;
    if (watchdogMs === undefined || this.#state !== "ready") return;
    this.#feedAfter(watchdogMs / 2, watchdogMs);
  }

  /** At half of the time, as sd_watchdog_enabled(3) asks. */
  #feedAfter(delayMs: number, watchdogMs: number): void {
    const due = this.#clock.monotonicMs() + delayMs;
    this.#cancelFeeding = this.#clock.after(delayMs, () => {
      const lateMs = this.#clock.monotonicMs() - due;
      if (lateMs > watchdogMs * lateShare) return this.#feedAfter(watchdogMs * retryShare, watchdogMs);
      this.#pending.set("WATCHDOG", "1");
      void this.#tell();
      this.#feedAfter(watchdogMs / 2, watchdogMs);
    });
  }

  /** One message after the other: two programs at once would be heard in any order. */
  #tell(): Promise<void> {
    if (this.#socket === undefined) return Promise.resolve();
    this.#telling ??= this.#tellAll(this.#socket);
    return this.#telling;
  }

  async #tellAll(socket: string): Promise<void> {
    while (this.#pending.size > 0) {
      // A line break would begin another variable.
      const words = [...this.#pending].map(([name, value]) => `${name}=${value.replaceAll(/\s+/g, " ")}`);
      this.#pending.clear();
      await this.#send(words, socket);
    }
    // Not behind an await: what is pending from here on needs a call of its own.
    this.#telling = undefined;
  }

  #send(words: readonly string[], socket: string): Promise<void> {
    const env = { NOTIFY_SOCKET: socket, PATH: process.env["PATH"] ?? "/usr/bin:/bin" };
    return new Promise((resolve) => {
      execFile(this.#program, ["--", ...words], { env, timeout: tellTimeoutMs }, (error) => {
        if (error !== null)
          this.#fault(new Error(`systemd was not told ${words.join(", ")}: ${error.message}`));
        resolve();
      });
    });
  }
}
