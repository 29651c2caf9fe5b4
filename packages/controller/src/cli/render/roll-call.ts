/** Who was asked, who has answered and how, and who has not: what every way of showing an answer ends with. */
import type { JobId, RolloutInfo } from "@outpost/protocol";
import type { ExitEvent, JobEvent } from "../../client/index.ts";
import { say } from "./sink.ts";
import { summaryLines } from "./summary.ts";

export class RollCall {
  readonly #exits = new Map<string, ExitEvent | undefined>();
  readonly #started = new Set<string>();
  readonly #away = new Map<string, number>();
  #job: JobId | undefined;
  #rollout: RolloutInfo | undefined;
  #isSaid = false;

  note(event: JobEvent): void {
    switch (event.type) {
      case "plan":
        this.#job = event.job;
        for (const { host } of event.hosts) this.#exits.set(host, undefined);
        return;
      case "start":
        this.#started.add(event.host);
        return;
      case "notice":
        if (event.host === undefined) return;
        if (event.code === "host_unreachable") this.#away.set(event.host, event.since ?? Date.now());
        else this.#away.delete(event.host);
        return;
      case "exit":
        this.#exits.set(event.host, event);
        return;
      case "check": {
        const exit = this.#exits.get(event.host);
        if (exit !== undefined) this.#exits.set(event.host, { ...exit, failedCheck: event });
        return;
      }
      case "rollout":
        this.#rollout = event.rollout;
        return;
      default:
        return;
    }
  }

  get several(): boolean {
    return this.#exits.size > 1;
  }

  get hosts(): readonly string[] {
    return [...this.#exits.keys()];
  }

  /** Of every host how it stands: its end, or that it goes on. */
  get exits(): readonly ExitEvent[] {
    return [...this.#exits].map(([host, exit]) => exit ?? this.#goesOn(host));
  }

  /** Says how it came out, once. */
  async say(): Promise<void> {
    if (this.#isSaid) return;
    this.#isSaid = true;
    for (const line of await summaryLines(this.exits)) await say(line);
  }

  /** There are hosts that nobody has asked yet. */
  get #hasMoreToBegin(): boolean {
    const { state, waiting = 0 } = this.#rollout ?? {};
    return waiting > 0 && state !== "done" && state !== "stopped";
  }

  #goesOn(host: string): ExitEvent {
    const since = this.#away.get(host);
    const hasStarted = this.#started.has(host);
    return {
      type: "exit",
      job: this.#job!,
      // It was in the plan.
      host: host as ExitEvent["host"],
      ended: false,
      state: hasStarted ? "running" : "pending",
      ...(since === undefined ? {} : { unreachableSince: since }),
      ...(hasStarted || !this.#hasMoreToBegin ? {} : { queued: "rollout" }),
    };
  }
}
