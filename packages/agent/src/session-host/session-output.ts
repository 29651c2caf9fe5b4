/** The output of one session, and who has seen what of it: what is kept, forgotten, missing, and still to be read. */
import type { Buffering, Clock, SessionGapReason } from "@outpost/protocol";
import type { Logger } from "pino";
import { OutputLog } from "./output-log.ts";
import type { OutputSource } from "./reading.ts";
import type { SeenRanges } from "./seen-ranges.ts";
import type { SessionDirectory } from "./session-directory.ts";
import type { SessionSettings } from "./settings.ts";
import { Timer } from "./timer.ts";

/** What was seen is written this long after it changed, in milliseconds: after a crash, so much may be shown again. */
const seenDelayMs = 250;

export interface SessionOutputOptions {
  readonly directory: SessionDirectory;
  readonly settings: Pick<SessionSettings, "maxUnreadBytes" | "dropOldestBytes">;
  readonly buffering: Buffering;
  readonly clock: Clock;
  readonly log: Logger;
  /** From where on a viewer still needs the output; `Infinity` when none does. */
  readonly neededFrom: () => number;
}

export class SessionOutput {
  readonly #options: SessionOutputOptions;
  readonly #log: OutputLog;
  readonly #seen: SeenRanges;
  readonly #saving: Timer;
  /** Called when there is more to read, or never will be. */
  readonly #watchers = new Set<() => void>();

  constructor(options: SessionOutputOptions) {
    const { directory, buffering, clock, log } = options;
    this.#options = options;
    this.#seen = directory.readSeen();
    this.#saving = new Timer(clock);
    this.#log = new OutputLog({
      directory: directory.output,
      limitBytes: this.#limitOf(buffering),
      onFault: (error) => log.error({ directory: directory.path }, `output is lost: ${error.message}`),
    });
  }

  /** The offset of the next byte: how many were ever written. */
  get end(): number {
    return this.#log.end;
  }

  /** How many bytes are there that nobody has seen. */
  get unread(): number {
    return this.#log.unread(this.#seen);
  }

  /** Whether the last byte was seen. */
  get endSeen(): boolean {
    return this.end === 0 || this.#seen.count(this.end - 1, this.end) === 1;
  }

  append(bytes: Uint8Array): void {
    this.#log.append(bytes);
  }

  /** As `OutputLog.read`. */
  read(offset: number, block: Uint8Array): number {
    return this.#log.read(offset, block);
  }

  /** As `OutputLog.kept`. */
  kept(offset: number): number {
    return this.#log.kept(offset);
  }

  /** Why the byte at `offset` is not there. */
  missing(offset: number): SessionGapReason {
    return this.#seen.firstUnseen(offset) > offset ? "received" : "dropped";
  }

  /** What reads it with gaps (`session.read`). */
  source(isOver: () => boolean): OutputSource {
    return { log: this.#log, seen: this.#seen, isOver, watch: (listener) => this.watch(listener) };
  }

  /** Calls back at `grown`. Returns what ends that. */
  watch(listener: () => void): () => void {
    this.#watchers.add(listener);
    return () => void this.#watchers.delete(listener);
  }

  /** Forgets what nobody needs any more, and tells readers that there is more, or never will be. */
  grown(): void {
    this.#trim();
    for (const watcher of this.#watchers) watcher();
  }

  acknowledge(from: number, to: number): void {
    this.#seen.add(from, Math.min(to, this.end));
    this.#trim();
    if (!this.#saving.isSet) this.#saving.set(seenDelayMs, () => this.save());
  }

  set buffering(buffering: Buffering) {
    this.#log.limitBytes = this.#limitOf(buffering);
    this.#trim();
  }

  /** Writes what was seen. */
  save(): void {
    this.#saving.cancel();
    const { directory, log } = this.#options;
    try {
      directory.writeSeen(this.#seen.ranges);
    } catch (error) {
      // A full disk: after a restart somebody sees again what was seen.
      log.error({ directory: directory.path }, `cannot write seen.json: ${(error as Error).message}`);
    }
  }

  /** Lets go of the files. */
  close(): void {
    if (this.#saving.isSet) this.save();
    this.#log.close();
  }

  #trim(): void {
    this.#log.trim(this.#seen, this.#options.neededFrom());
  }

  #limitOf(buffering: Buffering): number {
    const { maxUnreadBytes, dropOldestBytes } = this.#options.settings;
    return buffering === "drop-oldest" ? dropOldestBytes : maxUnreadBytes;
  }
}
