/**
 * Which hosts there are and which of them are connected. One live connection per host: the newest replaces an older,
 * half-open one, because an agent dials again only when it has given the old one up.
 *
 *     add ──▶ (quarantine ──approve──▶) known ──remove──▶ gone: its connection ends, and its name is free
 */
import {
  type Clock,
  ErrorCode,
  type Facts,
  type HostId,
  type HostInfo,
  type HostName,
  type HostState,
  type Labels,
  OutpostError,
} from "@outpost/protocol";
import type { Logger } from "pino";
import type { Bus, HostLink } from "./bus.ts";
import type { Catalogue } from "./catalogue/catalogue.ts";
import type { CertificateRecord, HostRecord } from "./catalogue/hosts.ts";

/** A link that presence can end, and tell something. */
export interface AgentLink extends HostLink {
  abort(error: OutpostError): void;
  notify(method: "certificate.outdated", params: Record<string, never>): void;
}

export interface Host {
  readonly id: HostId;
  readonly name: HostName;
  readonly labels: Labels;
  readonly enrolledAt: number;
  /** Since when it waits for somebody to approve it; nothing runs there until then. */
  readonly quarantinedSince: number | undefined;
  /** Of the last certificate that was issued to it or that it has shown. */
  readonly certificate: CertificateRecord | undefined;
}

/** Plain fields: with ten thousand idle hosts every closure counts. */
interface Entry extends Host {
  quarantinedSince: number | undefined;
  certificate: CertificateRecord | undefined;
  facts: Facts;
  lastSeen: number | undefined;
  link: AgentLink | undefined;
  /** The protocol version of that link. */
  version: number;
  listeners: Set<() => void> | undefined;
}

/** How often the controller notes that it is alive, in milliseconds; `lastSeen` after a crash is that exact. */
const aliveEveryMs = 10_000;

export class Presence implements Bus, Disposable {
  readonly #catalogue: Catalogue;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #hosts = new Map<HostId, Entry>();
  readonly #byName = new Map<HostName, Entry>();
  #cancelAlive = (): void => {};

  constructor(catalogue: Catalogue, clock: Clock, log: Logger) {
    this.#catalogue = catalogue;
    this.#clock = clock;
    this.#log = log;
    const { aliveAt } = catalogue;
    if (aliveAt !== undefined) catalogue.transaction("unsynced", () => catalogue.hosts.settle(aliveAt));
    for (const record of catalogue.hosts.all()) this.add(record);
    this.#noteAlive();
  }

  /** A host has enrolled. */
  add(record: HostRecord): void {
    const entry: Entry = { ...record, link: undefined, version: 0, listeners: undefined };
    this.#hosts.set(entry.id, entry);
    this.#byName.set(entry.name, entry);
  }

  /** An operator lets it out of quarantine. @throws OutpostError `disk_full` */
  approve(id: HostId): void {
    const entry = this.#hosts.get(id);
    if (entry?.quarantinedSince === undefined) return;
    this.#catalogue.transaction("synced", () => this.#catalogue.hosts.approve(id));
    entry.quarantinedSince = undefined;
    this.#changed(entry);
  }

  /** It is revoked: no connection of it is let in from now on, the one that it has ends, and its name is free.
   * @throws OutpostError `disk_full` */
  remove(id: HostId, by: string): void {
    const entry = this.#hosts.get(id);
    if (entry === undefined) return;
    const { name, link } = entry;
    const removedAt = this.#clock.now();
    this.#catalogue.transaction("synced", () => {
      this.#catalogue.removals.insert({ id, kind: "host", name, removedAt, removedBy: by });
      this.#catalogue.hosts.delete(id);
    });
    this.#hosts.delete(id);
    this.#byName.delete(name);
    entry.link = undefined;
    link?.abort(new OutpostError(ErrorCode.denied, `the host ${name} was removed by ${by}`));
    this.#changed(entry);
  }

  /** A certificate was issued to it, or it has come with one. */
  certified(id: HostId, certificate: CertificateRecord): void {
    const entry = this.#hosts.get(id);
    const before = entry?.certificate;
    if (entry === undefined) return;
    if (before?.authority === certificate.authority && before.expiresAt === certificate.expiresAt) return;
    entry.certificate = certificate;
    this.#record(() => this.#catalogue.hosts.certified(id, certificate));
  }

  host(id: HostId): Host | undefined {
    return this.#hosts.get(id);
  }

  hostNamed(name: HostName): Host | undefined {
    return this.#byName.get(name);
  }

  hosts(): Iterable<Host> {
    return this.#hosts.values();
  }

  has(id: HostId): boolean {
    return this.#hosts.has(id);
  }

  link(id: HostId): AgentLink | undefined {
    const link = this.#hosts.get(id)?.link;
    return link?.isOpen === true ? link : undefined;
  }

  version(id: HostId): number | undefined {
    return this.link(id) === undefined ? undefined : this.#hosts.get(id)!.version;
  }

  lastSeen(id: HostId): number | undefined {
    const entry = this.#hosts.get(id);
    return entry?.link === undefined ? entry?.lastSeen : this.#clock.now();
  }

  watch(id: HostId, listener: () => void): () => void {
    const entry = this.#hosts.get(id);
    if (entry === undefined) return () => {};
    entry.listeners ??= new Set();
    entry.listeners.add(listener);
    return () => {
      entry.listeners?.delete(listener);
      if (entry.listeners?.size === 0) entry.listeners = undefined;
    };
  }

  /** The agent of a host has said hello. */
  connected(id: HostId, link: AgentLink, version: number, facts: Facts | undefined): void {
    const entry = this.#hosts.get(id);
    if (entry === undefined) return;
    const older = entry.link;
    entry.link = link;
    entry.version = version;
    entry.lastSeen = this.#clock.now();
    if (facts !== undefined) entry.facts = facts;
    this.#record(() => this.#catalogue.hosts.connected(id, entry.lastSeen!, entry.facts));
    older?.abort(
      new OutpostError(ErrorCode.disconnected, "a newer connection of this host has replaced this one"),
    );
    this.#changed(entry);
  }

  /** That connection has ended. Says nothing when a newer one has taken its place. */
  disconnected(id: HostId, link: AgentLink): void {
    const entry = this.#hosts.get(id);
    if (entry === undefined || entry.link !== link) return;
    entry.link = undefined;
    entry.lastSeen = this.#clock.now();
    this.#record(() => this.#catalogue.hosts.disconnected(id, entry.lastSeen!));
    this.#changed(entry);
  }

  /** Ends the connection of a host, which may come again. */
  cut(id: HostId, error: OutpostError): void {
    this.#hosts.get(id)?.link?.abort(error);
  }

  /** Ends the connections of hosts whose certificate has ended and that have not fetched another. */
  endExpired(now: number): void {
    for (const { name, link, certificate } of this.#hosts.values()) {
      if (link === undefined || certificate === undefined || certificate.expiresAt > now) continue;
      const since = new Date(certificate.expiresAt).toISOString();
      this.#log.warn({ host: name, since }, "an agent's certificate has expired without being renewed");
      link.abort(new OutpostError(ErrorCode.denied, `the certificate of ${name} has expired at ${since}`));
    }
  }

  state(id: HostId): HostState {
    const entry = this.#hosts.get(id);
    if (entry?.link !== undefined) return "connected";
    return entry?.lastSeen === undefined ? "never" : "disconnected";
  }

  info({ id }: Host): HostInfo {
    const { name, labels, facts, enrolledAt, quarantinedSince, certificate } = this.#hosts.get(id)!;
    const state = this.state(id);
    const lastSeen = this.lastSeen(id);
    return {
      id,
      name,
      state,
      labels,
      enrolledAt,
      // Facts are as of the last hello; those of the enrolment would be taken for it.
      ...(lastSeen === undefined ? {} : { facts, lastSeen }),
      ...(quarantinedSince === undefined ? {} : { quarantinedSince }),
      ...(certificate === undefined ? {} : { certificateExpiresAt: certificate.expiresAt }),
    };
  }

  /** Stops noting. Call it when all connections have ended, so that their last moments are recorded. */
  [Symbol.dispose](): void {
    this.#cancelAlive();
  }

  #changed(entry: Entry): void {
    for (const listener of entry.listeners ?? []) listener();
  }

  /** A full disk MUST NOT end connections: who is connected is known here, and what is lost is a time in a list. */
  #record(work: () => void): void {
    try {
      this.#catalogue.transaction("unsynced", work);
    } catch (error) {
      this.#log.warn({ err: error }, "what is known of a host could not be recorded");
    }
  }

  #noteAlive(): void {
    this.#record(() => this.#catalogue.noteAlive(this.#clock.now()));
    this.#cancelAlive = this.#clock.after(aliveEveryMs, () => this.#noteAlive());
  }
}
