/** One host's side of a copy: what its job says on standard output, made into events, and what came of it. */
import { join } from "node:path";
import { type Problem, type Totals, TreeWriter } from "@outpost/files";
import { ErrorCode, type HostName, type JobId, OutpostError } from "@outpost/protocol";
import type { CopiedEvent, CopyEvent } from "./copy-events.ts";
import type { ExitEvent, GapEvent } from "./events.ts";
import { Lines } from "./lines.ts";

export interface CopyHost {
  readonly files: number;
  readonly bytes: number;
  /** Resolves when the bytes are handled. @throws OutpostError what is wrong here, and would be for every other host */
  take(bytes: Uint8Array, offset: number): Promise<readonly CopyEvent[]>;
  gap(event: GapEvent): void;
  /** Its job has ended. `hasFailed`: not all is copied, whatever the job's exit says. @throws OutpostError as `take` */
  end(exit: ExitEvent): Promise<{ readonly events: readonly CopyEvent[]; readonly hasFailed: boolean }>;
  /** There is no more to come; what is not whole goes. */
  abort(): Promise<void>;
}

interface Of {
  readonly job: JobId;
  readonly host: HostName;
}

/** Files go there: its job tells how far it is. */
export class UploadHost implements CopyHost {
  readonly #of: Of;
  readonly #lines = new Lines();
  #files = 0;
  #bytes = 0;

  constructor(of: Of) {
    this.#of = of;
  }

  get files(): number {
    return this.#files;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async take(bytes: Uint8Array): Promise<readonly CopyEvent[]> {
    return this.#lines.push(bytes).flatMap((line) => this.#event(line));
  }

  /** Only the telling is lost. */
  gap(): void {}

  async end(): Promise<{ events: readonly CopyEvent[]; hasFailed: boolean }> {
    return { events: [], hasFailed: false };
  }

  async abort(): Promise<void> {}

  /** A host may say anything. */
  #event(line: string): readonly CopyEvent[] {
    let told: Readonly<Record<string, unknown>>;
    try {
      told = JSON.parse(line) as typeof told;
    } catch {
      return [];
    }
    const { type, path, bytes, sha256 } = told ?? {};
    if (typeof bytes !== "number" || !Number.isSafeInteger(bytes) || bytes < 0) return [];
    if (type === "progress") return [{ type, ...this.#of, bytes }];
    if (type !== "file" || typeof path !== "string" || typeof sha256 !== "string") return [];
    this.#files++;
    this.#bytes += bytes;
    return [{ type, ...this.#of, path, bytes, sha256 }];
  }
}

/** How often progress is told: after so many bytes, or so many milliseconds. */
const tellEveryBytes = 64 * 1024 * 1024;
const tellEveryMs = 1_000;

export interface DownloadHostOptions extends Of {
  /** Where the folders of all hosts are. */
  readonly directory: string;
  readonly allLinks: boolean;
}

/** Files come from there, into a folder that has its name. It is not trusted. */
export class DownloadHost implements CopyHost {
  readonly #options: DownloadHostOptions;
  readonly #writer: TreeWriter;
  readonly #told: CopyEvent[] = [];
  #totals: Totals | undefined;
  #offset = 0;
  /** Why its stream cannot be read on. */
  #broken: OutpostError | undefined;
  #toldBytes = 0;
  #toldMs = performance.now();

  constructor(options: DownloadHostOptions) {
    this.#options = options;
    this.#writer = new TreeWriter({
      path: join(options.directory, options.host),
      into: true,
      strict: true,
      allLinks: options.allLinks,
      onFile: (file) => void this.#told.push({ type: "file", ...this.#of, ...file } satisfies CopiedEvent),
      onProblem: (problem) => this.#problem(problem),
    });
  }

  get files(): number {
    return this.#totals?.files ?? this.#writer.files;
  }

  get bytes(): number {
    return this.#totals?.bytes ?? this.#writer.received;
  }

  async take(bytes: Uint8Array, offset: number): Promise<readonly CopyEvent[]> {
    if (this.#broken !== undefined) return [];
    if (offset === this.#offset) await this.#try(() => this.#writer.write(bytes));
    else this.#break("its beginning was received before");
    this.#offset = offset + bytes.byteLength;
    const { received } = this.#writer;
    const isDue =
      received - this.#toldBytes >= tellEveryBytes ||
      (received > this.#toldBytes && performance.now() - this.#toldMs >= tellEveryMs);
    if (isDue) {
      this.#toldBytes = received;
      this.#toldMs = performance.now();
      this.#told.push({ type: "progress", ...this.#of, bytes: received });
    }
    return this.#told.splice(0);
  }

  gap({ reason }: GapEvent): void {
    this.#break(`a part of it can no longer be had (${reason})`);
  }

  async end(exit: ExitEvent): Promise<{ events: readonly CopyEvent[]; hasFailed: boolean }> {
    if (!exit.ended || (!this.#writer.isOver && this.#broken === undefined && exit.state !== "completed")) {
      // Its end says why.
      await this.#writer.abort();
    } else {
      await this.#try(async () => {
        this.#totals = await this.#writer.end();
      });
    }
    return { events: this.#told.splice(0), hasFailed: (this.#totals?.failed ?? 1) > 0 };
  }

  async abort(): Promise<void> {
    await this.#writer.abort();
  }

  get #of(): Of {
    const { job, host } = this.#options;
    return { job, host };
  }

  /** A host that sends nonsense is its own problem; what is wrong here is everybody's. */
  async #try(action: () => Promise<void>): Promise<void> {
    try {
      if (this.#broken === undefined) await action();
    } catch (reason) {
      const error = OutpostError.from(reason);
      if (error.code !== ErrorCode.protocolError) throw error;
      this.#break(error.message);
      await this.#writer.abort();
    }
  }

  #break(message: string): void {
    if (this.#broken !== undefined) return;
    this.#broken = new OutpostError(ErrorCode.protocolError, message);
    this.#told.push({ type: "problem", ...this.#of, message });
  }

  #problem({ path, message, kind }: Problem): void {
    // Of what could not be read the host's own program tells.
    if (kind !== "here") return;
    const where = join(this.#options.directory, this.#options.host, path);
    this.#told.push({ type: "problem", ...this.#of, path: where, message: `${where}: ${message}` });
  }
}
