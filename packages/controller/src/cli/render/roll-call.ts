/** Who was asked, who has answered and how, and who has not: what every way of showing an answer ends with. */
import type { JobId } from "@outpost/protocol";
import type { ExitEvent, JobEvent } from "../../client/index.ts";
import { say } from "./sink.ts";
import { summaryLines } from "./summary.ts";

export class RollCall {
  readonly #exits = new Map<string, ExitEvent | undefined>();
  readonly #started = new Set<string>();
  readonly #away = new Map<string, number>();
  #job: JobId | undefined;
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

  #goesOn(host: string): ExitEvent {
    const since = this.#away.get(host);
    return {
      type: "exit",
      job: this.#job!,
      // It was in the plan.
      host: host as ExitEvent["host"],
      ended: false,
      state: this.#started.has(host) ? "running" : "pending",
      ...(since === undefined ? {} : { unreachableSince: since }),
    };
  }
}
