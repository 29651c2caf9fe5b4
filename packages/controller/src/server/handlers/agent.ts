/**
 * What the controller answers to an agent. One object per connection, its methods on the prototype and its inventory
 * gone after the last page: with ten thousand idle agents every closure counts.
 */
import {
  type FactsChanged,
  type agentMethods,
  type CertificateRenewParams,
  type CertificateRenewResult,
  type controllerAgentMethods,
  ErrorCode,
  type Handlers,
  type HelloParams,
  type HelloResult,
  type InventoryParams,
  type JobStatus,
  OutpostError,
  type Peer,
  type SessionId,
  type SessionStatus,
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
  #isRenewing = false;

  /** @param arrived called once, when the host has told all that it holds */
  constructor(services: Services, host: Host, arrived: () => void) {
    this.#services = services;
    this.#host = host;
    this.#arrived = arrived;
  }

  /** @throws OutpostError `denied` when the host was removed while it came */
  hello(params: HelloParams): HelloResult {
    const { presence, clock, rotation, log } = this.#services;
    const { id, name } = this.#host;
    if (!presence.has(id)) throw new OutpostError(ErrorCode.denied, `the host ${name} was removed`);
    const answer = greet(params, name, clock.now());
    this.#inventory = new Inventory({ ...this.#services, safe: safePositions }, this.#host, this.peer);
    // One that never tells what it holds MUST NOT keep others out.
    this.#cancelArrival = clock.after(arrivalTimeoutMs, () => this.arrived());
    // After the answer: nobody may send to this host before it has heard who we are.
    setImmediate(() => {
      if (!this.peer.isOpen) return;
      presence.connected(id, this.peer, answer.version, params.facts);
      rotation.arrived(this.#host);
      log.info({ host: name, software: params.software }, "agent connected");
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
    // By id: another host may have had this name when the job was started.
    if (fanOut === undefined || job === undefined || job.host !== this.#host.id) return;
    fanOuts.note(fanOut, job, job.report(status, this.peer));
    if (job.waiting !== undefined) void dispatch.advance(fanOut, job);
  }

  "session.inventory"({ sessions }: { sessions: SessionStatus[] }): Record<string, never> {
    if (!this.#isQuarantined) this.#services.sessions.inventory(this.#host, sessions, this.peer);
    return {};
  }

  "session.changed"({ status }: { status: SessionStatus }): void {
    if (!this.#isQuarantined) this.#services.sessions.told(this.#host, status, this.peer);
  }

  "session.gone"({ session }: { session: SessionId }): void {
    this.#services.sessions.gone(this.#host, session);
  }

  "facts.changed"({ facts }: FactsChanged): void {
    this.#services.presence.factsChanged(this.#host.id, facts);
  }

  /** One at a time: each costs a signature, and a host needs few.
   * @throws OutpostError `busy`; `invalid_argument`; `disk_full` */
  async "certificate.renew"(params: CertificateRenewParams): Promise<CertificateRenewResult> {
    if (this.#isRenewing) {
      throw new OutpostError(ErrorCode.busy, "another certificate of this host is being made");
    }
    this.#isRenewing = true;
    try {
      return await this.#services.enrolment.renew(this.#host, params);
    } finally {
      this.#isRenewing = false;
    }
  }

  /** What it says of sessions is shown to nobody until somebody approves it; it names them all when it connects again. */
  get #isQuarantined(): boolean {
    return this.#host.quarantinedSince !== undefined;
  }

  /** Gives the place among those who arrive back. */
  arrived(): void {
    this.#cancelArrival?.();
    this.#cancelArrival = undefined;
    this.#arrived?.();
    this.#arrived = undefined;
  }
}
