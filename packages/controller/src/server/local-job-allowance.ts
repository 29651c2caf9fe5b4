/**
 * How many jobs of its own a host may bring into the catalogue: more than an agent keeps, and no more than we can hold. What
 * a host tells costs it nothing, and each of these is a fan-out job here.
 */
import type { Clock } from "@outpost/protocol";
import type { Catalogue } from "./catalogue/catalogue.ts";
import type { Host } from "./presence.ts";

/** As many as this at once, and no more new ones in the time. An agent keeps 10,000 ended ones and runs 256. */
const mostJobs = 20_000;
const withinMs = 60 * 60 * 1000;

interface Allowance {
  readonly since: number;
  left: number;
}

export interface LocalJobAllowanceOptions {
  readonly catalogue: Pick<Catalogue, "fanOuts">;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Default 20,000. */
  readonly most?: number;
}

export class LocalJobAllowance {
  readonly #options: LocalJobAllowanceOptions;
  /** By the host; forgotten with it. */
  readonly #allowances = new WeakMap<Host, Allowance>();

  constructor(options: LocalJobAllowanceOptions) {
    this.#options = options;
  }

  /** Takes one. `last`: and from now on the answer is `none`, for an hour at the most. */
  take(host: Host): "some" | "last" | "none" {
    const { catalogue, clock, most = mostJobs } = this.#options;
    const now = clock.monotonicMs();
    let allowance = this.#allowances.get(host);
    if (allowance === undefined || now - allowance.since >= withinMs) {
      // What is there already is counted once in that time: it may be thousands.
      allowance = { since: now, left: most - catalogue.fanOuts.heldBy(host.id).length };
      this.#allowances.set(host, allowance);
    }
    if (allowance.left <= 0) return "none";
    allowance.left--;
    return allowance.left === 0 ? "last" : "some";
  }
}
