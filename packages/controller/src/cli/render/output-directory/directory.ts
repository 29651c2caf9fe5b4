/** A directory of outputs: whose it is, where in its files bytes belong, and what stands in its lists. */
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ErrorCode, type JobId, OutpostError, type OutputName } from "@outpost/protocol";
import { outcomeOf, type Outcome } from "../../../client/exit-code.ts";
import type { ExitEvent, GapEvent, OutEvent } from "../../../client/index.ts";
import { jsonText, withIsoTimes } from "../plain.ts";
import { Files } from "./files.ts";

/** Says that the directory is ours. */
const summaryFile = "summary.json";
/** What we write, and may therefore delete when another job comes. */
const ownFile =
  /^(?:hosts\.(?:ok|failed|unreachable|skipped|not-begun|running)|.+\.(?:stdout|stderr)|summary\.json(?:\.new)?)$/;

/** Lists of hosts by how they came out; the first three are always there. */
const lists: readonly { readonly name: string; readonly of: readonly Outcome[]; readonly always?: true }[] = [
  { name: "hosts.ok", of: ["succeeded"], always: true },
  { name: "hosts.failed", of: ["failed", "checkFailed", "timedOut", "stopped", "lost"], always: true },
  { name: "hosts.unreachable", of: ["unreachable"], always: true },
  { name: "hosts.skipped", of: ["skipped"] },
  { name: "hosts.not-begun", of: ["notBegun"] },
  { name: "hosts.running", of: ["running", "queued"] },
];

/** Where a file begins in its stream, and what is missing in it. */
interface Extent {
  /** The stream's offset of the file's first byte. */
  base: number;
  /** The file's size. */
  size: number;
  readonly gaps: { readonly from: number; readonly to: number; readonly reason: string }[];
}

interface Document {
  readonly outpost: "output-dir";
  readonly job: string;
  readonly hosts?: readonly { readonly host: string; readonly stdout?: Extent; readonly stderr?: Extent }[];
}

export class OutputDirectory {
  readonly #path: string;
  readonly #files = new Files();
  readonly #extents = new Map<string, Extent>();
  /** What an earlier run has left. */
  #before: Document | undefined;
  #job: JobId | undefined;
  #name: string | undefined;

  /** Makes it if need be. @throws OutpostError `invalid_argument` unless it is empty or was made by us */
  static async open(path: string): Promise<OutputDirectory> {
    try {
      await mkdir(path, { recursive: true });
      const entries = await readdir(path);
      const before = entries.length === 0 ? undefined : await readDocument(path);
      if (entries.length > 0 && before === undefined) {
        throw new OutpostError(
          ErrorCode.invalidArgument,
          `${path} is neither empty nor a directory that --output-dir has made; take another one, or empty it`,
        );
      }
      return new OutputDirectory(path, before);
    } catch (error) {
      if (error instanceof OutpostError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new OutpostError(ErrorCode.invalidArgument, `--output-dir ${path}: ${why}`, { cause: error });
    }
  }

  private constructor(path: string, before: Document | undefined) {
    this.#path = path;
    this.#before = before;
  }

  /** Goes on with what is there of the same job; what is there of another one goes. */
  async begin(job: JobId, name: string | undefined): Promise<void> {
    this.#job = job;
    this.#name = name;
    if (this.#before?.job === job) {
      for (const { host, ...streams } of this.#before.hosts ?? []) {
        for (const [stream, extent] of Object.entries(streams)) {
          if (isExtent(extent)) this.#extents.set(`${host}.${stream}`, extent);
        }
      }
    } else {
      for (const entry of await readdir(this.#path)) {
        if (ownFile.test(entry)) await rm(join(this.#path, entry), { force: true });
      }
    }
    // Whose it is must stand there before the first output does.
    await this.#writeSummary({ ...this.#about(), state: "running" });
  }

  async write({ host, stream, offset, bytes }: OutEvent): Promise<void> {
    const file = fileName(host, stream);
    const extent = await this.#extent(file, offset);
    // From before the beginning, with --from-start: the whole comes again.
    if (offset < extent.base) {
      await this.#files.truncate(join(this.#path, file), 0);
      Object.assign(extent, { base: offset, size: 0, gaps: [] });
    }
    const position = offset - extent.base;
    await this.#files.write(join(this.#path, file), bytes, position);
    extent.size = Math.max(extent.size, position + bytes.byteLength);
  }

  /** Bytes that are missing: what comes behind them has its place, and they stay a hole. Before the first byte they are left out. */
  async skip({ host, stream, from, to, reason }: GapEvent): Promise<void> {
    const extent = this.#extents.get(fileName(host, stream));
    if (extent === undefined || extent.gaps.some((gap) => gap.from === from && gap.to === to)) return;
    // What was received before is in the file already, if it was received here.
    if (to - extent.base <= extent.size) return;
    extent.gaps.push({ from, to, reason });
  }

  /** Writes the lists, and waits until the disk has everything. */
  async finish(exits: readonly ExitEvent[], exitCode: number | undefined): Promise<void> {
    if (this.#job === undefined) return;
    await this.#files.close();
    const byOutcome = new Map<Outcome, string[]>();
    for (const exit of exits) {
      const outcome = outcomeOf(exit);
      byOutcome.set(outcome, [...(byOutcome.get(outcome) ?? []), exit.host]);
    }
    for (const { name, of, always } of lists) {
      const hosts = of.flatMap((outcome) => byOutcome.get(outcome) ?? []).sort();
      const path = join(this.#path, name);
      if (hosts.length > 0 || always === true)
        await writeFile(path, hosts.map((host) => `${host}\n`).join(""));
      else await rm(path, { force: true });
    }
    await this.#writeSummary({
      ...this.#about(),
      state: exitCode === undefined ? "interrupted" : "ended",
      ...(exitCode === undefined ? {} : { exitCode }),
      hosts: exits.map((exit) => this.#hostDocument(exit)),
    });
  }

  #about(): Document & { readonly name?: string } {
    const name = this.#name === undefined ? {} : { name: this.#name };
    return { outpost: "output-dir", job: this.#job!, ...name };
  }

  #hostDocument(exit: ExitEvent): object {
    const { type: _type, job: _job, host, ...end } = exit;
    const streams = (["stdout", "stderr"] as const).flatMap((stream) => {
      const extent = this.#extents.get(fileName(host, stream));
      return extent === undefined ? [] : [[stream, extent] as const];
    });
    return {
      host,
      outcome: outcomeOf(exit),
      ...(withIsoTimes(end) as object),
      ...Object.fromEntries(streams),
    };
  }

  async #extent(file: string, offset: number): Promise<Extent> {
    let extent = this.#extents.get(file);
    if (extent !== undefined) return extent;
    // A run of the same job that was killed has written no extents: what it has written begins where streams begin, unless what
    // comes now does not reach it.
    const { size } = await stat(join(this.#path, file)).catch(() => ({ size: 0 }));
    extent = { base: offset <= size ? 0 : offset - size, size, gaps: [] };
    this.#extents.set(file, extent);
    return extent;
  }

  async #writeSummary(document: object): Promise<void> {
    const path = join(this.#path, summaryFile);
    await writeFile(`${path}.new`, `${jsonText(document, 2)}\n`);
    await rename(`${path}.new`, path);
  }
}

async function readDocument(path: string): Promise<Document | undefined> {
  try {
    const document = JSON.parse(await readFile(join(path, summaryFile), "utf8")) as Partial<Document> | null;
    return document?.outpost === "output-dir" && typeof document.job === "string"
      ? (document as Document)
      : undefined;
  } catch {
    return undefined;
  }
}

function isExtent(value: unknown): value is Extent {
  const { base, size, gaps } = (value ?? {}) as Partial<Extent>;
  return Number.isSafeInteger(base) && Number.isSafeInteger(size) && Array.isArray(gaps);
}

/** Checked again: a name that is not one must not become a path. */
const hostName = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** A name becomes a file's only if it can be nothing else. */
function fileName(host: string, stream: OutputName): string {
  if (!hostName.test(host)) {
    throw new OutpostError(ErrorCode.protocolError, `${JSON.stringify(host)} is no host's name`);
  }
  return `${host}.${stream}`;
}
