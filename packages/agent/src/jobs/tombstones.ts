/**
 * What is remembered of removed jobs: their final status, so that a start that is repeated late never runs a job twice.
 *
 * Two files of lines; the newer is appended to, and when it is full or old it becomes the older, and the older goes.
 * So what is remembered is bounded, in number and in time, and nothing is ever rewritten. In memory there is only
 * where each line is.
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { GapReason, type JobId, JobStatus } from "@outpost/protocol";
import * as v from "valibot";

const Tombstone = v.object({
  at: v.number(),
  cause: GapReason,
  status: JobStatus,
  /** Who started it, and whether the controller may read it without being asked to. */
  operator: v.optional(v.string()),
  collect: v.optional(v.boolean()),
});
export type Tombstone = v.InferOutput<typeof Tombstone>;

interface Place {
  readonly start: number;
  readonly bytes: number;
}

class Generation {
  readonly path: string;
  readonly file: number;
  readonly places = new Map<string, Place>();
  size = 0;
  newestAt = 0;

  constructor(path: string) {
    this.path = path;
    this.file = openSync(path, "a+", 0o600);
    this.#load();
  }

  append(tombstone: Tombstone): void {
    const line = Buffer.from(`${JSON.stringify(tombstone)}\n`);
    if (writeSync(this.file, line) < line.length) {
      // Half a line would spoil the next one.
      ftruncateSync(this.file, this.size);
      throw new Error("the disk is full");
    }
    this.#remember(tombstone, { start: this.size, bytes: line.length });
    this.size += line.length;
  }

  read(job: JobId): Tombstone | undefined {
    const place = this.places.get(job);
    if (place === undefined) return undefined;
    const line = Buffer.alloc(place.bytes);
    readSync(this.file, line, 0, line.length, place.start);
    return parse(line.toString());
  }

  /** The first line's time is the oldest. */
  get oldestAt(): number {
    const first = this.places.keys().next().value;
    return first === undefined ? Infinity : (this.read(first as JobId)?.at ?? 0);
  }

  #load(): void {
    const content = readFileSync(this.path);
    let start = 0;
    for (let end = content.indexOf(10); end !== -1; end = content.indexOf(10, start)) {
      const tombstone = parse(content.toString("utf8", start, end));
      if (tombstone !== undefined) this.#remember(tombstone, { start, bytes: end + 1 - start });
      start = end + 1;
    }
    this.size = fstatSync(this.file).size;
    // A crash in mid-line: end it, so that the next one begins a line.
    if (start < this.size) this.size += writeSync(this.file, "\n");
  }

  #remember({ status, at }: Tombstone, place: Place): void {
    this.places.set(status.job, place);
    this.newestAt = Math.max(this.newestAt, at);
  }
}

/**
 * So long after its end a job is remembered in any case, in milliseconds: twice as long as a start that an operator has
 * signed means something (15 minutes). Until then whoever passes it on could have the job run again.
 */
const startableMs = 30 * 60 * 1000;

/** So many times more than `maxTombstones` there may be for that: memory has an end. */
const youngFactor = 10;

export interface TombstoneLimits {
  readonly maxTombstones: number;
  readonly tombstoneAgeMs: number;
}

export class Tombstones {
  readonly #directory: string;
  readonly #limits: TombstoneLimits;
  #newer: Generation;
  #older: Generation;

  /** @throws when the files cannot be opened */
  constructor(directory: string, limits: TombstoneLimits) {
    this.#directory = directory;
    this.#limits = limits;
    this.#newer = new Generation(this.#path("newer"));
    this.#older = new Generation(this.#path("older"));
  }

  get count(): number {
    return this.#newer.places.size + this.#older.places.size;
  }

  has(job: JobId): boolean {
    return this.#newer.places.has(job) || this.#older.places.has(job);
  }

  find(job: JobId): Tombstone | undefined {
    return this.#newer.read(job) ?? this.#older.read(job);
  }

  /** On disk when it returns. @throws when the disk is full: then the job MUST NOT be removed */
  add(tombstone: Tombstone): void {
    this.#newer.append(tombstone);
    const half = this.#limits.maxTombstones / 2;
    if (this.#newer.places.size < half) return;
    const isOlderNeeded = this.#older.places.size > 0 && this.#older.newestAt > tombstone.at - startableMs;
    if (!isOlderNeeded || this.#newer.places.size >= half * youngFactor) this.#turn();
  }

  /** Forgets what is too old: a generation goes when all of it is. */
  expire(now: number): void {
    const tooOld = now - Math.max(this.#limits.tombstoneAgeMs, startableMs);
    if (this.#newer.places.size === 0 && this.#older.places.size === 0) return;
    // Half of the age each at least, so everything is kept for the whole age, and nothing for more than twice that.
    if (this.#older.newestAt < tooOld && this.#newer.oldestAt < tooOld) this.#turn();
    else if (this.#older.places.size > 0 && this.#older.newestAt < tooOld) this.#clearOlder();
  }

  close(): void {
    closeSync(this.#newer.file);
    closeSync(this.#older.file);
  }

  #path(generation: "newer" | "older"): string {
    return join(this.#directory, `tombstones-${generation}.ndjson`);
  }

  #turn(): void {
    this.close();
    renameSync(this.#path("newer"), this.#path("older"));
    this.#newer = new Generation(this.#path("newer"));
    this.#older = new Generation(this.#path("older"));
  }

  #clearOlder(): void {
    closeSync(this.#older.file);
    closeSync(openSync(this.#path("older"), "w", 0o600));
    this.#older = new Generation(this.#path("older"));
  }
}

function parse(line: string): Tombstone | undefined {
  try {
    const result = v.safeParse(Tombstone, JSON.parse(line));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}
