/**
 * The agent's metrics as a file for node_exporter's textfile collector, written anew every few seconds: to another name first,
 * which the collector does not read, and renamed. When the agent leaves the file goes with it, so that nobody takes what was for
 * what is; of one that was killed the file's age tells (`node_textfile_mtime_seconds`).
 */
import { open, rename, rm } from "node:fs/promises";
import type { Clock } from "@outpost/protocol";
import type { Logger } from "pino";
import { exposition, type Metric } from "./exposition.ts";

export interface TextfileOptions {
  /** Absolute; its name ends in `.prom`. */
  readonly file: string;
  readonly metrics: () => readonly Metric[] | Promise<readonly Metric[]>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** As often as most collect them, in milliseconds. */
const everyMs = 15_000;

export class Textfile implements AsyncDisposable {
  readonly #options: TextfileOptions;
  #cancel = (): void => {};
  #writing: Promise<void>;
  #isFailing = false;
  #disposed = false;

  /** Begins at once. A file that cannot be written is a warning in the log, and tried again. */
  constructor(options: TextfileOptions) {
    this.#options = options;
    this.#writing = this.#tick();
  }

  /** Something has changed that nobody should have to wait for: writes it now. */
  refresh(): void {
    if (this.#disposed) return;
    this.#cancel();
    this.#writing = this.#writing.then(() => {
      // The one that was under way has set the next.
      this.#cancel();
      return this.#disposed ? undefined : this.#tick();
    });
  }

  /** Writes nothing more, and removes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#cancel();
    await this.#writing;
    await rm(this.#options.file, { force: true }).catch(() => {});
  }

  /** Never rejects. */
  async #tick(): Promise<void> {
    await this.#write();
    if (this.#disposed) return;
    this.#cancel = this.#options.clock.after(everyMs, () => {
      this.#writing = this.#tick();
    });
  }

  async #write(): Promise<void> {
    const { file, metrics, log } = this.#options;
    const fresh = `${file}.new`;
    try {
      await writeAnew(fresh, exposition(await metrics()));
      await rename(fresh, file);
      this.#isFailing = false;
    } catch (error) {
      await rm(fresh, { force: true }).catch(() => {});
      // Once, until it works again.
      if (!this.#isFailing) log.warn({ err: error, file }, "the metrics cannot be written; trying again");
      this.#isFailing = true;
    }
  }
}

/**
 * A file that nobody had before, and nothing else has: the folder may be one that others write to, and a link that waits
 * there under its name would make us, root perhaps, write over whatever it leads to.
 */
async function writeAnew(file: string, text: string): Promise<void> {
  await rm(file, { force: true });
  await using handle = await open(file, "wx");
  await handle.writeFile(text);
  // Whatever our umask: the collector is another user.
  await handle.chmod(0o644);
}
