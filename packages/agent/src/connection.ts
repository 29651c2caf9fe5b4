/**
 * The agent's one connection to its controller, for as long as the agent lives. It dials, says hello, reports what the
 * host holds, and answers; when the connection ends, it does so again. It keeps nothing for the controller while there
 * is no connection: the inventory of the next one covers it.
 *
 *     dialing ──▶ greeting ──▶ reporting ──▶ connected        every state but `stopped` ──▶ stopped: dispose
 *        ▲            │            │             │
 *        │            ▼            ▼             ▼
 *        └──────── waiting ◀──── any failure, or the end of the connection
 */
import {
  agentMethods,
  type Clock,
  controllerAgentMethods,
  ErrorCode,
  type Facts,
  limits,
  type MessageSocket,
  OutpostError,
  Peer,
  supportedVersions,
} from "@outpost/protocol";
import type { Logger } from "pino";
import { Backoff } from "./backoff.ts";
import { type ConnectionState, logState } from "./connection-state.ts";
import type { AgentPeer, HeldJobs, HeldSessions } from "./handlers/context.ts";
import { createHandlers, type HandlerContext } from "./handlers/handlers.ts";
import { Starts } from "./handlers/starts.ts";
import { differ, type TellsFacts } from "./facts/index.ts";
import type { Renewal } from "./renewal.ts";
import { SessionReports } from "./sessions/session-reports.ts";
import { software } from "./version.ts";

export interface ConnectionOptions {
  /** Makes a connection. @throws OutpostError */
  readonly dial: (signal: AbortSignal) => Promise<MessageSocket>;
  readonly jobs: HeldJobs;
  readonly sessions: HeldSessions;
  readonly gate: HandlerContext["gate"];
  readonly renewal: Pick<Renewal, "connected" | "outdated">;
  readonly facts: TellsFacts;
  readonly clock: Clock;
  readonly log: Logger;
  /** Uniform in [0, 1), for the jitter. Default `Math.random`. */
  readonly random?: () => number;
}

/** How many jobs one page of the inventory holds: about 150 KB, so that a reconnecting herd does not flood its controller. */
const inventoryPageJobs = 500;

/** A connection that lived this long was a good one, in milliseconds. One that a controller accepts and drops at once
 * counts as a failed attempt, or it would be dialed twice a second for ever. */
const goodConnectionMs = 10_000;

/** How long the controller may take to sign a certificate, in milliseconds. */
const renewTimeoutMs = 30_000;

/** The protocol version that brought `certificate.renew`. */
const renewingVersion = 2;

/** And the one that brought `facts.changed`. */
const changingFactsVersion = 3;

/** How long the controller may take for one page of the inventory, in milliseconds. It may be busy with a herd. */
const inventoryTimeoutMs = 60_000;

export class Connection implements AsyncDisposable {
  readonly #options: ConnectionOptions;
  readonly #backoff: Backoff;
  readonly #stopping = new AbortController();
  readonly #listeners = new Set<(state: ConnectionState) => void>();
  readonly #ended: Promise<void>;
  #state: ConnectionState = { name: "dialing" };
  #peer: AgentPeer | undefined;
  #retryAfterMs = 0;

  /** Begins at once; the first attempt is not delayed. */
  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random);
    this.#ended = this.#run();
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Calls back at every change of state. Returns what takes the listener away. */
  onState(listener: (state: ConnectionState) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Resolves when the controller knows what this host holds. @throws the signal's reason; `cancelled` when stopped first */
  connected(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (state: ConnectionState): void => {
        if (state.name === "connected") settle(resolve);
        else if (state.name === "stopped") settle(() => reject(stopped()));
      };
      const onAbort = (): void => settle(() => reject(OutpostError.from(signal?.reason)));
      const settle = (action: () => void): void => {
        remove();
        signal?.removeEventListener("abort", onAbort);
        action();
      };
      const remove = this.onState(look);
      signal?.addEventListener("abort", onAbort);
      if (signal?.aborted === true) onAbort();
      else look(this.#state);
    });
  }

  /** Says that it leaves, closes the connection and stays away. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(stopped());
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const error = await this.#attempt();
      if (signal.aborted) break;
      await this.#wait(explained(error));
    }
    this.#enter({ name: "stopped" });
  }

  /** One connection from dialing to its end. Resolves with why it ended; never rejects. */
  async #attempt(): Promise<OutpostError> {
    const { signal } = this.#stopping;
    const { clock } = this.#options;
    let connectedAtMs: number | undefined;
    const unlisten = this.onState((state) => {
      if (state.name === "connected") connectedAtMs = clock.monotonicMs();
    });
    const leave = (): void => void this.#peer?.close("the agent stops");
    this.#retryAfterMs = 0;
    signal.addEventListener("abort", leave);
    try {
      this.#enter({ name: "dialing" });
      const starts = new Starts((status) => peer.notify("job.changed", { status }));
      const peer = this.#listen(await this.#options.dial(signal), starts);
      this.#peer = peer;
      if (signal.aborted) leave();
      return await this.#serve(peer, starts);
    } catch (error) {
      this.#peer?.abort(OutpostError.from(error));
      return OutpostError.from(error);
    } finally {
      signal.removeEventListener("abort", leave);
      unlisten();
      this.#peer = undefined;
      if (connectedAtMs !== undefined && clock.monotonicMs() - connectedAtMs >= goodConnectionMs)
        this.#backoff.reset();
    }
  }

  #listen(socket: MessageSocket, starts: Starts): AgentPeer {
    const { jobs, sessions, gate, renewal, clock, log } = this.#options;
    const peer: AgentPeer = new Peer(socket, {
      local: agentMethods,
      remote: controllerAgentMethods,
      handlers: createHandlers({
        jobs,
        sessions,
        gate,
        starts,
        peer: () => peer,
        certificateOutdated: () => renewal.outdated(),
        goodbye: ({ reason, retryAfterMs }) => {
          this.#retryAfterMs = retryAfterMs;
          log.info({ reason, retryAfterMs }, "the controller says goodbye");
        },
      }),
      clock,
      fault: (error, method) => log.error({ err: error, method }, "fault in a handler"),
    });
    return peer;
  }

  /** Hello, inventory, then whatever the controller asks. Resolves with why the connection ended. */
  async #serve(peer: AgentPeer, starts: Starts): Promise<OutpostError> {
    const { jobs, sessions, facts, log } = this.#options;
    this.#enter({ name: "greeting" });
    const said = facts.current;
    const controller = await peer.request(
      "hello",
      { versions: supportedVersions, software, maxMessageBytes: limits.maxMessageBytes, facts: said },
      { timeoutMs: limits.helloTimeoutMs },
    );
    this.#enter({ name: "reporting", controller });
    const unlisten = jobs.onChanged((status) => starts.changed(status));
    const reports = new SessionReports(peer, sessions, log);
    let unrenew = (): void => {};
    const unfact =
      controller.version >= changingFactsVersion ? this.#tellFactsOver(peer, said) : (): void => {};
    try {
      await this.#reportInventory(peer);
      await reports.begin();
      this.#enter({ name: "connected", controller });
      if (controller.version >= renewingVersion) unrenew = this.#renewOver(peer);
      return await peer.closed;
    } finally {
      unrenew();
      unfact();
      unlisten();
      reports[Symbol.dispose]();
    }
  }

  #renewOver(peer: AgentPeer): () => void {
    return this.#options.renewal.connected((request) =>
      peer.request("certificate.renew", { request }, { timeoutMs: renewTimeoutMs }),
    );
  }

  /** @param said what hello has said */
  #tellFactsOver(peer: AgentPeer, said: Facts): () => void {
    const { facts } = this.#options;
    const tell = (): void => peer.notify("facts.changed", { facts: facts.current });
    if (differ(said, facts.current)) tell();
    return facts.onChanged(tell);
  }

  /** Each page is read when it is sent: a `job.changed` that overtook an older status would be undone by it. */
  async #reportInventory(peer: AgentPeer): Promise<void> {
    const { jobs } = this.#options;
    const ids = jobs.list().map(({ job }) => job);
    for (let at = 0; at === 0 || at < ids.length; at += inventoryPageJobs) {
      const page = jobs.status(ids.slice(at, at + inventoryPageJobs));
      const last = at + inventoryPageJobs >= ids.length;
      await peer.request("inventory", { jobs: page, last }, { timeoutMs: inventoryTimeoutMs });
    }
  }

  /** Waits as long as the failure asks for, or until the agent stops. */
  async #wait(error: OutpostError): Promise<void> {
    const { signal } = this.#stopping;
    const delayMs = Math.round(this.#delayMs(error));
    this.#enter({ name: "waiting", delayMs, error });
    await new Promise<void>((resolve) => {
      const done = (): void => {
        cancel();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const cancel = this.#options.clock.after(delayMs, done);
      signal.addEventListener("abort", done);
    });
  }

  #delayMs(error: OutpostError): number {
    const asked = error.data["retryAfterMs"];
    const retryAfterMs = Math.max(this.#retryAfterMs, typeof asked === "number" ? asked : 0);
    switch (error.code) {
      // Somebody has to do something first: enrol the host again, upgrade one side.
      case ErrorCode.denied:
      case ErrorCode.versionMismatch:
        return this.#backoff.afterRefusal(retryAfterMs);
      case ErrorCode.controllerUnreachable:
      case ErrorCode.disconnected:
      case ErrorCode.timeout:
      case ErrorCode.busy:
        return this.#backoff.next(retryAfterMs);
      // Not known to heal; but a host that gives up is lost, and one attempt in 15 s harms nobody.
      default:
        this.#options.log.error({ err: error }, "an error that the connection does not know");
        return this.#backoff.next(retryAfterMs);
    }
  }

  #enter(state: ConnectionState): void {
    this.#state = state;
    logState(this.#options.log, state);
    for (const listener of this.#listeners) listener(state);
  }
}

/** Adds what to do to a refusal: it does not go away by itself. */
function explained(error: OutpostError): OutpostError {
  if (error.code !== ErrorCode.denied) return error;
  const message = `${error.message}. If this is not a mistake over there, join again with a new token: outpost-agent join --force`;
  return new OutpostError(error.code, message, { data: error.data, cause: error });
}

function stopped(): OutpostError {
  return new OutpostError(ErrorCode.cancelled, "the agent stops");
}
