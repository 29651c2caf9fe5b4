/**
 * All fan-out jobs: the unfinished ones in memory, the others in the catalogue and read when somebody asks. Every
 * change of a job goes through `note`, which writes it behind and tells the listeners.
 */
import {
  type Clock,
  ErrorCode,
  type FanOutInfo,
  type FanOutListParams,
  type FanOutState,
  JobId,
  type JobState,
  OutpostError,
} from "@outpost/protocol";
import type { Logger } from "pino";
import * as v from "valibot";
import type { Bus } from "./bus.ts";
import type { Catalogue } from "./catalogue/catalogue.ts";
import type { FanOutRecord, JobRecord } from "./catalogue/fan-outs.ts";
import { deriveState } from "./fan-out-state.ts";
import { FanOut, fanOutInfo, ownerOf } from "./fan-out.ts";
import { Job } from "./job.ts";
import { noObserver, type Observer } from "./observer.ts";
import type { ControllerSettings } from "./settings.ts";
import { sumOfBytes } from "./sum-of-bytes.ts";

export interface FanOutsOptions {
  readonly catalogue: Catalogue;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly settings: ControllerSettings;
  readonly log: Logger;
  /** Told once of each fan-out job that is forgotten for good, so that its files can go. */
  readonly forgotten: (id: JobId) => void;
  /** Told of each fan-out job when all of its jobs have ended. After a crash it may be told again. */
  readonly ended: (fanOut: FanOut) => void;
  /** Default: nobody. */
  readonly observer?: Observer;
}

/** A fan-out job that is to be recorded. */
export interface NewFanOut {
  readonly record: FanOutRecord;
  readonly jobs: readonly JobRecord[];
}

/** What decides who may see a fan-out job. */
export interface FanOutHosts {
  readonly owner: string | undefined;
  /** Once. There may be thousands, and the first that is not to be seen says enough. */
  readonly hosts: Iterable<Pick<JobRecord, "host" | "hostName">>;
}

const defaultNewest = 100;

/** How many of those that a name or the beginning of an id fits are looked at, and how many are named. */
const maxFitting = 100;
const maxNamed = 5;

/** After a write that failed, as with a full disk, in milliseconds. */
const retryWriteMs = 1_000;

/** The longest that changes wait because there are many, in milliseconds. */
const mostWriteBehindMs = 1_000;

export class FanOuts implements Disposable {
  readonly #options: FanOutsOptions;
  readonly #observer: Observer;
  readonly #unfinished = new Map<JobId, FanOut>();
  /** Finished ones that somebody still uses: there MUST be one object per fan-out job. */
  readonly #finished = new Map<JobId, WeakRef<FanOut>>();
  readonly #dirtyJobs = new Map<Job, FanOut>();
  readonly #dirty = new Set<FanOut>();
  #cancelFlush: (() => void) | undefined;
  /** How long the last write took: with ten thousand hosts a good part of a second. */
  #writingMs = 0;

  constructor(options: FanOutsOptions) {
    this.#options = options;
    this.#observer = options.observer ?? noObserver;
    for (const record of options.catalogue.fanOuts.unfinished()) {
      this.#unfinished.set(record.id, this.#load(record));
    }
  }

  /** How many changes wait to be written to the catalogue. */
  get unwritten(): number {
    return this.#dirtyJobs.size + this.#dirty.size;
  }

  /** Those for which something is left to do, the removed ones included. */
  unfinished(): Iterable<FanOut> {
    return this.#unfinished.values();
  }

  /** Records a new fan-out job before anything of it is sent. @throws OutpostError `disk_full` */
  create(
    record: FanOutRecord,
    jobs: readonly JobRecord[],
    durability: "synced" | "unsynced" = "synced",
  ): FanOut {
    const { catalogue } = this.#options;
    catalogue.transaction(durability, () => catalogue.fanOuts.insert(record, jobs));
    return this.#add(record, jobs);
  }

  /** The same for two that belong together: both are recorded, or none. @throws OutpostError `disk_full` */
  createBoth(...both: readonly [NewFanOut, NewFanOut]): [FanOut, FanOut] {
    const { catalogue } = this.#options;
    catalogue.transaction("synced", () => {
      for (const { record, jobs } of both) catalogue.fanOuts.insert(record, jobs);
    });
    return [this.#add(both[0].record, both[0].jobs), this.#add(both[1].record, both[1].jobs)];
  }

  #add(record: FanOutRecord, jobs: readonly JobRecord[]): FanOut {
    const fanOut = new FanOut(
      record,
      jobs.map((job) => new Job(job, record.mode)),
    );
    this.#unfinished.set(fanOut.id, fanOut);
    // Of what was asked for here, and not on the host itself.
    if (record.request !== undefined) this.#observer.fanOutBegun(fanOut);
    for (const { isEnded, status } of fanOut.jobs) if (isEnded) this.#observer.jobEnded(status.state);
    // No host could be reached: it has ended before it began.
    if (fanOut.isEnded) this.#ended(fanOut);
    return fanOut;
  }

  /** The fan-out job of that id, whether removed or not. */
  find(id: JobId): FanOut | undefined {
    const found = this.#unfinished.get(id) ?? this.#finished.get(id)?.deref();
    if (found !== undefined) return found;
    const record = this.#options.catalogue.fanOuts.byId(id);
    if (record === undefined) return undefined;
    const fanOut = this.#load(record);
    this.#keepWhileUsed(fanOut);
    return fanOut;
  }

  /** @throws OutpostError `not_found` */
  get(id: JobId): FanOut {
    const fanOut = this.find(id);
    if (fanOut === undefined || fanOut.isRemoved) throw notFound(id);
    return fanOut;
  }

  /**
   * @param text an id, the beginning of one, or a name
   * @param mayRead what the asker may see; where several fit, only these count
   * @throws OutpostError `not_found`, `conflict` when several fit
   */
  resolve(text: string, mayRead: (fanOut: FanOutHosts) => boolean): FanOut {
    const { fanOuts } = this.#options.catalogue;
    const id = v.safeParse(JobId, text);
    if (id.success) {
      const fanOut = this.find(id.output);
      if (fanOut !== undefined && !fanOut.isRemoved) return fanOut;
    }
    const named = fanOuts.idsByName(text, maxFitting);
    const fitting = named.length > 0 ? named : fanOuts.idsByPrefix(text, maxFitting);
    if (fitting.length === 0) throw notFound(text);
    const readable = fitting.filter((found) =>
      mayRead(this.hostsOf(this.#options.catalogue.fanOuts.byId(found)!)),
    );
    // A name that only others' jobs have is refused with the reason. The beginning of an id is not: so all ids could be had.
    if (readable.length === 0 && named.length === 0) throw notFound(text);
    const ids = readable.length > 0 ? readable : fitting.slice(0, 1);
    if (ids.length > 1) {
      const some = ids.slice(0, maxNamed).join(", ");
      throw new OutpostError(
        ErrorCode.conflict,
        `${text} fits several jobs (${some}${ids.length > maxNamed ? ", …" : ""}); give a whole id`,
        { data: { jobs: ids.slice(0, maxNamed) } },
      );
    }
    return this.get(ids[0]!);
  }

  /** Where the jobs of a fan-out job run, and whose they are, without loading it. */
  hostsOf(record: FanOutRecord): FanOutHosts {
    return { owner: ownerOf(record), hosts: this.#options.catalogue.fanOuts.hosts(record.id) };
  }

  /** The newest first, of those that the asker may see. */
  list(filter: FanOutListParams, mayRead: (fanOut: FanOutHosts) => boolean): FanOutInfo[] {
    const { newest = defaultNewest, states, unread, ...rest } = filter;
    const found: FanOutInfo[] = [];
    for (const record of this.#options.catalogue.fanOuts.list(rest)) {
      if (!mayRead(this.hostsOf(record))) continue;
      const info = this.#info(record);
      if (states !== undefined && !states.includes(info.state)) continue;
      if (unread !== undefined && unread !== info.unreadBytes > 0) continue;
      found.push(info);
      if (found.length >= newest) break;
    }
    return found;
  }

  /** `job` has changed: it is written behind, and, if an operator would see the difference, told. */
  note(fanOut: FanOut, job: Job, isVisible: boolean): void {
    this.#dirtyJobs.set(job, fanOut);
    if (job.endsNow) this.#observer.jobEnded(job.status.state);
    fanOut.dropSecrets();
    if (fanOut.record.endedAt === undefined && fanOut.isEnded) this.#ended(fanOut);
    this.#schedule();
    if (isVisible) fanOut.changed(job);
  }

  /** The fan-out job itself has changed. */
  noteRecord(fanOut: FanOut): void {
    this.#dirty.add(fanOut);
    this.#schedule();
  }

  /** Writes what waits, now. @throws OutpostError `disk_full`; it then still waits */
  flush(durability: "synced" | "unsynced" = "unsynced"): void {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    if (this.#dirtyJobs.size === 0 && this.#dirty.size === 0) return;
    const { clock } = this.#options;
    const begunMs = clock.monotonicMs();
    const { fanOuts } = this.#options.catalogue;
    const touched = new Set([...this.#dirty, ...this.#dirtyJobs.values()]);
    // Once per batch and not at each change: it looks at every job.
    for (const fanOut of touched) {
      if (fanOut.isFinished === this.#unfinished.has(fanOut.id)) this.#dirty.add(fanOut);
    }
    this.#options.catalogue.transaction(durability, () => {
      for (const job of this.#dirtyJobs.keys()) fanOuts.updateJob(job.record);
      for (const fanOut of this.#dirty) fanOuts.update(fanOut.record, fanOut.isFinished);
    });
    this.#dirtyJobs.clear();
    this.#dirty.clear();
    for (const fanOut of touched) this.#place(fanOut);
    this.#writingMs = clock.monotonicMs() - begunMs;
  }

  /** The jobs of this host that are unfinished, or that it may still hold. */
  *on(host: Pick<JobRecord, "host" | "hostName">): Generator<[FanOut, Job]> {
    const held = this.#options.catalogue.fanOuts.heldBy(host.host).map((id) => this.find(id));
    for (const fanOut of new Set([...this.#unfinished.values(), ...held])) {
      const job = fanOut?.job(host.hostName);
      if (fanOut !== undefined && job?.host === host.host) yield [fanOut, job];
    }
  }

  /** Forgets what ended before `time`, and what the oldest of the others ran when that is too much together. */
  purge(time: number): void {
    const { catalogue, settings } = this.#options;
    for (const id of catalogue.fanOuts.endedBefore(time)) this.#forget(id);
    catalogue.transaction("unsynced", () => catalogue.fanOuts.forgetSpecs(settings.maxKeptSpecsBytes));
  }

  [Symbol.dispose](): void {
    this.flush("synced");
  }

  #load(record: FanOutRecord): FanOut {
    const jobs = this.#options.catalogue.fanOuts.jobs(record.id);
    return new FanOut(
      record,
      jobs.map((job) => new Job(job, record.mode)),
    );
  }

  #info(record: FanOutRecord): FanOutInfo {
    const { bus, catalogue } = this.#options;
    const inMemory = this.#unfinished.get(record.id) ?? this.#finished.get(record.id)?.deref();
    if (inMemory !== undefined) return inMemory.info(bus);
    const counts: Partial<Record<JobState, number>> = {};
    let unread = 0;
    for (const count of catalogue.fanOuts.counts(record.id)) {
      counts[count.state] = count.jobs;
      unread = sumOfBytes([unread, count.unread]);
    }
    // What is not in memory has ended.
    const state: FanOutState = deriveState(
      (Object.keys(counts) as JobState[]).map((name) => ({ state: name, isReachable: true })),
    );
    return fanOutInfo(record, state, counts, unread);
  }

  #ended(fanOut: FanOut): void {
    const now = this.#options.clock.now();
    const last = fanOut.jobs.reduce((time, job) => Math.max(time, job.status.endedAt ?? 0), 0);
    // By the hosts' clocks; what ended in our future would never be old enough to be forgotten.
    fanOut.ended(last === 0 ? now : Math.min(last, now));
    this.noteRecord(fanOut);
    this.#options.ended(fanOut);
  }

  /** After it was written: in memory while something is left to do (again: a stop, a forgotten job that comes back),
   * else out of it; and out of the catalogue if it was removed. */
  #place(fanOut: FanOut): void {
    if (!fanOut.isFinished) {
      this.#unfinished.set(fanOut.id, fanOut);
      return;
    }
    this.#unfinished.delete(fanOut.id);
    if (fanOut.isRemoved) this.#forget(fanOut.id);
    else this.#keepWhileUsed(fanOut);
  }

  #keepWhileUsed(fanOut: FanOut): void {
    this.#finished.set(fanOut.id, new WeakRef(fanOut));
    // Now and then, those that nobody uses any more.
    if (this.#finished.size % 100 !== 0) return;
    for (const [id, reference] of this.#finished) {
      if (reference.deref() === undefined) this.#finished.delete(id);
    }
  }

  #forget(id: JobId): void {
    const { catalogue, forgotten } = this.#options;
    catalogue.transaction("unsynced", () => catalogue.fanOuts.delete(id));
    this.#finished.delete(id);
    forgotten(id);
  }

  /** What is written is written as a whole, and others wait meanwhile: so it takes a tenth of the time at most. */
  get #writeBehindMs(): number {
    return Math.max(this.#options.settings.writeBehindMs, Math.min(mostWriteBehindMs, this.#writingMs * 9));
  }

  #schedule(delayMs = this.#writeBehindMs): void {
    this.#cancelFlush ??= this.#options.clock.after(delayMs, () => {
      this.#cancelFlush = undefined;
      try {
        this.flush();
      } catch (error) {
        this.#options.log.error(
          { err: error },
          "state changes could not be written to the catalogue; trying again",
        );
        this.#schedule(retryWriteMs);
      }
    });
  }
}

function notFound(text: string): OutpostError {
  return new OutpostError(
    ErrorCode.notFound,
    `there is no job ${text}; \`outpost job list\` shows the jobs`,
    { data: { job: text } },
  );
}
