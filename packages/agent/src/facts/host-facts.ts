/**
 * What this host says of itself, kept up to date as long as the agent lives:
 *
 *     start ──▶ what the agent finds out itself, and what facts.d said last time     at once, for the first hello
 *       └─────▶ facts.d                                                              when its programs have ended
 *     every ten minutes, or on `refresh` ──▶ both anew ──▶ listeners, if somebody would see the difference
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type AgentStatus, type Clock, CustomFacts, type Facts } from "@outpost/protocol";
import type { Logger } from "pino";
import * as v from "valibot";
import { makePrivateDirectory } from "../private-directory.ts";
import { type CustomFactsFound, type FactProblem, gatherCustomFacts } from "./custom-facts.ts";
import { differ } from "./difference.ts";
import { gatherOwnFacts } from "./own-facts.ts";

/** What others need of it. */
export interface TellsFacts {
  /** As they were told last, also where a disk has filled up by a little since: whoever chose this host by them has chosen
   * it rightly. */
  readonly current: Facts;
  /** Calls back when they have changed. Returns what takes the listener away. */
  onChanged(listener: () => void): () => void;
}

export interface HostFactsOptions {
  readonly bootId: string;
  /** Where programs of the host's own are. */
  readonly folders: readonly string[];
  /** What they said last, for the time until they have spoken again: nobody should be left out of a target because the
   * agent was restarted. In a directory that is only the agent's user's. */
  readonly remembered: string;
  /** How often, in milliseconds. */
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Uniform in [0, 1), so that hosts that started together do not gather together. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

export class HostFacts implements TellsFacts, AsyncDisposable {
  readonly #options: HostFactsOptions;
  readonly #listeners = new Set<() => void>();
  readonly #stopping = new AbortController();
  #own: Facts;
  #custom: CustomFacts;
  #told: Facts;
  #problems: readonly FactProblem[] = [];
  /** When facts.d was asked last, in milliseconds since 1970. */
  #gatheredAt: number | undefined;
  #gathering: Promise<void> | undefined;
  /** Asked for while it was being done: what has changed since it began would be missed. */
  #again = false;
  #cancelTimer: () => void = () => {};

  /** Resolves with what is known at once; the host's own programs are asked from then on. */
  static async begin(options: HostFactsOptions): Promise<HostFacts> {
    const own = await gatherOwnFacts(options.bootId);
    const facts = new HostFacts(options, own, readRemembered(options.remembered));
    void facts.#gather(false).finally(() => facts.#later());
    return facts;
  }

  private constructor(options: HostFactsOptions, own: Facts, custom: CustomFacts) {
    this.#options = options;
    this.#own = own;
    this.#custom = custom;
    this.#told = this.#gathered;
  }

  get current(): Facts {
    return this.#told;
  }

  get #gathered(): Facts {
    return Object.keys(this.#custom).length === 0 ? this.#own : { ...this.#own, custom: this.#custom };
  }

  /** For `outpost-agent status`. */
  get status(): NonNullable<AgentStatus["facts"]> {
    return {
      ...(this.#gatheredAt === undefined ? {} : { gatheredAt: this.#gatheredAt }),
      custom: Object.keys(this.#custom).length,
      problems: this.#problems.slice(0, maxTold).map(({ file, message }) => ({
        file: file.slice(0, maxTextLength),
        message: message.slice(0, maxTextLength),
      })),
    };
  }

  onChanged(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Gathers everything anew. Resolves when that is done; asked for again meanwhile, it is done once more. */
  async refresh(): Promise<void> {
    if (this.#gathering !== undefined) {
      this.#again = true;
      return this.#gathering;
    }
    await this.#gather(true);
    this.#later();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    this.#cancelTimer();
    await this.#gathering;
  }

  #gather(own: boolean): Promise<void> {
    this.#gathering ??= this.#gatherAll(own).finally(() => (this.#gathering = undefined));
    return this.#gathering;
  }

  async #gatherAll(own: boolean): Promise<void> {
    const { bootId, folders } = this.#options;
    const { signal } = this.#stopping;
    let anew = own;
    do {
      this.#again = false;
      if (anew) this.#own = await gatherOwnFacts(bootId);
      anew = true;
      const found = await gatherCustomFacts({ folders, signal });
      // Interrupted programs have said nothing.
      if (signal.aborted) return;
      this.#take(found);
    } while (this.#again && !this.#hasStopped());
  }

  #take({ facts, problems }: CustomFactsFound): void {
    this.#report(problems);
    this.#gatheredAt = this.#options.clock.now();
    if (JSON.stringify(facts) !== JSON.stringify(this.#custom)) {
      this.#custom = facts;
      this.#remember();
    }
    const gathered = this.#gathered;
    if (!differ(this.#told, gathered)) return;
    this.#told = gathered;
    for (const listener of this.#listeners) listener();
  }

  /** Each problem is logged when it comes up, and not again until it was gone. */
  #report(problems: readonly FactProblem[]): void {
    const { log } = this.#options;
    const textOf = ({ file, message }: FactProblem): string => `${file} ${message}`;
    const before = new Set(this.#problems.map(textOf));
    for (const problem of problems) {
      if (!before.has(textOf(problem)))
        log.warn({ file: problem.file }, `no facts of it: ${textOf(problem)}`);
    }
    if (problems.length === 0 && this.#problems.length > 0) log.info("facts.d is in order again");
    this.#problems = problems;
  }

  #remember(): void {
    const { remembered, log } = this.#options;
    const fresh = `${remembered}.new`;
    try {
      makePrivateDirectory(dirname(remembered));
      writeFileSync(fresh, JSON.stringify(this.#custom), { mode: 0o600 });
      renameSync(fresh, remembered);
    } catch (error) {
      log.debug({ err: error }, "the host's own facts could not be remembered");
    }
  }

  #later(): void {
    if (this.#hasStopped()) return;
    this.#cancelTimer();
    const { clock, intervalMs, random = Math.random } = this.#options;
    const delayMs = Math.round(intervalMs * (0.9 + 0.2 * random()));
    this.#cancelTimer = clock.after(delayMs, () => void this.refresh());
  }

  /** Read anew: it changes while something is awaited. */
  #hasStopped(): boolean {
    return this.#stopping.signal.aborted;
  }
}

/** What a status may hold. */
const maxTold = 20;
const maxTextLength = 500;

function readRemembered(file: string): CustomFacts {
  try {
    const parsed = v.safeParse(CustomFacts, JSON.parse(readFileSync(file, "utf8")));
    return parsed.success ? parsed.output : {};
  } catch {
    return {}; // Nothing was ever said, or the file was cut by a crash.
  }
}
