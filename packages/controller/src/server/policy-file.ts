/**
 * The controller's policy: the file, what of it is in force, and why what is in the file now is not. The file is read when it
 * changes; one that cannot be read or understood leaves the policy before it in force.
 *
 *     in force ──file changes──▶ read ──understood──▶ audit: policy.loaded ──▶ in force
 *                                 └──not──▶ audit: policy.rejected, `problem` ──▶ the old one stays in force
 */
import { type FSWatcher, watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { Policy } from "@outpost/access";
import { type Clock, ErrorCode, OutpostError, type PolicyShowResult } from "@outpost/protocol";
import type { Logger } from "pino";
import type { Audit } from "./audit.ts";
import type { PolicySource } from "./authorisation.ts";

/** An editor that writes a file in several steps is done after this long, in milliseconds. */
const settleMs = 100;

/** Where changes are not told (some network file systems), the file is looked at this often, in milliseconds. */
const lookEveryMs = 5_000;

export interface PolicyFileOptions {
  readonly file: string;
  readonly audit: Pick<Audit, "event">;
  readonly clock: Clock;
  readonly log: Logger;
}

export class PolicyFile implements PolicySource, Disposable {
  readonly #options: PolicyFileOptions;
  #policy: Policy;
  #loadedAt: number;
  /** The text that was looked at last, in force or not; `undefined` when the file could not be read. */
  #seen: string | undefined;
  #problem: string | undefined;
  #watcher: FSWatcher | undefined;
  #cancelSettle = (): void => {};
  #cancelLook = (): void => {};
  #isDisposed = false;
  /** How many looks have begun. */
  #looks = 0;

  private constructor(options: PolicyFileOptions, text: string, policy: Policy) {
    this.#options = options;
    this.#policy = policy;
    this.#seen = text;
    this.#loadedAt = options.clock.now();
  }

  /**
   * Reads the file, and from then on whenever it changes.
   * @throws OutpostError `not_found` when there is none; `invalid_argument` when it is not a policy; `disk_full`
   */
  static async open(options: PolicyFileOptions): Promise<PolicyFile> {
    const { file, audit } = options;
    let text: string;
    try {
      text = await readFile(file, "utf8");
    } catch (cause) {
      throw unreadable(file, cause as NodeJS.ErrnoException);
    }
    const policy = Policy.parse(text, file);
    audit.event({ action: "policy.loaded", what: file });
    const opened = new PolicyFile(options, text, policy);
    opened.#watch();
    opened.#lookLater();
    return opened;
  }

  get policy(): Policy {
    return this.#policy;
  }

  get shown(): PolicyShowResult {
    return {
      text: this.#policy.text,
      file: this.#options.file,
      loadedAt: this.#loadedAt,
      ...(this.#problem === undefined ? {} : { problem: this.#problem }),
    };
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#watcher?.close();
    this.#cancelSettle();
    this.#cancelLook();
  }

  /** The directory and not the file: editors put a new file in its place. */
  #watch(): void {
    const { file, clock, log } = this.#options;
    try {
      this.#watcher = watch(dirname(file), { persistent: false }, (_event, name) => {
        if (name !== null && name !== basename(file)) return;
        this.#cancelSettle();
        this.#cancelSettle = clock.after(settleMs, () => void this.#look());
      });
      this.#watcher.on("error", (error) =>
        log.warn({ err: error }, "the policy's directory is not watched any more"),
      );
    } catch (error) {
      log.warn(
        { err: error },
        "the policy's directory cannot be watched; the file is looked at now and then",
      );
    }
  }

  #lookLater(): void {
    this.#cancelLook = this.#options.clock.after(lookEveryMs, () => {
      void this.#look().finally(() => {
        if (!this.#isDisposed) this.#lookLater();
      });
    });
  }

  /** Never throws. */
  async #look(): Promise<void> {
    const { file } = this.#options;
    const look = ++this.#looks;
    let text: string | undefined;
    let failure: unknown;
    try {
      text = await readFile(file, "utf8");
    } catch (error) {
      failure = unreadable(file, error as NodeJS.ErrnoException);
    }
    // One that has begun later knows better, and may be through already.
    if (look !== this.#looks) return;
    if (this.#isDisposed || (text === this.#seen && (text !== undefined || this.#problem !== undefined)))
      return;
    this.#seen = text;
    try {
      if (text === undefined) throw failure;
      this.#load(text);
    } catch (error) {
      this.#reject(OutpostError.from(error));
    }
  }

  /** @throws OutpostError `invalid_argument`; `disk_full`: what cannot be audited does not come into force */
  #load(text: string): void {
    const { file, audit, clock, log } = this.#options;
    const policy = Policy.parse(text, file);
    // Back to what is in force anyway.
    if (text !== this.#policy.text) audit.event({ action: "policy.loaded", what: file });
    this.#policy = policy;
    this.#loadedAt = clock.now();
    this.#problem = undefined;
    log.info({ file }, "the policy was loaded");
  }

  #reject(error: OutpostError): void {
    const { file, audit, log } = this.#options;
    this.#problem = error.message;
    // Read again at the next look: it may be that only the disk is full.
    if (error.code === ErrorCode.diskFull) this.#seen = undefined;
    log.error({ file, err: error }, "the policy was not loaded; the one before it stays in force");
    try {
      audit.event({ action: "policy.rejected", what: file, message: error.message });
    } catch (failed) {
      log.error({ err: failed }, "that could not be written to the audit log");
    }
  }
}

function unreadable(file: string, cause: NodeJS.ErrnoException): OutpostError {
  if (cause.code !== "ENOENT") {
    return new OutpostError(
      ErrorCode.invalidArgument,
      `the policy ${file} cannot be read: ${cause.message}`,
      { cause },
    );
  }
  return new OutpostError(
    ErrorCode.notFound,
    `there is no policy at ${file}, and without one nobody may do anything; write one, e.g. \`rules: [{name: admins, operators: [NAME], actions: ["*"]}]\` with your own operator's name, which lets that operator do everything`,
    { data: { file }, cause },
  );
}
