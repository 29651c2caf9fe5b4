/**
 * All sessions of all hosts, as the hosts said last. The hosts own them: whatever is told here is taken over, written
 * behind, and passed to the listeners. After a restart what the catalogue holds stands until a host says more.
 *
 *     the controller knows …   the host names it        the host, naming all that it holds, does not
 *     nothing                  take its word            –
 *     a live session           take its word            broken: forgotten
 *     an ended session         take its word            it is dropped
 */
import type { Clock, HostId, SessionId, SessionStatus } from "@outpost/protocol";
import type { Logger } from "pino";
import type { Bus, HostLink } from "./bus.ts";
import type { Catalogue } from "./catalogue/catalogue.ts";
import { cutSessionStatus } from "./cut-status.ts";
import { byHostName, HostSession, type SessionHost } from "./session.ts";
import type { ControllerSettings } from "./settings.ts";

export interface SessionsOptions {
  readonly catalogue: Catalogue;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly settings: ControllerSettings;
  readonly log: Logger;
}

/** How many sessions that went lately are remembered, so that an answer which comes late does not bring one back. */
const maxGone = 1_000;

/** How many sessions of one host are known: more than a host keeps (100 live ones, 1,000 ended), and no more than we can hold. */
const maxPerHost = 5_000;

/** After a write that failed, as with a full disk, in milliseconds. */
const retryWriteMs = 1_000;

export class Sessions implements Disposable {
  readonly #options: SessionsOptions;
  readonly #byId = new Map<SessionId, Map<HostId, HostSession>>();
  readonly #byHost = new Map<HostId, Map<SessionId, HostSession>>();
  /** Those that went lately, with who had opened each. */
  readonly #gone = new Map<string, string | undefined>();
  readonly #dirty = new Set<HostSession>();
  readonly #listeners = new Set<(session: HostSession) => void>();
  #cancelFlush: (() => void) | undefined;

  constructor(options: SessionsOptions) {
    this.#options = options;
    for (const record of options.catalogue.sessions.all()) this.#add(new HostSession(record));
  }

  *all(): Generator<HostSession> {
    for (const sessions of this.#byId.values()) yield* sessions.values();
  }

  /** The sessions that were opened together under this id, by host name; empty when nobody knows it. */
  of(id: SessionId): HostSession[] {
    return [...(this.#byId.get(id)?.values() ?? [])].sort(byHostName);
  }

  on(host: HostId): HostSession[] {
    return [...(this.#byHost.get(host)?.values() ?? [])];
  }

  find(id: SessionId, host: HostId): HostSession | undefined {
    return this.#byId.get(id)?.get(host);
  }

  /** Who opened a session, by name; of one that went a moment ago, too, so that removing it twice is removing it once. */
  ownerOf(id: SessionId, host: HostId): string | undefined {
    return this.find(id, host)?.status.operator ?? this.#gone.get(key(host, id));
  }

  /** Calls back after each change of any session. Returns what takes the listener away. */
  onChanged(listener: (session: HostSession) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** A host tells how a session stands. */
  told(host: SessionHost, said: SessionStatus, link: HostLink): void {
    const status = cutSessionStatus(said);
    this.#gone.delete(key(host.id, status.session));
    const session = this.find(status.session, host.id) ?? this.#make(host, status);
    if (session === undefined) return;
    session.told(status, link);
    this.#changed(session);
  }

  /** A host has answered how a session stands. Does nothing when the host has forgotten the session meanwhile. */
  answered(host: SessionHost, said: SessionStatus, link: HostLink): void {
    const status = cutSessionStatus(said);
    if (this.#gone.has(key(host.id, status.session))) return;
    const session = this.find(status.session, host.id) ?? this.#make(host, status);
    if (session === undefined) return;
    session.answered(status, link);
    this.#changed(session);
  }

  /** A host has forgotten a session. */
  gone(host: Pick<SessionHost, "id">, id: SessionId): void {
    this.#gone.set(key(host.id, id), this.ownerOf(id, host.id));
    if (this.#gone.size > maxGone) this.#gone.delete(this.#gone.keys().next().value!);
    const session = this.find(id, host.id);
    if (session !== undefined) this.#drop(session);
  }

  /** A host names all sessions that it holds: when it connects, and whenever it has learnt them anew. It sends the list as
   * it is at that moment, behind everything that it told before. */
  inventory(host: SessionHost, statuses: readonly SessionStatus[], link: HostLink): void {
    const named = new Set(statuses.map(({ session }) => session));
    for (const session of this.on(host.id)) {
      if (named.has(session.id)) continue;
      if (session.isEnded) this.#drop(session);
      else {
        session.forgotten(this.#options.clock.now());
        this.#changed(session);
      }
    }
    for (const status of statuses) this.told(host, status, link);
  }

  /** Forgets what ended before `time` on hosts that are not there to be asked. */
  purge(time: number): void {
    for (const session of this.all()) {
      const { endedAt = Infinity } = session.status;
      const isOld = session.isEnded && endedAt < time;
      if (isOld && this.#options.bus.link(session.host) === undefined) this.#drop(session);
    }
  }

  /** Writes what waits, now. @throws OutpostError `disk_full`; it then still waits */
  flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    if (this.#dirty.size === 0) return;
    const { catalogue, clock } = this.#options;
    // Unsynced: what a power cut takes, the hosts' inventories bring back.
    catalogue.transaction("unsynced", () => {
      for (const session of this.#dirty) {
        if (session.isGone) catalogue.sessions.delete(session.id, session.host);
        else catalogue.sessions.put(session.record, clock.now());
      }
    });
    this.#dirty.clear();
  }

  [Symbol.dispose](): void {
    this.flush();
  }

  /** `undefined` when the host has too many. */
  #make({ id, name }: SessionHost, status: SessionStatus): HostSession | undefined {
    const known = this.#byHost.get(id)?.size ?? 0;
    if (known >= maxPerHost) return undefined;
    if (known === maxPerHost - 1)
      this.#options.log.error({ host: name }, "a host tells of too many sessions; no more are listed");
    const session = new HostSession({ host: id, hostName: name, status });
    this.#add(session);
    // Whoever opened it may ask for it by name in a moment, of the controller that follows us.
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    this.#schedule(0);
    return session;
  }

  #add(session: HostSession): void {
    nested(this.#byId, session.id).set(session.host, session);
    nested(this.#byHost, session.host).set(session.id, session);
  }

  #drop(session: HostSession): void {
    removeNested(this.#byId, session.id, session.host);
    removeNested(this.#byHost, session.host, session.id);
    session.gone(this.#options.clock.now());
    this.#changed(session);
  }

  #changed(session: HostSession): void {
    this.#dirty.add(session);
    this.#schedule();
    for (const listener of this.#listeners) listener(session);
  }

  #schedule(delayMs = this.#options.settings.sessionWriteBehindMs): void {
    const { clock, log } = this.#options;
    this.#cancelFlush ??= clock.after(delayMs, () => {
      this.#cancelFlush = undefined;
      try {
        this.flush();
      } catch (error) {
        log.error({ err: error }, "sessions could not be written to the catalogue; trying again");
        this.#schedule(retryWriteMs);
      }
    });
  }
}

function key(host: HostId, id: SessionId): string {
  return `${host} ${id}`;
}

function nested<K, L, V>(map: Map<K, Map<L, V>>, outer: K): Map<L, V> {
  const inner = map.get(outer) ?? new Map<L, V>();
  map.set(outer, inner);
  return inner;
}

function removeNested<K, L, V>(map: Map<K, Map<L, V>>, outer: K, inner: L): void {
  const found = map.get(outer);
  found?.delete(inner);
  if (found?.size === 0) map.delete(outer);
}
