/**
 * What Prometheus is told. Loaded only when somebody has asked for metrics. Where things happen often, plain numbers are
 * counted up, and become metrics when they are collected; how things stand is looked at only then. No label is a host, an
 * operator or a job: what there is of each may be thousands.
 */
import { type JobState, supportedVersions } from "@outpost/protocol";
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { FanOut } from "../fan-out.ts";
import type {
  ObservedRequest,
  Observer,
  RefusedFor,
  RelayedKind,
  RequestAbout,
  VisitorKind,
} from "../observer.ts";
import { Readings, type ReadingSources } from "./readings.ts";

/** From a list of hosts (a millisecond) to a receive that follows for as long as a job runs. */
const requestSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60];
/** The whole fleet is to have answered within a second or two. */
const startSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 1.5, 2.5, 5, 10, 30];
/** Short commands; of longer ones it is their own time. */
const durationSeconds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const hostCounts = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];

const relayedKinds = ["output", "collected", "input", "session"] as const satisfies RelayedKind[];
const jobEnds = ["completed", "failed", "stopped", "lost"] as const satisfies JobState[];
const kindNames: Readonly<Record<VisitorKind, string>> = {
  host: "agent",
  operator: "operator",
  newcomer: "newcomer",
};

/** A fan-out job that is not over yet. */
interface Begun {
  readonly at: number;
  /** Starts that were sent and are not answered. */
  unanswered: number;
  /** All that were sent at first have been answered. */
  isStarted: boolean;
  isEnded: boolean;
}

export class ControllerMetrics implements Observer {
  readonly #registry = new Registry();
  readonly #accepted: Counter<"kind">;
  readonly #refused: Counter<"reason">;
  readonly #presence: Counter<"state">;
  readonly #requests: Counter<"method" | "outcome">;
  readonly #requestSeconds: Histogram<"method">;
  readonly #fanOutHosts: Histogram;
  readonly #startSeconds: Histogram;
  readonly #durationSeconds: Histogram;
  readonly #begun = new WeakMap<FanOut, Begun>();
  readonly #ends: Record<(typeof jobEnds)[number], number> = { completed: 0, failed: 0, stopped: 0, lost: 0 };
  readonly #relayed = new Map<string, number>();
  #reading = 0;

  /** @param version of the software */
  constructor(version: string) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> =>
      new Counter({ name, help, labelNames: [...labelNames], registers });
    const histogram = <L extends string>(
      name: string,
      help: string,
      buckets: readonly number[],
      labelNames: readonly L[] = [],
    ): Histogram<L> =>
      new Histogram({ name, help, buckets: [...buckets], labelNames: [...labelNames], registers });

    new Gauge({
      name: "outpost_build_info",
      help: "1; the version of the software and of the protocol that runs",
      labelNames: ["version", "protocol"],
      registers,
    }).set({ version, protocol: String(supportedVersions.max) }, 1);
    this.#accepted = counter(
      "outpost_handshakes_accepted_total",
      "Connections that came to their upgrade and were let in, by who they are of",
      ["kind"],
    );
    this.#refused = counter("outpost_handshakes_refused_total", "Connections that were not let in, and why", [
      "reason",
    ]);
    this.#presence = counter(
      "outpost_presence_changes_total",
      "Agents that have connected, and that have gone",
      ["state"],
    );
    this.#requests = counter(
      "outpost_requests_total",
      "Requests of operators that were answered: ok, or the error's code",
      ["method", "outcome"],
    );
    this.#requestSeconds = histogram(
      "outpost_request_duration_seconds",
      "From a request of an operator to its answer; what follows a job or a session lasts as long as that does",
      requestSeconds,
      ["method"],
    );
    this.#fanOutHosts = histogram("outpost_fanout_hosts", "Hosts of each fan-out job", hostCounts);
    this.#startSeconds = histogram(
      "outpost_fanout_start_seconds",
      "From the record of a fan-out job to the last answer to the starts that were sent at once",
      startSeconds,
    );
    this.#durationSeconds = histogram(
      "outpost_fanout_duration_seconds",
      "From the record of a fan-out job to the end of its last job",
      durationSeconds,
    );
    this.#collectTallies(registers);
    for (const state of ["connected", "disconnected"]) this.#presence.inc({ state }, 0);
    for (const kind of Object.values(kindNames)) this.#accepted.inc({ kind }, 0);
  }

  /** The controller is put together: from now on it is told how things stand, too. */
  watch(sources: ReadingSources): void {
    new Readings(sources, this.#registry);
  }

  /** The media type of `text`. */
  get type(): string {
    return this.#registry.contentType;
  }

  /** All of it as it is now, in the text format of Prometheus. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  accepted(kind: VisitorKind): void {
    this.#accepted.inc({ kind: kindNames[kind] });
  }

  refused(reason: RefusedFor): void {
    this.#refused.inc({ reason });
  }

  presence(state: "connected" | "disconnected"): void {
    this.#presence.inc({ state });
  }

  request({ method }: RequestAbout): ObservedRequest {
    const begunAt = performance.now();
    return {
      ended: (outcome) => {
        this.#requests.inc({ method, outcome });
        this.#requestSeconds.observe({ method }, (performance.now() - begunAt) / 1000);
      },
    };
  }

  fanOutBegun(fanOut: FanOut): void {
    this.#fanOutHosts.observe(fanOut.jobs.length);
    this.#begun.set(fanOut, { at: performance.now(), unanswered: 0, isStarted: false, isEnded: false });
  }

  startSent(fanOut: FanOut): void {
    const begun = this.#begun.get(fanOut);
    if (begun !== undefined) begun.unanswered++;
  }

  startAnswered(fanOut: FanOut): void {
    const begun = this.#begun.get(fanOut);
    if (begun === undefined || --begun.unanswered > 0 || begun.isStarted) return;
    begun.isStarted = true;
    this.#startSeconds.observe((performance.now() - begun.at) / 1000);
  }

  jobEnded(state: JobState): void {
    const end = jobEnds.find((one) => one === state);
    if (end !== undefined) this.#ends[end]++;
  }

  fanOutEnded(fanOut: FanOut): void {
    const begun = this.#begun.get(fanOut);
    // Taken up after a restart: when it began, another process knew.
    if (begun === undefined || begun.isEnded) return;
    // A job may end before the start that it came of is answered, so it is not forgotten yet.
    begun.isEnded = true;
    this.#durationSeconds.observe((performance.now() - begun.at) / 1000);
  }

  relayed(kind: RelayedKind, direction: "from_hosts" | "to_hosts", bytes: number): void {
    const key = `${kind} ${direction}`;
    this.#relayed.set(key, (this.#relayed.get(key) ?? 0) + bytes);
  }

  reading(jobs: number): void {
    this.#reading += jobs;
  }

  #collectTallies(registers: Registry[]): void {
    const ends = this.#ends;
    new Counter({
      name: "outpost_job_ends_total",
      help: "Jobs (one host each) that have ended, by how",
      labelNames: ["state"],
      registers,
      collect() {
        this.reset();
        for (const state of jobEnds) this.inc({ state }, ends[state]);
      },
    });
    const relayed = this.#relayed;
    new Counter({
      name: "outpost_relayed_bytes_total",
      help: "Bytes of jobs and sessions that have passed through, unpacked",
      labelNames: ["kind", "direction"],
      registers,
      collect() {
        this.reset();
        for (const kind of relayedKinds) {
          for (const direction of directionsOf(kind)) {
            this.inc({ kind, direction }, relayed.get(`${kind} ${direction}`) ?? 0);
          }
        }
      },
    });
    const reading = (): number => this.#reading;
    new Gauge({
      name: "outpost_open_reads",
      help: "Jobs whose output is on its way to operators now",
      registers,
      collect() {
        this.set(reading());
      },
    });
  }
}

function directionsOf(kind: RelayedKind): readonly ("from_hosts" | "to_hosts")[] {
  if (kind === "session") return ["from_hosts", "to_hosts"];
  return kind === "input" ? ["to_hosts"] : ["from_hosts"];
}
