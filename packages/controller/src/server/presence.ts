/**
 * Which hosts there are and which of them are connected. One live connection per host: the newest replaces an older,
 * half-open one, because an agent dials again only when it has given the old one up.
 *
 *     add ──▶ (quarantine ──approve──▶) known ──remove──▶ gone: its connection ends, and its name is free
 */
import { isDeepStrictEqual } from "node:util";
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
import { sorted } from "@outpost/protocol/targets";
import type { Logger } from "pino";
import type { Bus, HostLink } from "./bus.ts";
import type { Catalogue } from "./catalogue/catalogue.ts";
import type { CertificateRecord, HostRecord } from "./catalogue/hosts.ts";
import { KeptFacts } from "./kept-facts.ts";
import { noObserver, type Observer } from "./observer.ts";

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
  /** What it says of itself: as of its last hello, or when it said something else; before the first, of its enrolment. */
  readonly facts: Facts;
}

/** Plain fields: with ten thousand idle hosts every closure counts. */
interface Entry extends Host {
  quarantinedSince: number | undefined;
  certificate: CertificateRecord | undefined;
  facts: Facts;
  lastSeen: number | undefined;
  link: AgentLink | undefined;
  /** The protocol version of that link, or of the last one; 0 before the first of this process. */
  version: number;
  listeners: Set<() => void> | undefined;
}

/** How often the controller notes that it is alive, in milliseconds; `lastSeen` after a crash is that exact. */
const aliveEveryMs = 10_000;

/** How long facts that changed may wait until they count, in milliseconds: a host that says new ones without end costs as
 * little as one that does so once. */
const factsBehindMs = 1_000;

export class Presence implements Bus, Disposable {
  readonly #catalogue: Catalogue;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #observer: Observer;
  readonly #hosts = new Map<HostId, Entry>();
  readonly #byName = new Map<HostName, Entry>();
  readonly #keptFacts = new KeptFacts();
  /** What hosts have said of themselves and does not count yet. */
  readonly #newFacts = new Map<HostId, Facts>();
  #cancelFacts: (() => void) | undefined;
  /** All of them by name, until one comes or goes. */
  #sorted: readonly Host[] | undefined;
  #cancelAlive = (): void => {};

  constructor(catalogue: Catalogue, clock: Clock, log: Logger, observer: Observer = noObserver) {
    this.#catalogue = catalogue;
    this.#clock = clock;
    this.#log = log;
    this.#observer = observer;
    const { aliveAt } = catalogue;
    if (aliveAt !== undefined) catalogue.transaction("unsynced", () => catalogue.hosts.settle(aliveAt));
    for (const record of catalogue.hosts.all()) this.add(record);
    this.#noteAlive();
  }

  /** A host has enrolled. */
  add(record: HostRecord): void {
    const facts = this.#keptFacts.keep(record.facts);
    const entry: Entry = { ...record, facts, link: undefined, version: 0, listeners: undefined };
    this.#sorted = undefined;
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
    this.#sorted = undefined;
    this.#newFacts.delete(id);
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

  /** By name. */
  sortedHosts(): readonly Host[] {
    this.#sorted ??= sorted(this.#hosts.values());
    return this.#sorted;
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

  hasConnected(id: HostId): boolean {
    return (this.#hosts.get(id)?.version ?? 0) > 0;
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
    if (facts !== undefined) {
      this.#newFacts.delete(id);
      entry.facts = this.#keptFacts.keep(facts);
    }
    this.#record(() => this.#catalogue.hosts.connected(id, entry.lastSeen!, entry.facts));
    this.#observer.presence("connected");
    older?.abort(
      new OutpostError(ErrorCode.disconnected, "a newer connection of this host has replaced this one"),
    );
    this.#changed(entry);
  }

  /** The host has told others. They count in a second, and what it has told last. */
  factsChanged(id: HostId, facts: Facts): void {
    if (!this.#hosts.has(id)) return;
    this.#newFacts.set(id, facts);
    this.#cancelFacts ??= this.#clock.after(factsBehindMs, () => this.#takeFacts());
  }

  /** That connection has ended. Says nothing when a newer one has taken its place. */
  disconnected(id: HostId, link: AgentLink): void {
    const entry = this.#hosts.get(id);
    if (entry === undefined || entry.link !== link) return;
    entry.link = undefined;
    entry.lastSeen = this.#clock.now();
    this.#record(() => this.#catalogue.hosts.disconnected(id, entry.lastSeen!));
    this.#observer.presence("disconnected");
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
    this.#cancelFacts?.();
    this.#takeFacts();
  }

  #takeFacts(): void {
    this.#cancelFacts = undefined;
    if (this.#newFacts.size === 0) return;
    const changed = [...this.#newFacts].flatMap(([id, told]) => {
      const entry = this.#hosts.get(id);
      const facts = this.#keptFacts.keep(told);
      if (entry === undefined || isDeepStrictEqual(facts, entry.facts)) return [];
      entry.facts = facts;
      return [{ id, facts }];
    });
    this.#newFacts.clear();
    if (changed.length === 0) return;
    this.#record(() => {
      for (const { id, facts } of changed) this.#catalogue.hosts.facts(id, facts);
    });
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
