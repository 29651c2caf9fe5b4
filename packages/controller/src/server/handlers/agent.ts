/**
 * What the controller answers to an agent. One object per connection, its methods on the prototype and its inventory
 * gone after the last page: with ten thousand idle agents every closure counts.
 */
import type {
  agentMethods,
  controllerAgentMethods,
  Handlers,
  HelloParams,
  HelloResult,
  InventoryParams,
  JobStatus,
  Peer,
  SessionId,
  SessionStatus,
} from "@outpost/protocol";
import { greet } from "../greeting.ts";
import { Inventory } from "../inventory.ts";
import { adoptLocalJob } from "../local-jobs.ts";
import type { Host } from "../presence.ts";
import { safePositions, type Services } from "../services.ts";

export type AgentPeer = Peer<typeof controllerAgentMethods, typeof agentMethods>;

const arrivalTimeoutMs = 10_000;

export class AgentHandlers implements Handlers<typeof controllerAgentMethods> {
  /** Set right after construction: the handlers exist before their peer. */
  peer!: AgentPeer;
  readonly #services: Services;
  readonly #host: Host;
  #arrived: (() => void) | undefined;
  #cancelArrival: (() => void) | undefined;
  #inventory: Inventory | undefined;

  /** @param arrived called once, when the host has told all that it holds */
  constructor(services: Services, host: Host, arrived: () => void) {
    this.#services = services;
    this.#host = host;
    this.#arrived = arrived;
  }

  hello(params: HelloParams): HelloResult {
    const { presence, clock, log } = this.#services;
    const answer = greet(params, this.#host.name, clock.now());
    this.#inventory = new Inventory({ ...this.#services, safe: safePositions }, this.#host, this.peer);
    // One that never tells what it holds MUST NOT keep others out.
    this.#cancelArrival = clock.after(arrivalTimeoutMs, () => this.arrived());
    // After the answer: nobody may send to this host before it has heard who we are.
    setImmediate(() => {
      if (!this.peer.isOpen) return;
      presence.connected(this.#host.id, this.peer, params.facts);
      log.info({ host: this.#host.name, software: params.software }, "agent connected");
    });
    return answer;
  }

  async inventory({ jobs, last }: InventoryParams): Promise<Record<string, never>> {
    const inventory = this.#inventory;
    inventory?.page(jobs);
    if (last) {
      this.#inventory = undefined;
      this.arrived();
      await inventory?.finish();
    }
    return {};
  }

  "job.changed"({ status }: { status: JobStatus }): void {
    const { fanOuts, dispatch } = this.#services;
    const fanOut = fanOuts.find(status.job) ?? adoptLocalJob(this.#services, this.#host, status);
    const job = fanOut?.job(this.#host.name);
    if (fanOut === undefined || job === undefined) return;
    fanOuts.note(fanOut, job, job.report(status, this.peer));
    if (job.waiting !== undefined) void dispatch.advance(fanOut, job);
  }

  "session.inventory"({ sessions }: { sessions: SessionStatus[] }): Record<string, never> {
    this.#services.sessions.inventory(this.#host, sessions, this.peer);
    return {};
  }

  "session.changed"({ status }: { status: SessionStatus }): void {
    this.#services.sessions.told(this.#host, status, this.peer);
  }

  "session.gone"({ session }: { session: SessionId }): void {
    this.#services.sessions.gone(this.#host, session);
  }

  /** Gives the place among those who arrive back. */
  arrived(): void {
    this.#cancelArrival?.();
    this.#cancelArrival = undefined;
    this.#arrived?.();
    this.#arrived = undefined;
  }
}
