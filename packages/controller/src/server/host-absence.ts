/**
 * Whether a host that has no connection is gone, or will be back in a moment: for one roll-out, of the hosts that it looks at. By a
 * clock that never steps: a host must not be given up because somebody has set the time.
 */
import type { Clock, HostId } from "@outpost/protocol";
import type { Bus } from "./bus.ts";
import type { Reach } from "./rollout.ts";
import type { ControllerSettings } from "./settings.ts";

export interface AbsenceOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly settings: Pick<ControllerSettings, "rolloutUnreachableMs" | "hostsReturnMs">;
  /** When the controller was started, by the monotonic clock. */
  readonly startedMs: number;
  /** A host that is watched has come or gone. */
  readonly changed: () => void;
}

interface Watched {
  unwatch: () => void;
  /** When it counts as gone, by the monotonic clock; absent while it is connected. */
  goneAt: number | undefined;
}

export class HostAbsence implements Disposable {
  readonly #options: AbsenceOptions;
  readonly #watched = new Map<HostId, Watched>();

  constructor(options: AbsenceOptions) {
    this.#options = options;
  }

  watch(host: HostId): void {
    if (this.#watched.has(host)) return;
    const watched: Watched = { unwatch: () => {}, goneAt: undefined };
    this.#watched.set(host, watched);
    this.#look(host, watched);
    watched.unwatch = this.#options.bus.watch(host, () => {
      this.#look(host, watched);
      this.#options.changed();
    });
  }

  unwatch(host: HostId): void {
    this.#watched.get(host)?.unwatch();
    this.#watched.delete(host);
  }

  /** At this very moment; `away` only while hosts are still on their way back after the controller's start. */
  now(host: HostId): Reach {
    if (this.#options.bus.link(host) !== undefined) return "connected";
    return this.#isReturning(host) ? "away" : "offline";
  }

  /** `offline` only when it has been away for so long that nobody waits for it any more. It MUST be watched. */
  forLong(host: HostId): Reach {
    const { bus, clock } = this.#options;
    if (bus.link(host) !== undefined) return "connected";
    const { goneAt } = this.#watched.get(host)!;
    return goneAt !== undefined && goneAt <= clock.monotonicMs() ? "offline" : "away";
  }

  /** When one of them may come to count as gone, as a duration from now; `undefined`: none will. */
  get nextMs(): number | undefined {
    const { clock, settings, startedMs } = this.#options;
    const now = clock.monotonicMs();
    let next: number | undefined;
    const consider = (at: number | undefined): void => {
      if (at !== undefined && at > now) next = Math.min(next ?? at, at);
    };
    consider(startedMs + settings.hostsReturnMs);
    for (const { goneAt } of this.#watched.values()) consider(goneAt);
    return next === undefined ? undefined : next - now;
  }

  [Symbol.dispose](): void {
    for (const { unwatch } of this.#watched.values()) unwatch();
    this.#watched.clear();
  }

  #look(host: HostId, watched: Watched): void {
    const { bus, clock, settings, startedMs } = this.#options;
    if (bus.link(host) !== undefined) {
      watched.goneAt = undefined;
      return;
    }
    const { rolloutUnreachableMs, hostsReturnMs } = settings;
    watched.goneAt ??= this.#hasBeenSeen(host)
      ? clock.monotonicMs() + rolloutUnreachableMs
      : startedMs + Math.max(rolloutUnreachableMs, hostsReturnMs);
  }

  #isReturning(host: HostId): boolean {
    const { clock, settings, startedMs } = this.#options;
    return !this.#hasBeenSeen(host) && clock.monotonicMs() < startedMs + settings.hostsReturnMs;
  }

  /** Since the controller's start. One that has never connected at all is not on its way back either. */
  #hasBeenSeen(host: HostId): boolean {
    const { bus } = this.#options;
    return bus.hasConnected(host) || bus.lastSeen(host) === undefined;
  }
}
