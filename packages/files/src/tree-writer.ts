/**
 * A file stream to a tree of files. Nothing is written outside of the destination, whatever the stream says, and nothing is
 * there half: each file is checked and renamed, and one that fails leaves the others as they are.
 */
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { Decoder } from "./decoder.ts";
import { type DestinationOptions, openDestination } from "./destination.ts";
import { DirectoryStack, type Place } from "./directory-stack.ts";
import { leadsOutside } from "./entry-path.ts";
import { broken, type FileEndRecord, type FileRecord, type LinkRecord, type StreamRecord } from "./record.ts";
import { asFatal, codeOf, reasonText } from "./system-error.ts";
import { placeLink, TemporaryFile } from "./temporary-file.ts";

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

interface OpenFile {
  readonly record: FileRecord;
  readonly place: Place;
  /** Absent: it failed, and what comes of it is left out. */
  temporary: TemporaryFile | undefined;
}

/** How many files may wait for the disk at once (fsync), in number: each waits some milliseconds, and they can together. */
const maxFinishing = 8;

export class TreeWriter {
  readonly #options: TreeWriterOptions;
  readonly #decoder = new Decoder();
  /** Absent until the first record. */
  #directories: DirectoryStack | undefined;
  #file: OpenFile | undefined;
  readonly #finishing = new Set<Promise<void>>();
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
   * @throws OutpostError `protocol_error`, `disk_full`, `limit_exceeded` (open files), `not_found`, `conflict`, `denied`: nothing more is taken, `abort` is due
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
      await this.#directories?.finish();
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
    await this.#directories?.abort();
  }

  #check(): void {
    if (this.#fatal !== undefined) throw this.#fatal;
  }

  async #take(record: StreamRecord): Promise<void> {
    const directories = this.#directories;
    if (directories === undefined) {
      if (record.type !== "begin") throw broken(`it begins with '${record.type}'`);
      this.#directories = await this.#begin(record.many);
      return;
    }
    if (this.#file !== undefined) return this.#takeContent(this.#file, record);
    switch (record.type) {
      case "directory":
        return directories.enter(record);
      case "file":
        return this.#beginFile(record, await directories.place(record.path));
      case "link":
        return this.#link(record, await directories.place(record.path));
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

  async #begin(many: boolean): Promise<DirectoryStack> {
    return new DirectoryStack({
      destination: await openDestination(this.#options, many),
      mode: (mode) => this.#mode(mode),
      settled: () => Promise.all(this.#finishing),
      failed: (path, error, inTheWay) => this.#failedHere(path, error, inTheWay),
    });
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

  async #beginFile(record: FileRecord, place: Place): Promise<void> {
    const file: OpenFile = { record, place, temporary: undefined };
    this.#file = file;
    const { directory, name } = place;
    if (directory === undefined || name === undefined) return;
    try {
      file.temporary = await TemporaryFile.create(directory, name);
    } catch (error) {
      this.#failedHere(record.path, error);
    }
  }

  /** In the background: the disk takes its time, and meanwhile the next file can come. */
  async #finish({ record, place }: OpenFile, temporary: TemporaryFile, end: FileEndRecord): Promise<void> {
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
            `is a directory in ${place.directory?.name ?? "the destination"}`,
          );
        } catch (fatal) {
          this.#fatal ??= OutpostError.from(fatal);
        }
      },
    );
    this.#finishing.add(finished);
    void finished.finally(() => this.#finishing.delete(finished));
  }

  async #link(record: LinkRecord, { directory, name, depth }: Place): Promise<void> {
    if (directory === undefined || name === undefined) return;
    const { strict = false, allLinks = false } = this.#options;
    if (strict && !allLinks && leadsOutside(record.target, depth)) {
      const message = `is a link that leads outside, to ${record.target}; it is not made`;
      this.#problem({ path: record.path, message, kind: "here" });
      return;
    }
    try {
      await placeLink(directory, name, record);
    } catch (error) {
      this.#failedHere(record.path, error);
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
