/**
 * One job, as this process knows it. It holds numbers and states only, never output.
 *
 *     pending ──started──▶ running ──end──▶ completed | failed | stopped | lost ──forget──▶ (removed)
 *        └──────────────end───────────────────────────▲
 *
 * While `running`, `exit` may be known already: the main process has ended, and others of its group still hold the
 * output open. A final state never changes; `removed` says that the output is gone.
 */
import type {
  EndReason,
  Exit,
  GapReason,
  JobId,
  JobOrigin,
  JobState,
  JobStatus,
  Positions,
} from "@outpost/protocol";
import type { EndRecord } from "./job-directory.ts";

/** What of a job is on disk only after a while, so that short jobs that are received at once cost no more files. */
export interface Unwritten {
  /** The timeline as far as it is in memory only, when all of it is. */
  timeline(): Uint8Array | undefined;
  /** Writes everything to disk. Does not throw: what cannot be written is tried again later. */
  flush(): void;
}

/** Who asked for a job, as far as that is on record. */
export interface Asker {
  /** The operator by name, or `user@host`. */
  readonly operator?: string | undefined;
  /** The controller may read it without being asked to. */
  readonly collect?: boolean | undefined;
  /** The sequence number of the request in the audit log. */
  readonly request?: number | undefined;
}

export interface Extents {
  stdout: number;
  stderr: number;
}

export class Job {
  readonly id: JobId;
  /** Set for a job that was started on this host, and not by an operator. */
  readonly origin: JobOrigin | undefined;
  readonly asker: Asker;
  /** The configuration that it runs under, as far as it is known: of one that has ended it is not. */
  readonly configuration: string | undefined;
  readonly written: Extents = { stdout: 0, stderr: 0 };
  readonly received: Extents = { stdout: 0, stderr: 0 };
  /** Size of the timeline in bytes, what is not yet on disk included. */
  timelineBytes = 0;
  /** Size of the streamed or inline input, in bytes. */
  inputBytes = 0;
  unwritten: Unwritten | undefined;
  /** How often it was run so far, of one that is retried. */
  attempts: number | undefined;
  #state: JobState = "pending";
  #startedAt: number | undefined;
  #endedAt: number | undefined;
  #settledAt = 0;
  #exit: Exit | undefined;
  #reason: EndReason | undefined;
  #removed: GapReason | undefined;
  /** Told when output grew or the state changed. */
  readonly #watchers = new Set<() => void>();

  /** @param asker may be a whole request, of which nothing else is kept */
  constructor(
    id: JobId,
    origin?: JobOrigin,
    { operator, collect, request }: Asker = {},
    configuration?: string,
  ) {
    this.id = id;
    this.origin = origin;
    this.asker = { operator, collect, request };
    this.configuration = configuration;
  }

  get ended(): boolean {
    return this.#state !== "pending" && this.#state !== "running";
  }

  get startedAt(): number | undefined {
    return this.#startedAt;
  }

  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** When it was concluded that the job is over, in milliseconds since 1970; 0 while it is not. */
  get settledAt(): number {
    return this.#settledAt;
  }

  /** Why its output is gone, once it is. */
  get removed(): GapReason | undefined {
    return this.#removed;
  }

  /** What its directory takes on disk, about: the large files, and the blocks of the small ones. */
  get diskBytes(): number {
    return this.written.stdout + this.written.stderr + this.timelineBytes + this.inputBytes + smallFilesBytes;
  }

  status(): JobStatus {
    const { written, received } = this;
    const status: JobStatus = {
      job: this.id,
      state: this.#state,
      output: {
        stdout: { written: written.stdout, received: received.stdout },
        stderr: { written: written.stderr, received: received.stderr },
      },
    };
    if (this.#startedAt !== undefined) status.startedAt = this.#startedAt;
    if (this.#endedAt !== undefined) status.endedAt = this.#endedAt;
    if (this.#exit !== undefined) status.exit = this.#exit;
    if (this.#reason !== undefined) status.reason = this.#reason;
    if (this.origin !== undefined) status.origin = this.origin;
    if (this.#removed !== undefined) status.removed = true;
    if (this.attempts !== undefined) status.attempts = this.attempts;
    return status;
  }

  started(at: number): void {
    this.#state = "running";
    this.#startedAt = at;
    this.#tell();
  }

  mainExited(exit: Exit): void {
    this.#exit = exit;
    this.#tell();
  }

  /** Output is longer now. Offsets never go back, whatever was done to the files. */
  grew(name: keyof Extents, size: number): void {
    this.written[name] = Math.max(this.written[name], size);
  }

  /** Notifies after one or more `grew`. */
  observed(): void {
    this.#tell();
  }

  end(end: EndRecord): void {
    if (this.ended) return;
    this.#state = end.state;
    this.#startedAt = end.startedAt ?? this.#startedAt;
    this.#endedAt = end.endedAt;
    this.#exit = end.exit;
    this.#reason = end.reason;
    this.#settledAt = end.settledAt;
    this.attempts = end.attempts ?? this.attempts;
    this.grew("stdout", end.written.stdout);
    this.grew("stderr", end.written.stderr);
    this.#tell();
  }

  /** What `end.json` says of it. */
  endRecord(): EndRecord {
    const { output: _, job: __, removed: ___, ...status } = this.status();
    const { operator, collect } = this.asker;
    const asker = {
      ...(operator === undefined ? {} : { operator }),
      ...(collect === true ? { collect } : {}),
    };
    return { ...status, ...asker, written: { ...this.written }, settledAt: this.#settledAt };
  }

  acknowledged(received: Positions): void {
    for (const name of ["stdout", "stderr"] as const) {
      const upTo = Math.min(received[name] ?? 0, this.written[name]);
      this.received[name] = Math.max(this.received[name], upTo);
    }
  }

  get fullyReceived(): boolean {
    return this.received.stdout >= this.written.stdout && this.received.stderr >= this.written.stderr;
  }

  forget(cause: GapReason): void {
    this.#removed = cause;
    this.unwritten = undefined;
    this.#tell();
  }

  /** Calls back whenever output grew or the state changed. Returns what takes the watcher away. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher();
  }
}

/** Directory and up to seven small files of a block each. */
const smallFilesBytes = 32 * 1024;
