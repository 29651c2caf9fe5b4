/** A session on one host, as the controller knows it: what the host said last, until the host forgets it. */
import type { HostId, HostName, SessionId, SessionInfo, SessionStatus } from "@outpost/protocol";
import type { Bus, HostLink } from "./bus.ts";
import type { SessionRecord } from "./catalogue/sessions.ts";
import type { Host } from "./presence.ts";
import { cutSessionStatus } from "./cut-status.ts";
import { forgotten, gone, hasEnded, mergeAnswer } from "./session-status.ts";

export type SessionHost = Pick<Host, "id" | "name">;

const collator = new Intl.Collator("en", { numeric: true });

/** Orders the sessions of one id: `web9` before `web10`. */
export function byHostName(left: HostSession, right: HostSession): number {
  return collator.compare(left.hostName, right.hostName);
}

/** A session as operators see it. */
export function sessionInfo(bus: Bus, { id, name }: SessionHost, status: SessionStatus): SessionInfo {
  const isReachable = bus.link(id) !== undefined;
  return {
    host: name,
    status: cutSessionStatus(status),
    ...(isReachable ? {} : { unreachableSince: bus.lastSeen(id) ?? status.createdAt }),
  };
}

export class HostSession {
  readonly id: SessionId;
  readonly host: HostId;
  readonly hostName: HostName;
  /** The connection on which the host last said something of it. */
  heardOn: HostLink | undefined;
  #status: SessionStatus;
  #isGone = false;

  constructor({ host, hostName, status }: SessionRecord) {
    this.id = status.session;
    this.host = host;
    this.hostName = hostName;
    this.#status = status;
  }

  get status(): SessionStatus {
    return this.#status;
  }

  get isEnded(): boolean {
    return hasEnded(this.#status);
  }

  /** The host has forgotten it. */
  get isGone(): boolean {
    return this.#isGone;
  }

  get record(): SessionRecord {
    return { host: this.host, hostName: this.hostName, status: this.#status };
  }

  /** The host told this of its own accord. */
  told(status: SessionStatus, link: HostLink): void {
    this.heardOn = link;
    this.#status = status;
  }

  /** The host answered this to a request. */
  answered(status: SessionStatus, link: HostLink): void {
    this.heardOn = link;
    this.#status = mergeAnswer(this.#status, status);
  }

  /** The host named all of its sessions, and not this one. */
  forgotten(now: number): void {
    this.#status = forgotten(this.#status, this.hostName, now);
  }

  gone(now: number): void {
    this.#isGone = true;
    this.#status = gone(this.#status, now);
  }

  info(bus: Bus): SessionInfo {
    return sessionInfo(bus, { id: this.host, name: this.hostName }, this.#status);
  }
}
