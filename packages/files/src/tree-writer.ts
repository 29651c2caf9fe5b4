/**
 * A file stream to a tree of files. Nothing is written outside of the destination, whatever the stream says, and nothing is
 * there half: each file is checked and renamed, and one that fails leaves the others as they are.
 *
 * The directories that are being written into are a stack, as the entries come depth first; each is open, so a link never
 * leads elsewhere (open-directory.ts). A directory that cannot be made is `undefined` there: what would be in it is left out.
 */
import { lstat, rmdir, mkdir } from "node:fs/promises";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { Decoder } from "./decoder.ts";
import { type DestinationOptions, openDestination } from "./destination.ts";
import { compareNames, leadsOutside, namesOf } from "./entry-path.ts";
import type { OpenDirectory } from "./open-directory.ts";
import {
  broken,
  type DirectoryRecord,
  type FileEndRecord,
  type FileRecord,
  type LinkRecord,
  type StreamRecord,
} from "./record.ts";
import { asFatal, codeOf, reasonText } from "./system-error.ts";
import { placeLink, TemporaryFile, temporaryName } from "./temporary-file.ts";

export interface WrittenFile {
  /** As in the stream. */
  readonly path: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

export interface Problem {
  readonly path: string;
  /** The end of a sentence that begins with the path. */
  readonly message: string;
  /** `source`: it could not be read where it comes from. `here`: it could not be written. `warning`: it does not count as failed. */
  readonly kind: "source" | "here" | "warning";
}

export interface TreeWriterOptions extends DestinationOptions {
  /**
   * Who made the stream is not trusted: no set-user-ID and the like, and no links that lead out of the destination. Default false.
   */
  readonly strict?: boolean | undefined;
  /** With `strict`: make links that lead outside all the same. Default false. */
  readonly allLinks?: boolean | undefined;
  readonly onFile?: ((file: WrittenFile) => void) | undefined;
  readonly onProblem?: ((problem: Problem) => void) | undefined;
}

export interface Totals {
  readonly files: number;
  readonly bytes: number;
  /** How many entries are missing, here or where they come from. */
  readonly failed: number;
}

interface Frame {
  /** Absent when it could not be made. */
  readonly directory: OpenDirectory | undefined;
  readonly record: DirectoryRecord | undefined;
  readonly isNew: boolean;
  /** The entry before. */
  last: string | undefined;
  /** Names as a file system sees them that does not tell `A` from `a`; only kept on such. */
  readonly folded: Set<string>;
}

interface OpenFile {
  readonly record: FileRecord;
  readonly frame: Frame;
  /** Absent: it failed, and what comes of it is left out. */
  temporary: TemporaryFile | undefined;
}

/** How many files may wait for the disk at once (fsync), in number: each waits some milliseconds, and they can together. */
const maxFinishing = 8;

export class TreeWriter {
  readonly #options: TreeWriterOptions;
  readonly #decoder = new Decoder();
  /** Empty until the first record. The names of the open directories are `#names`, without the first. */
  readonly #frames: Frame[] = [];
  #names: readonly string[] = [];
  /** What the only entry is called. */
  #rename: string | undefined;
  #file: OpenFile | undefined;
  readonly #finishing = new Set<Promise<void>>();
  #isCaseBlind: boolean | undefined;
  #fatal: OutpostError | undefined;
  #files = 0;
  #bytes = 0;
  #received = 0;
  #failed = 0;

  constructor(options: TreeWriterOptions) {
    this.#options = options;
  }

  /** How many bytes of files have come. */
  get received(): number {
    return this.#received;
  }

  /** How many files are written. */
  get files(): number {
    return this.#files;
  }

  /** How many entries have failed so far. */
  get failed(): number {
    return this.#failed;
  }

  /** The stream has come to its end; `end` says whether all is written. */
  get isOver(): boolean {
    return this.#decoder.isOver;
  }

  /**
   * Resolves when these bytes are the disk's and may be used for others. One call at a time.
   * @throws OutpostError `protocol_error`, `disk_full`, `not_found`, `conflict`, `denied`: nothing more is taken, `abort` is due
   */
  async write(bytes: Uint8Array): Promise<void> {
    this.#check();
    try {
      for (const record of this.#decoder.push(bytes)) {
        await this.#take(record);
        this.#check();
      }
    } catch (error) {
      this.#fatal ??= OutpostError.from(error);
      throw this.#fatal;
    }
  }

  /** The stream has ended: finishes what is open. @throws OutpostError as `write`, also when the stream is not whole */
  async end(): Promise<Totals> {
    this.#check();
    try {
      this.#decoder.end();
      await this.#leaveTo(0);
    } catch (error) {
      this.#fatal ??= OutpostError.from(error);
    }
    this.#check();
    return { files: this.#files, bytes: this.#bytes, failed: this.#failed };
  }

  /** Removes what is not whole. What is, stays. Idempotent. */
  async abort(): Promise<void> {
    this.#fatal ??= new OutpostError(ErrorCode.cancelled, "the copy was ended");
    await this.#file?.temporary?.discard();
    this.#file = undefined;
    await Promise.all(this.#finishing);
    for (const { directory } of this.#frames.splice(0)) await directory?.[Symbol.asyncDispose]();
  }

  #check(): void {
    if (this.#fatal !== undefined) throw this.#fatal;
  }

  async #take(record: StreamRecord): Promise<void> {
    if (this.#frames.length === 0) {
      if (record.type !== "begin") throw broken(`it begins with '${record.type}'`);
      const { directory, name } = await openDestination(this.#options, record.many);
      this.#rename = name;
      this.#frames.push(frameOf(directory, undefined, false));
      return;
    }
    if (this.#file !== undefined) return this.#takeContent(this.#file, record);
    switch (record.type) {
      case "directory":
        return this.#directory(record);
      case "file":
        return this.#beginFile(record);
      case "link":
        return this.#link(record);
      case "error":
        this.#problem({ path: record.path, message: record.message, kind: "source" });
        return;
      case "warning":
        this.#options.onProblem?.({ path: record.path, message: record.message, kind: "warning" });
        return;
      case "end":
        return;
      default:
        throw broken(`'${record.type}' comes where it makes no sense`);
    }
  }

  async #takeContent(file: OpenFile, record: StreamRecord): Promise<void> {
    switch (record.type) {
      case "data":
        this.#received += record.bytes.byteLength;
        if (file.temporary === undefined) return;
        try {
          await file.temporary.write(record.bytes);
        } catch (error) {
          await this.#giveUp(file);
          this.#failedHere(file.record.path, error);
        }
        return;
      case "file-end":
        this.#file = undefined;
        if (file.temporary !== undefined) await this.#finish(file, file.temporary, record);
        return;
      case "error":
        await this.#giveUp(file);
        this.#file = undefined;
        this.#problem({ path: record.path, message: record.message, kind: "source" });
        return;
      default:
        throw broken(`'${record.type}' comes in the middle of a file`);
    }
  }

  async #directory(record: DirectoryRecord): Promise<void> {
    const { frame, name, names } = await this.#place(record.path);
    let entered: Awaited<ReturnType<OpenDirectory["enter"]>> | undefined;
    try {
      entered = name === undefined ? undefined : await frame.directory?.enter(name, record.mode);
    } catch (error) {
      this.#failedHere(record.path, error, "is there, and is no directory");
    }
    this.#frames.push(frameOf(entered?.directory, record, entered?.isNew ?? false));
    this.#names = names;
  }

  async #beginFile(record: FileRecord): Promise<void> {
    const { frame, name } = await this.#place(record.path);
    const file: OpenFile = { record, frame, temporary: undefined };
    this.#file = file;
    if (frame.directory === undefined || name === undefined) return;
    try {
      file.temporary = await TemporaryFile.create(frame.directory, name);
    } catch (error) {
      this.#failedHere(record.path, error);
    }
  }

  /** In the background: the disk takes its time, and meanwhile the next file can come. */
  async #finish({ record, frame }: OpenFile, temporary: TemporaryFile, end: FileEndRecord): Promise<void> {
    while (this.#finishing.size >= maxFinishing) await Promise.race(this.#finishing);
    const finished = temporary.finish(end, { mode: this.#mode(record.mode), mtime: record.mtime }).then(
      () => {
        this.#files++;
        this.#bytes += end.size;
        const sha256 = Buffer.from(end.sha256).toString("hex");
        this.#options.onFile?.({ path: record.path, bytes: end.size, sha256 });
      },
      (error: unknown) => {
        try {
          this.#failedHere(
            record.path,
            error,
            `is a directory in ${frame.directory?.name ?? "the destination"}`,
          );
        } catch (fatal) {
          this.#fatal ??= OutpostError.from(fatal);
        }
      },
    );
    this.#finishing.add(finished);
    void finished.finally(() => this.#finishing.delete(finished));
  }

  async #link(record: LinkRecord): Promise<void> {
    const { frame, name, names } = await this.#place(record.path);
    if (frame.directory === undefined || name === undefined) return;
    const { strict = false, allLinks = false } = this.#options;
    if (strict && !allLinks && leadsOutside(record.target, names.length - 1)) {
      const message = `is a link that leads outside, to ${record.target}; it is not made`;
      this.#problem({ path: record.path, message, kind: "here" });
      return;
    }
    try {
      await placeLink(frame.directory, name, record);
    } catch (error) {
      this.#failedHere(record.path, error);
    }
  }

  /**
   * The directory that an entry goes into, and what it is called there: `undefined` when it would be another one's name.
   * @throws OutpostError `protocol_error`: its directory has not come, or is over; or it came already
   */
  async #place(path: string): Promise<{
    readonly frame: Frame;
    readonly name: string | undefined;
    readonly names: readonly string[];
  }> {
    const names = namesOf(path);
    const depth = names.length - 1;
    for (let level = 0; level < depth; level++) {
      if (this.#names[level] !== names[level])
        throw broken(`${JSON.stringify(path)} comes without its directory`);
    }
    await this.#leaveTo(depth + 1);
    const frame = this.#frames.at(-1)!;
    const name = names[depth]!;
    if (frame.last !== undefined && compareNames(frame.last, name) >= 0)
      throw broken(`${JSON.stringify(path)} comes twice, or in no order`);
    const before = frame.last;
    frame.last = name;
    if (before !== undefined && (await this.#collides(frame, before, name))) {
      const message =
        "differs only by upper and lower case from another one, and this file system takes them for one";
      this.#problem({ path, message, kind: "here" });
      return { frame, name: undefined, names };
    }
    if (depth > 0 || this.#rename === undefined) return { frame, name, names };
    if (before !== undefined) throw broken("it has several entries, and said that it has one");
    return { frame, name: this.#rename, names };
  }

  async #collides({ directory, folded }: Frame, before: string, name: string): Promise<boolean> {
    if (directory === undefined) return false;
    this.#isCaseBlind ??= await isCaseBlind(directory);
    if (!this.#isCaseBlind) return false;
    folded.add(fold(before));
    const isTaken = folded.has(fold(name));
    folded.add(fold(name));
    return isTaken;
  }

  /** Leaves directories until only so many are open. */
  async #leaveTo(count: number): Promise<void> {
    while (this.#frames.length > count) {
      // What is in it changes it.
      await Promise.all(this.#finishing);
      const { directory, record, isNew } = this.#frames.pop()!;
      this.#names = this.#names.slice(0, Math.max(0, this.#frames.length - 1));
      if (directory === undefined) continue;
      await using _closed = directory;
      await directory.sync();
      if (record === undefined) continue;
      try {
        await directory.finish(this.#mode(record.mode), record.mtime);
      } catch (error) {
        // One that was there and is somebody else's stays as it was.
        if (isNew) this.#failedHere(record.path, error);
      }
    }
  }

  #mode(mode: number): number {
    return this.#options.strict === true ? mode & 0o777 : mode;
  }

  async #giveUp(file: OpenFile): Promise<void> {
    const { temporary } = file;
    file.temporary = undefined;
    await temporary?.discard();
  }

  /** @param inTheWay what to say when something of another kind is there. @throws OutpostError for what ends all of it */
  #failedHere(path: string, error: unknown, inTheWay?: string): void {
    const fatal = asFatal(error, path);
    if (fatal !== undefined) throw fatal;
    const isInTheWay = ["ENOTDIR", "EISDIR", "ENOTEMPTY", "EEXIST", "ELOOP"].includes(codeOf(error) ?? "");
    const message = isInTheWay && inTheWay !== undefined ? inTheWay : reasonText(error);
    this.#problem({ path, message, kind: "here" });
  }

  #problem(problem: Problem): void {
    this.#failed++;
    this.#options.onProblem?.(problem);
  }
}

function frameOf(
  directory: OpenDirectory | undefined,
  record: DirectoryRecord | undefined,
  isNew: boolean,
): Frame {
  return { directory, record, isNew, last: undefined, folded: new Set() };
}

function fold(name: string): string {
  return name.normalize("NFC").toLowerCase();
}

/** Tried out: a directory says nothing of it. */
async function isCaseBlind(directory: OpenDirectory): Promise<boolean> {
  const name = temporaryName("case");
  try {
    await mkdir(directory.path(name), { mode: 0o700 });
  } catch {
    return false; // Nothing else can be made there either.
  }
  try {
    await lstat(directory.path(name.toUpperCase()));
    return true;
  } catch {
    return false;
  } finally {
    await rmdir(directory.path(name)).catch(() => {});
  }
}
