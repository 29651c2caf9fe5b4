/**
 * The directories that are being written into: a stack, as the entries of a stream come depth first. Each is open, so a link
 * never leads elsewhere (open-directory.ts). One that cannot be made is `undefined` there: what would be in it is left out.
 */
import { CaseFolding } from "./case-folding.ts";
import type { Destination } from "./destination.ts";
import { compareNames, namesOf } from "./entry-path.ts";
import type { OpenDirectory } from "./open-directory.ts";
import { broken, type DirectoryRecord } from "./record.ts";

export interface DirectoryStackOptions {
  readonly destination: Destination;
  /** The mode that a directory gets. */
  readonly mode: (mode: number) => number;
  /** Resolves when nothing is being written in any of them any more. */
  readonly settled: () => Promise<unknown>;
  /** An entry cannot be written; `inTheWay` is what to say when something of another kind is there. @throws what ends all of it */
  readonly failed: (path: string, error: unknown, inTheWay?: string) => void;
}

/** Where an entry goes. */
export interface Place {
  /** Absent when it could not be made. */
  readonly directory: OpenDirectory | undefined;
  /** What the entry is called there; absent when that would be another one's name. */
  readonly name: string | undefined;
  /** How many directories of the stream it lies in. */
  readonly depth: number;
}

interface Frame {
  readonly directory: OpenDirectory | undefined;
  /** Absent for the destination itself, which stays as it is. */
  readonly record: DirectoryRecord | undefined;
  readonly isNew: boolean;
  /** The entry before. */
  last: string | undefined;
  readonly folding: CaseFolding;
}

export class DirectoryStack {
  readonly #options: DirectoryStackOptions;
  readonly #frames: Frame[];
  /** The names of the open directories, without the first. */
  readonly #names: string[] = [];

  constructor(options: DirectoryStackOptions) {
    this.#options = options;
    const { directory } = options.destination;
    this.#frames = [
      { directory, record: undefined, isNew: false, last: undefined, folding: new CaseFolding() },
    ];
  }

  /**
   * Where the next entry goes; the directories that it does not lie in are over.
   * @throws OutpostError `protocol_error`: its directory has not come, or is over; or it came already
   */
  async place(path: string): Promise<Place> {
    const names = namesOf(path);
    const depth = names.length - 1;
    for (let level = 0; level < depth; level++) {
      if (this.#names[level] !== names[level])
        throw broken(`${JSON.stringify(path)} comes without its directory`);
    }
    await this.#leaveTo(depth + 1);
    const frame = this.#frames.at(-1)!;
    const name = names[depth]!;
    const before = frame.last;
    if (before !== undefined && compareNames(before, name) >= 0)
      throw broken(`${JSON.stringify(path)} comes twice, or in no order`);
    frame.last = name;
    const { directory } = frame;
    if (directory !== undefined && (await frame.folding.collides(directory, before, name))) {
      const why =
        "differs only by upper and lower case from another one, and this file system takes them for one";
      this.#options.failed(path, new Error(why));
      return { directory, name: undefined, depth };
    }
    const { name: only } = this.#options.destination;
    if (depth > 0 || only === undefined) return { directory, name, depth };
    if (before !== undefined) throw broken("it has several entries, and said that it has one");
    return { directory, name: only, depth };
  }

  /** Makes a directory, and what comes next may be in it. @throws OutpostError as `place` */
  async enter(record: DirectoryRecord): Promise<void> {
    const { directory, name } = await this.place(record.path);
    const folding = new CaseFolding(this.#frames.at(-1)!.folding);
    let entered: Awaited<ReturnType<OpenDirectory["enter"]>> | undefined;
    try {
      entered = name === undefined ? undefined : await directory?.enter(name, record.mode);
    } catch (error) {
      this.#options.failed(record.path, error, "is there, and is no directory");
    }
    this.#frames.push({
      directory: entered?.directory,
      record,
      isNew: entered?.isNew ?? false,
      last: undefined,
      folding,
    });
    this.#names.push(namesOf(record.path).at(-1)!);
  }

  /** All of them are over: they get their modes and times. */
  finish(): Promise<void> {
    return this.#leaveTo(0);
  }

  /** Closes them as they are. */
  async abort(): Promise<void> {
    for (const { directory } of this.#frames.splice(0)) await directory?.[Symbol.asyncDispose]();
  }

  /** Leaves directories until only so many are open. */
  async #leaveTo(count: number): Promise<void> {
    const { mode, settled, failed } = this.#options;
    while (this.#frames.length > count) {
      // What is in it changes it.
      await settled();
      const { directory, record, isNew } = this.#frames.pop()!;
      this.#names.length = Math.max(0, this.#frames.length - 1);
      if (directory === undefined) continue;
      await using _closed = directory;
      await directory.sync();
      if (record === undefined) continue;
      try {
        await directory.finish(mode(record.mode), record.mtime);
      } catch (error) {
        // One that was there and is somebody else's stays as it was.
        if (isNew) failed(record.path, error);
      }
    }
  }
}
