/** A clock that tests own. */
import type { Clock } from "./clock.ts";

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** One turn of the event loop, so that what a timer has set going (promises, in-memory sockets) can happen. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * Time that passes only when told. Timers fire in the order of their due times, in `advance` and `sleep` only.
 * Sockets of `memoryLink` with a latency may run on it too.
 */
export class FakeClock implements Clock {
  #wallMs: number;
  #monotonicMs = 0;
  readonly #timers = new Set<Timer>();

  /** @param nowMs what `now()` says at first, in milliseconds since 1970. Default: 2026-01-01T00:00:00Z. */
  constructor(nowMs = Date.UTC(2026, 0, 1)) {
    this.#wallMs = nowMs;
  }

  now(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.#monotonicMs + Math.max(0, delayMs), callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** How many timers wait. At the end of a test that closed everything, a leak when it is not 0. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Lets `ms` milliseconds pass in a process that runs: each timer fires at its moment, and what it set going has a
   * turn of the event loop before the next one. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonicMs + ms;
    await turn();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#pass(next.dueMs - this.#monotonicMs);
      this.#fire(next);
      await turn();
    }
    this.#pass(end - this.#monotonicMs);
    await turn();
  }

  /** Lets `ms` milliseconds pass while the process does not run (SIGSTOP, a lid closed): what became due fires late, once. */
  async sleep(ms: number): Promise<void> {
    this.#pass(ms);
    await this.advance(0);
  }

  /** Sets the host's time forward or back: `now()` steps, durations and timers do not. */
  step(ms: number): void {
    this.#wallMs += ms;
  }

  #pass(ms: number): void {
    const passedMs = Math.max(0, ms);
    this.#wallMs += passedMs;
    this.#monotonicMs += passedMs;
  }

  #next(endMs: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs <= endMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer;
    }
    return next;
  }

  #fire(timer: Timer): void {
    this.#timers.delete(timer);
    timer.callback();
  }
}

/** One metric family of a text in Prometheus' format. */
export interface MetricFamily {
  readonly type: string;
  readonly help: string;
  /** By the series as it is written, e.g. `jobs{state="running"}`. */
  readonly samples: ReadonlyMap<string, number>;
}

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const sampleLine =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*",?)*)\})? ([^ ]+)$/;

/**
 * Reads the text format of Prometheus (version 0.0.4), and is as strict as `promtool check metrics` about it: each family whole and
 * once, with help and type before its samples, no series twice, counters that end in `_total`.
 * @throws Error naming the line
 */
export function readMetrics(text: string): ReadonlyMap<string, MetricFamily> {
  const families = new Map<string, MetricFamily & { samples: Map<string, number> }>();
  const helps = new Map<string, string>();
  let current: string | undefined;
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  for (const line of text.split("\n")) {
    const wrong = (why: string): Error => new Error(`${why}: ${line}`);
    if (line === "") continue;
    const [, keyword, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword !== undefined && !metricName.test(name)) throw wrong("no name of a metric");
    if (keyword === "HELP") {
      if (helps.has(name)) throw wrong("help came twice");
      helps.set(name, rest);
    } else if (keyword === "TYPE") {
      const help = helps.get(name);
      if (help === undefined) throw wrong("type without help");
      if (families.has(name)) throw wrong("the family came twice");
      if (rest === "counter" && !name.endsWith("_total")) throw wrong("a counter does not end in _total");
      families.set(name, { type: rest, help, samples: new Map() });
      current = name;
    } else {
      const [, sample = "", labels, value = ""] = sampleLine.exec(line) ?? [];
      const family = families.get(current ?? "");
      const base = family?.type === "histogram" ? sample.replace(/_(?:bucket|sum|count)$/, "") : sample;
      if (family === undefined || base !== current) throw wrong("a sample outside of its family");
      const series = labels === undefined || labels === "" ? sample : `${sample}{${labels}}`;
      if (family.samples.has(series)) throw wrong("a series came twice");
      const number = /^[+-]Inf$/.test(value) ? Number(`${value}inity`) : Number(value);
      if (Number.isNaN(number) && !/^nan$/i.test(value)) throw wrong("no number");
      family.samples.set(series, number);
    }
  }
  return families;
}
