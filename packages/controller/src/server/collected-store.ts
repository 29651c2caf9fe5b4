/**
 * Output that the controller has received itself, as files that begin at offset 0 like those on the hosts:
 *
 *     collected/<fan-out job>/<host>/stdout stderr timeline   a hole where a gap is
 *                                    gaps                     JSON, one line per gap
 *
 * The files' sizes are the truth about what is here. Appending is idempotent by offset, so that reading again from any
 * earlier offset after a crash changes nothing.
 */
import { constants, statSync } from "node:fs";
import { appendFile, type FileHandle, mkdir, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  ErrorCode,
  type Gap,
  type HostName,
  type JobId,
  OutpostError,
  type StreamName,
} from "@outpost/protocol";

export const collectedStreams = ["stdout", "stderr", "timeline"] as const satisfies StreamName[];

export class CollectedStore {
  readonly #root: string;
  readonly #maxBytes: number;
  /** One object per directory while somebody uses it. */
  readonly #jobs = new Map<string, WeakRef<CollectedJob>>();
  #bytes = 0;

  private constructor(root: string, maxBytes: number) {
    this.#root = root;
    this.#maxBytes = maxBytes;
  }

  static async open(root: string, maxBytes: number): Promise<CollectedStore> {
    const store = new CollectedStore(root, maxBytes);
    await mkdir(root, { recursive: true, mode: 0o700 });
    for (const fanOut of await readdir(root)) store.#bytes += await directoryBytes(join(root, fanOut));
    return store;
  }

  /** What is here, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether more may be collected. */
  get hasRoom(): boolean {
    return this.#bytes < this.#maxBytes;
  }

  job(fanOut: JobId, host: HostName): CollectedJob {
    const directory = join(this.#root, fanOut, host);
    const known = this.#jobs.get(directory)?.deref();
    if (known !== undefined) return known;
    const job = new CollectedJob(directory, (bytes) => (this.#bytes += bytes));
    this.#jobs.set(directory, new WeakRef(job));
    return job;
  }

  /** Forgets one host's part. */
  async removeJob(fanOut: JobId, host: HostName): Promise<void> {
    await this.#remove(join(this.#root, fanOut, host));
  }

  async remove(fanOut: JobId): Promise<void> {
    await this.#remove(join(this.#root, fanOut));
  }

  async #remove(directory: string): Promise<void> {
    for (const [path, reference] of this.#jobs) {
      if (path !== directory && !path.startsWith(`${directory}/`)) continue;
      reference.deref()?.removed();
      this.#jobs.delete(path);
    }
    this.#bytes -= await directoryBytes(directory);
    await rm(directory, { recursive: true, force: true });
  }
}

/** One host's part. */
export class CollectedJob {
  readonly #directory: string;
  readonly #grew: (bytes: number) => void;
  readonly #sizes: Record<StreamName, number>;
  readonly #gaps: { name: StreamName; gap: Gap }[] = [];
  readonly #watchers = new Set<() => void>();
  readonly #unsynced = new Set<StreamName>();
  #loaded: Promise<void> | undefined;
  #isRemoved = false;

  constructor(directory: string, grew: (bytes: number) => void) {
    this.#directory = directory;
    this.#grew = grew;
    const size = (name: StreamName): number =>
      statSync(this.#path(name), { throwIfNoEntry: false })?.size ?? 0;
    this.#sizes = { stdout: size("stdout"), stderr: size("stderr"), timeline: size("timeline") };
  }

  /** Reads the list of gaps; call it once before anything else. */
  load(): Promise<void> {
    this.#loaded ??= this.#load();
    return this.#loaded;
  }

  /** Below this offset everything is here, or is a gap. */
  size(name: StreamName): number {
    return this.#sizes[name];
  }

  /** The first gap that ends beyond `offset`. */
  gapAt(name: StreamName, offset: number): Gap | undefined {
    return this.#gaps.find((entry) => entry.name === name && entry.gap.to > offset)?.gap;
  }

  /** Calls back when something was appended. Returns what takes the listener away. */
  watch(listener: () => void): () => void {
    this.#watchers.add(listener);
    return () => void this.#watchers.delete(listener);
  }

  /**
   * Appends bytes that begin at `offset`; what is here already is left out. One append per stream at a time.
   * @throws OutpostError `internal` when bytes before `offset` are missing; `disk_full`
   */
  async append(name: StreamName, offset: number, pieces: readonly Uint8Array[]): Promise<void> {
    const size = this.#sizes[name];
    if (offset > size)
      throw new OutpostError(
        ErrorCode.internal,
        `${name}: bytes at ${String(offset)}, where ${String(size)} was due`,
      );
    const fresh = dropFirst(pieces, size - offset);
    const length = fresh.reduce((sum, piece) => sum + piece.byteLength, 0);
    if (length === 0 || this.#isRemoved) return;
    await this.#writing(name, async (file) => {
      let at = size;
      // `writev` may write less than all of it (a full disk, a signal).
      for (let left = fresh; left.length > 0;) {
        const { bytesWritten } = await file.writev([...left], at);
        at += bytesWritten;
        left = dropFirst(left, bytesWritten);
      }
    });
    this.#grown(name, size + length);
  }

  /** Notes that bytes up to `gap.to` will never come. */
  async skip(name: StreamName, gap: Gap): Promise<void> {
    if (gap.to <= this.#sizes[name] || this.#isRemoved) return;
    const from = Math.max(gap.from, this.#sizes[name]);
    const entry = { name, gap: { ...gap, from } };
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    // First the note, then the hole: a hole without a note would be read as NUL bytes.
    await appendFile(this.#path("gaps"), `${JSON.stringify(entry)}\n`, { flush: true });
    await this.#writing(name, (file) => file.truncate(gap.to));
    this.#gaps.push(entry);
    this.#grown(name, gap.to);
  }

  /** Everything appended so far survives a power cut. */
  async sync(): Promise<void> {
    for (const name of this.#unsynced) {
      this.#unsynced.delete(name);
      await this.#writing(name, (file) => file.datasync());
    }
  }

  /** At most `length` bytes from `offset`; fewer at the end. */
  async read(name: StreamName, offset: number, length: number): Promise<Uint8Array> {
    const file = await open(this.#path(name), "r");
    try {
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, offset);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }

  /** The directory is gone. What is still on its way here is dropped. */
  removed(): void {
    this.#isRemoved = true;
    for (const name of collectedStreams) this.#sizes[name] = 0;
  }

  #grown(name: StreamName, size: number): void {
    this.#grew(size - this.#sizes[name]);
    this.#sizes[name] = size;
    this.#unsynced.add(name);
    for (const watcher of this.#watchers) watcher();
  }

  async #load(): Promise<void> {
    const text = await readFile(this.#path("gaps"), "utf8").catch(() => "");
    for (const line of text.split("\n").slice(0, -1)) {
      const entry = JSON.parse(line) as { name: StreamName; gap: Gap };
      // Noted, but we died before the hole was made: the host will say it again.
      if (entry.gap.to <= this.#sizes[entry.name]) this.#gaps.push(entry);
    }
  }

  /** Opened for each batch: a fan-out job over a thousand hosts would hold three thousand files open. */
  async #writing(name: StreamName, write: (file: FileHandle) => Promise<void>): Promise<void> {
    const flags = constants.O_WRONLY | constants.O_CREAT;
    const file = await open(this.#path(name), flags, 0o600).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      return open(this.#path(name), flags, 0o600);
    });
    try {
      await write(file);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOSPC" && code !== "EDQUOT") throw error;
      throw new OutpostError(ErrorCode.diskFull, "the controller's disk is full", { cause: error });
    } finally {
      await file.close();
    }
  }

  #path(name: StreamName | "gaps"): string {
    return join(this.#directory, name);
  }
}

function dropFirst(pieces: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let left = bytes;
  const rest: Uint8Array[] = [];
  for (const piece of pieces) {
    if (left < piece.byteLength) rest.push(left > 0 ? piece.subarray(left) : piece);
    left = Math.max(0, left - piece.byteLength);
  }
  return rest;
}

async function directoryBytes(directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true }).catch(() => [])) {
    if (entry.isFile())
      bytes += (await stat(join(entry.parentPath, entry.name)).catch(() => undefined))?.size ?? 0;
  }
  return bytes;
}
