/**
 * Which hosts there are and which of them are connected. One live connection per host: the newest replaces an older,
 * half-open one, because an agent dials again only when it has given the old one up.
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
import type { HostRecord } from "./catalogue/hosts.ts";

/** A link that presence can end. */
export interface AgentLink extends HostLink {
  abort(error: OutpostError): void;
}

export interface Host {
  readonly id: HostId;
  readonly name: HostName;
  readonly labels: Labels;
  readonly enrolledAt: number;
}

/** Plain fields: with ten thousand idle hosts every closure counts. */
interface Entry extends Host {
  facts: Facts;
  lastSeen: number | undefined;
  link: AgentLink | undefined;
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
    const entry: Entry = { ...record, link: undefined, listeners: undefined };
    this.#hosts.set(entry.id, entry);
    this.#byName.set(entry.name, entry);
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

  link(id: HostId): HostLink | undefined {
    const link = this.#hosts.get(id)?.link;
    return link?.isOpen === true ? link : undefined;
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
  connected(id: HostId, link: AgentLink, facts: Facts | undefined): void {
    const entry = this.#hosts.get(id);
    if (entry === undefined) return;
    const older = entry.link;
    entry.link = link;
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

  state(id: HostId): HostState {
    const entry = this.#hosts.get(id);
    if (entry?.link !== undefined) return "connected";
    return entry?.lastSeen === undefined ? "never" : "disconnected";
  }

  info({ id }: Host): HostInfo {
    const { name, labels, facts, enrolledAt } = this.#hosts.get(id)!;
    const state = this.state(id);
    const lastSeen = this.lastSeen(id);
    // Facts are as of the last hello; those of the enrolment would be taken for it.
    const seen = lastSeen === undefined ? {} : { facts, lastSeen };
    return { id, name, state, labels, enrolledAt, ...seen };
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
      this.#log.warn({ err: error }, "when hosts were last seen could not be recorded");
    }
  }

  #noteAlive(): void {
    this.#record(() => this.#catalogue.noteAlive(this.#clock.now()));
    this.#cancelAlive = this.#clock.after(aliveEveryMs, () => this.#noteAlive());
  }
}
