/**
 * A receive: output of one fan-out job as a pulled sequence of events. The consumer's pace is the hosts' pace: credit is
 * granted for what it has handled, and nothing but a window per stream is held here. A cut connection is made again and
 * the receive goes on from the offsets that have arrived.
 */
import {
  type Clock,
  type controllerOperatorMethods,
  ErrorCode,
  type EventOf,
  type FanOutReceiveParams,
  type HostName,
  type HostState,
  type JobId,
  limits,
  OutpostError,
  type OutputName,
  type RolloutInfo,
  type StreamName,
  systemClock,
  unpack,
} from "@outpost/protocol";
import { Acknowledger } from "./acknowledger.ts";
import { signedReceive } from "./authorizing.ts";
import type { Connection, ControllerPeer } from "./connection.ts";
import type { CheckEvent, JobEvent, PlanEvent } from "./events.ts";
import { failedChecks, withFailedChecks } from "./failed-checks.ts";
import { HostReceive } from "./host-receive.ts";
import { summarise } from "./summary.ts";

export interface ReceiveOptions {
  /** Only these hosts. Default all of the job's. */
  readonly hosts?: readonly string[] | undefined;
  /** Which streams. Default both. */
  readonly streams?: readonly OutputName[] | undefined;
  /** True: read without acknowledging, so that the same output can be received again. Default false. */
  readonly keep?: boolean | undefined;
  /** True: go on until every job has ended. False: end at what is there now. Default false. */
  readonly follow?: boolean | undefined;
  /** True: with `follow`, ends too when all jobs that have not ended wait for hosts that are offline. Default false. */
  readonly leaveAwaited?: boolean | undefined;
  /** True: from the first byte, what earlier receives have acknowledged included, as far as it is still there. */
  readonly fromStart?: boolean | undefined;
  /** True: `out` events carry the time when their bytes were written, and come in that order. Default false. */
  readonly timestamps?: boolean | undefined;
  /** For consumers that take an event and hold a part of it back, as an unfinished line: how many bytes at the end of
   * what they were given of a stream they have not written yet. Those are not acknowledged. `Infinity`: all of it. Default none. */
  readonly unwritten?: ((host: string, stream: OutputName) => number) | undefined;
  /** Ends the receive with `cancelled`. Nothing is lost: the next one goes on. */
  readonly signal?: AbortSignal | undefined;
}

export interface ReceiveTarget {
  readonly job: JobId;
  readonly name: string | undefined;
  readonly hosts: readonly { readonly host: HostName; readonly state: HostState }[];
  /** How its roll-out stood, if it has one. */
  readonly rollout?: RolloutInfo | undefined;
  readonly connection: Connection;
  readonly clock?: Clock;
}

type Event = EventOf<typeof controllerOperatorMethods, "fanout.receive">;

/** What all windows of one receive may hold together, in bytes: the memory that a consumer who stops reading costs. */
const budgetBytes = 32 * 1024 * 1024;
/** The largest window of one stream, in bytes; more makes no link faster. */
const maxStreamWindowBytes = 8 * 1024 * 1024;

/** After so long, in milliseconds, that a signature has expired is no surprise: the receive goes on with a new one. */
const signatureAgesMs = 60 * 60 * 1000;

/** How long the last acknowledgement of a receive that was left early may take, in milliseconds. Without it, some of
 * what was handled comes again. */
const partingMs = 2_000;

/** How often is looked whether those that a check still runs on can be reached, in milliseconds. */
const checkLookMs = 5_000;

function windowFor(streams: number): number {
  const share = Math.floor(budgetBytes / Math.max(1, streams));
  return Math.min(maxStreamWindowBytes, Math.max(limits.minWindowBytes, share));
}

/** @see Job.receive */
export async function* receive(
  target: ReceiveTarget,
  options: ReceiveOptions,
): AsyncGenerator<JobEvent, void, void> {
  const receiving = new Receiving(target, options);
  try {
    yield receiving.plan;
    for (;;) {
      const event = await receiving.next();
      if (event === undefined) break;
      yield event;
      // Being asked for the next one says that this one was handled.
      receiving.handled(event);
    }
    await receiving.settled();
    yield receiving.summary();
  } finally {
    await receiving.stop();
  }
}

class Receiving {
  readonly plan: PlanEvent;
  readonly #target: ReceiveTarget;
  readonly #options: ReceiveOptions;
  readonly #hosts = new Map<HostName, HostReceive>();
  readonly #queue: JobEvent[] = [];
  readonly #windowBytes: number;
  readonly #streams: StreamName[];
  readonly #acknowledger: Acknowledger | undefined;
  readonly #stopping = new AbortController();
  /** All that is left is left to itself. */
  readonly #leaving = new AbortController();
  /** How many hosts have not ended, and which of them are offline and have nothing yet. */
  #open: number;
  readonly #awaited = new Set<HostName>();
  readonly #running: Promise<void>;
  #rollout: RolloutInfo | undefined;
  #failedChecks: readonly CheckEvent[] = [];
  #wake: (() => void) | undefined;
  #outcome: { readonly error?: OutpostError } | undefined;

  constructor(target: ReceiveTarget, options: ReceiveOptions) {
    const { job, name, connection, clock = systemClock } = target;
    const { streams = ["stdout", "stderr"], keep = false, timestamps = false, signal } = options;
    this.#target = target;
    this.#options = options;
    const hosts = selectHosts(target, options.hosts);
    this.#streams = timestamps ? [...streams, "timeline"] : [...streams];
    this.#windowBytes = windowFor(hosts.length * this.#streams.length);
    for (const { host } of hosts) {
      const emit = (event: JobEvent): void => this.#push(event);
      this.#hosts.set(host, new HostReceive({ job, host, windowBytes: this.#windowBytes, timestamps, emit }));
    }
    this.#open = this.#hosts.size;
    this.plan = { type: "plan", job, ...(name === undefined ? {} : { name }), hosts };
    const { unwritten = () => 0 } = options;
    const { signal: stopped } = this.#stopping;
    const acknowledging = { job, connection, hosts: this.#hosts, clock, unwritten, signal: stopped };
    this.#acknowledger = keep ? undefined : new Acknowledger(acknowledging);
    const onAbort = (): void => this.#stopping.abort(signal?.reason);
    signal?.addEventListener("abort", onAbort);
    if (signal?.aborted === true) onAbort();
    this.#running = this.#run().finally(() => {
      signal?.removeEventListener("abort", onAbort);
      this.#wake?.();
    });
  }

  /** The next event; undefined at the end. @throws OutpostError */
  async next(): Promise<JobEvent | undefined> {
    for (;;) {
      const event = this.#queue.shift();
      if (event !== undefined) return event;
      if (this.#outcome?.error !== undefined) throw this.#outcome.error;
      if (this.#outcome !== undefined) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
  }

  handled(event: JobEvent): void {
    if (event.type !== "out" && event.type !== "gap" && event.type !== "exit") return;
    const host = this.#hosts.get(event.host);
    if (host === undefined) return;
    if (event.type !== "exit") host.handledEvent(event);
    this.#acknowledger?.touch(host);
  }

  /** Everything handled is acknowledged. @throws OutpostError */
  async settled(): Promise<void> {
    await this.#acknowledger?.flush(this.#stopping.signal);
  }

  summary(): JobEvent {
    const exits = [...this.#hosts.values()].flatMap(({ exit }) => (exit === undefined ? [] : [exit]));
    return summarise(this.#target.job, withFailedChecks(exits, this.#failedChecks), this.#rollout);
  }

  /** Ends the reading, at any time. What was handled is acknowledged if the controller can be reached. */
  async stop(): Promise<void> {
    this.#stopping.abort(new OutpostError(ErrorCode.cancelled, "the receive was ended"));
    await this.#running;
    await this.#acknowledger?.flush(AbortSignal.timeout(partingMs)).catch(() => {});
  }

  #push(event: JobEvent): void {
    this.#queue.push(event);
    this.#wake?.();
  }

  async #run(): Promise<void> {
    const forget = this.#target.connection.onState((state) => this.#pushConnectionState(state));
    try {
      if (this.#options.timestamps === true) await this.#begin();
      while (!(await this.#attempt())) {
        // Cut: again, from where we are.
      }
      if (this.#leaving.signal.aborted) this.#leave();
      await this.#lastCheck();
      await this.#lookAtCheck();
      this.#outcome = {};
    } catch (error) {
      this.#outcome = { error: OutpostError.from(error) };
    } finally {
      forget();
    }
  }

  /** The timeline says when every byte was written, received ones included. To know which of them come, the offsets
   * where this receive begins must be known beforehand. */
  async #begin(): Promise<void> {
    const { signal } = this.#stopping;
    const { job, connection } = this.#target;
    const { viewOf } = await import("./job-view.ts");
    const { jobs } = await viewOf(connection, job, signal);
    const wanted = this.#streams.filter((name) => name !== "timeline");
    for (const { host, status } of jobs) {
      const offset = (name: OutputName): number =>
        this.#options.fromStart === true ? 0 : status.output[name].received;
      this.#hosts.get(host)?.begin(Object.fromEntries(wanted.map((name) => [name, offset(name)])));
    }
  }

  /** The jobs of the last stage have ended, and may still be checked: what comes of that belongs to the roll-out. One that
   * was stopped by its first failure has checks that go on, and fail as well. */
  async #lastCheck(): Promise<void> {
    const { follow = false, hosts } = this.#options;
    const check = this.#rollout?.check;
    if (!follow || hosts !== undefined || check === undefined) return;
    const { connection, job } = this.#target;
    const { signal } = this.#stopping;
    const refresh = async (): Promise<void> => {
      const { fanout } = await connection.request("fanout.show", { job, limit: 1 }, { signal });
      if (fanout.rollout !== undefined) this.#onRollout(fanout.rollout);
    };
    try {
      for (;;) {
        if (!this.#isOver()) await refresh();
        if (await this.#isCheckSettled(check)) return;
        const params = { job: check, any: false, brief: true, timeoutMs: checkLookMs };
        const { ended } = await connection.request("fanout.wait", params, { signal });
        if (!ended) continue;
        if (!this.#isOver()) await refresh();
        return;
      }
    } catch (error) {
      // Somebody has removed it.
      if (OutpostError.from(error).code !== ErrorCode.notFound) throw error;
    }
  }

  /** Nothing more will come of it, as far as anybody wants to wait. */
  async #isCheckSettled(check: JobId): Promise<boolean> {
    const { state, failures = 0 } = this.#rollout ?? {};
    if (!this.#isOver()) return this.#leaving.signal.aborted && state !== "waiting";
    if (state === "done" || failures === 0) return true;
    const { viewOf } = await import("./job-view.ts");
    const { jobs } = await viewOf(this.#target.connection, check, this.#stopping.signal);
    return jobs.every(
      ({ status, unreachableSince }) =>
        (status.state !== "pending" && status.state !== "running") || unreachableSince !== undefined,
    );
  }

  /** Hosts that have completed, and on which the check has not, have failed. */
  async #lookAtCheck(): Promise<void> {
    const { check, failures = 0 } = this.#rollout ?? {};
    if (check === undefined || failures === 0) return;
    const { connection, job } = this.#target;
    const failed = await failedChecks(connection, { job, check }, this.#stopping.signal);
    this.#failedChecks = failed.filter(({ host }) => this.#hosts.get(host)?.exit?.state === "completed");
    for (const event of this.#failedChecks) this.#push(event);
  }

  #isOver(): boolean {
    return this.#rollout?.state === "done" || this.#rollout?.state === "stopped";
  }

  /** One connection's worth. Returns false when it was cut. */
  async #attempt(): Promise<boolean> {
    const signal = AbortSignal.any([this.#stopping.signal, this.#leaving.signal]);
    const peer = await this.#target.connection.peer(signal);
    signal.throwIfAborted();
    const params = this.#params();
    const { clock = systemClock } = this.#target;
    const signedMs = clock.monotonicMs();
    try {
      await peer.request("fanout.receive", params, {
        signal,
        onEvent: (event) => this.#onEvent(peer, params.window, event),
      });
      return true;
    } catch (reason) {
      if (this.#leaving.signal.aborted && !this.#stopping.signal.aborted) return true;
      const error = OutpostError.from(reason);
      const isOutdated =
        error.data["reason"] === "expired" && clock.monotonicMs() - signedMs > signatureAgesMs;
      if ((error.code === ErrorCode.disconnected || isOutdated) && !signal.aborted) return false;
      throw error;
    }
  }

  #params(): FanOutReceiveParams {
    const { follow = false, fromStart, hosts: named } = this.#options;
    const open = [...this.#hosts.values()].filter(({ exit }) => exit === undefined);
    const from: Record<HostName, HostReceive["positions"]> = {};
    for (const host of open) {
      const { positions } = host;
      if (Object.keys(positions).length > 0) from[host.host] = positions;
    }
    // The first time, whole windows. Again, the least: what arrived before may still wait for the consumer, and the
    // cursors grant what is really free.
    const isFirst = [...this.#hosts.values()].every(
      (host) => host.handled.stdout === undefined && host.handled.stderr === undefined,
    );
    const params = {
      job: this.#target.job,
      hosts: open.map(({ host }) => host),
      streams: this.#streams,
      from,
      ...(fromStart === true ? { fromStart } : {}),
      follow,
      packed: true,
      ...(this.#target.rollout === undefined ? {} : { rollout: true }),
      window: isFirst ? this.#windowBytes : limits.minWindowBytes,
    };
    return signedReceive(this.#target.connection, params, named);
  }

  #onEvent(peer: ControllerPeer, window: number, event: Event): void {
    if (event.event === "receive.rollout") {
      this.#onRollout(event.params.rollout);
      this.#leaveAwaited();
      return;
    }
    const name =
      event.event === "receive.changed" || event.event === "receive.done"
        ? event.params.info.host
        : event.params.host;
    const host = this.#hosts.get(name);
    if (host === undefined) return;
    switch (event.event) {
      case "receive.opened": {
        const { stream, name: streamName, offset } = event.params;
        const incoming = peer.acceptStream(
          stream,
          { offset, window, packed: true },
          {
            chunk: (at, bytes, size) =>
              host.chunk(streamName, at, size === undefined ? bytes : unpack(bytes, size)),
            // The host's `done` says how it ended, or the request's failure.
            end: () => {},
          },
        );
        host.opened(streamName, incoming);
        break;
      }
      case "receive.gap":
        host.gap(event.params.name, event.params.gap);
        break;
      case "receive.changed":
        host.changed(event.params.info);
        if (host.isAwaited) this.#awaited.add(name);
        else this.#awaited.delete(name);
        this.#leaveAwaited();
        break;
      case "receive.done":
        host.done(event.params);
        this.#open--;
        this.#awaited.delete(name);
        this.#leaveAwaited();
        break;
      default:
        event satisfies never;
    }
  }

  #onRollout(rollout: RolloutInfo): void {
    // Each connection begins with how it stands.
    if (JSON.stringify(rollout) === JSON.stringify(this.#rollout)) return;
    this.#rollout = rollout;
    this.#push({ type: "rollout", job: this.#target.job, rollout });
  }

  /** Ends the receive when all that is left waits for hosts that are offline, and nobody wants to wait for those. */
  #leaveAwaited(): void {
    if (this.#options.leaveAwaited !== true || this.#options.follow !== true) return;
    const rollout = this.#rollout;
    if (rollout !== undefined && (rollout.waiting > 0 || rollout.state === "waiting")) return;
    if (this.#target.rollout !== undefined && rollout === undefined) return;
    if (this.#open > 0 && this.#open === this.#awaited.size) this.#leaving.abort();
  }

  #leave(): void {
    for (const host of this.#hosts.values()) {
      if (host.exit === undefined) host.leave();
    }
  }

  #pushConnectionState(state: "reconnecting" | "reconnected"): void {
    const { job } = this.#target;
    this.#push(
      state === "reconnecting"
        ? {
            type: "notice",
            job,
            code: "controller_reconnecting",
            message: "the connection to the controller was cut; reconnecting",
          }
        : {
            type: "notice",
            job,
            code: "controller_reconnected",
            message: "connected to the controller again",
          },
    );
  }
}

/** @throws OutpostError `not_found` naming the host */
function selectHosts(
  { job, hosts }: ReceiveTarget,
  wanted: readonly string[] | undefined,
): ReceiveTarget["hosts"] {
  if (wanted === undefined) return hosts;
  return wanted.map((name) => {
    const found = hosts.find(({ host }) => host === name);
    if (found !== undefined) return found;
    throw new OutpostError(ErrorCode.notFound, `the job ${job} does not run on ${name}`, {
      data: { job, host: name },
    });
  });
}
