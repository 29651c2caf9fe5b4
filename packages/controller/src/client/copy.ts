/**
 * Copies: files to hosts and from hosts. A copy is a job like any other, whose standard input or output is a file stream; so
 * it is signed, checked, rolled out, resumed and stopped as jobs are.
 */
import { access, constants, mkdir } from "node:fs/promises";
import { findSources } from "@outpost/files";
import { ErrorCode, type HostName, type JobStatus, OutpostError } from "@outpost/protocol";
import type { CopyEvent, ProblemEvent } from "./copy-events.ts";
import { type CopyHost, DownloadHost, UploadHost } from "./copy-host.ts";
import { Reading } from "./copy-reading.ts";
import type { CheckEvent, ExitEvent, JobEvent, SummaryEvent } from "./events.ts";
import { withFailedChecks } from "./failed-checks.ts";
import type { Job } from "./job.ts";
import { Lines } from "./lines.ts";
import type { ReceiveOptions } from "./receive.ts";
import type { StartOptions } from "./start.ts";
import { summarise } from "./summary.ts";

/** As of every job, but for what makes it a copy. */
type CopyStartOptions = Omit<
  StartOptions,
  "command" | "input" | "sessions" | "busy" | "mode" | "receiving" | "retry" | "secrets" | "env"
>;

export interface CopyToOptions extends CopyStartOptions {
  /** Files and directories here. A link that is named is followed, links in directories are copied as links. `DIR/.` is a
   * directory's content. */
  readonly sources: readonly string[];
  /** Where they go, absolute or relative to the working directory there: into that directory, if it is one, else it is the
   * name of the one file or directory. */
  readonly path: string;
  /** True: `path` is a directory, made if need be. Default false, but for paths that end with `/`. */
  readonly into?: boolean | undefined;
}

export interface CopyFromOptions extends CopyStartOptions {
  /** Files and directories on the hosts, absolute or relative to the working directory there; may be patterns with `*`,
   * `?` and `[…]`. */
  readonly paths: readonly string[];
  /** Where they go: each host's into a folder of its name in there. Made if need be. */
  readonly directory: string;
  /** True: symbolic links that lead out of a host's folder are made, too. Default false: they are problems. */
  readonly allLinks?: boolean | undefined;
}

export interface ResumeCopyOptions extends Pick<CopyFromOptions, "directory" | "allLinks"> {
  /** The job of a `copyFrom`: an id, the beginning of one, or a name. */
  readonly job: string;
}

export type CopyEventsOptions = Pick<ReceiveOptions, "signal" | "leaveAwaited">;

/** What of the client is needed. */
interface Starter {
  start(options: StartOptions): Promise<Job>;
  job(text: string): Promise<Job>;
  spec(job: Job["id"]): Promise<{ readonly spec: { readonly command: StartOptions["command"] } }>;
}

/** A copy under way, as whoever started it holds it. */
export class Copy {
  readonly job: Job;
  readonly #hosts = new Map<HostName, CopyHost>();
  readonly #stderr = new Map<HostName, Lines>();
  readonly #done = new Set<string>();
  readonly #exits: ExitEvent[] = [];
  readonly #failedChecks: CheckEvent[] = [];
  readonly #receive: ReceiveOptions;
  readonly #reading: Reading | undefined;

  constructor(
    job: Job,
    hostOf: (host: HostName) => CopyHost,
    { reading, receive }: { readonly reading?: Reading; readonly receive: ReceiveOptions },
  ) {
    this.job = job;
    this.#reading = reading;
    this.#receive = receive;
    const wanted = receive.hosts === undefined ? undefined : new Set(receive.hosts);
    for (const { host } of job.hosts) {
      if (wanted?.has(host) ?? true) this.#hosts.set(host, hostOf(host));
    }
  }

  /** How many bytes of the stream were read here and sent; once for all hosts. Absent for downloads. */
  get sentBytes(): number | undefined {
    return this.#reading?.sentBytes;
  }

  /** How many bytes the files here have, as soon as that is known. */
  get totalBytes(): number | undefined {
    return this.#reading?.totalBytes;
  }

  /**
   * What happens, pulled: asking for the next says that the last one was handled. The first is the `plan`, the last the
   * `summary`. Of a download a host's files are acknowledged when all of them are written, and until then it keeps them; so
   * one that was ended early, also by a crash, can be taken up again with `Client.resumeCopy`.
   * @throws OutpostError as `Job.receive`; `disk_full`, `denied` and the like for what is wrong here
   */
  async *events(options: CopyEventsOptions = {}): AsyncGenerator<CopyEvent, void, void> {
    const unwritten = (host: string): number => (this.#done.has(host) ? 0 : Infinity);
    const isDownload = this.#reading === undefined;
    try {
      const received = this.job.receive({
        ...this.#receive,
        ...options,
        follow: true,
        ...(isDownload ? { unwritten } : {}),
      });
      for await (const event of received) {
        yield* this.#problemsHere();
        yield* await this.#eventsOf(event);
      }
    } finally {
      this.#reading?.end();
      for (const host of this.#hosts.values()) await host.abort();
    }
  }

  async #eventsOf(event: JobEvent): Promise<readonly CopyEvent[]> {
    switch (event.type) {
      case "start":
        return [];
      case "out": {
        const { host, stream, bytes, offset } = event;
        if (stream === "stderr") return this.#problems(host, this.#linesOf(host).push(bytes));
        return (await this.#hosts.get(host)?.take(bytes, offset)) ?? [];
      }
      case "gap":
        if (event.stream === "stdout") this.#hosts.get(event.host)?.gap(event);
        return [];
      case "exit":
        return this.#ended(event);
      case "summary":
        // Hosts that were not asked are none of ours.
        return [...(await this.#inputProblem()), this.#summary(event)];
      case "check":
        this.#failedChecks.push(event);
        return [event];
      default:
        return [event];
    }
  }

  #summary(event: SummaryEvent): SummaryEvent {
    const ours = summarise(this.job.id, withFailedChecks(this.#exits, this.#failedChecks));
    // The roll-out's own failures are the job's, and not in the hosts' ends.
    return { ...event, ...ours, exitCode: Math.max(event.exitCode, ours.exitCode) };
  }

  async #ended(exit: ExitEvent): Promise<readonly CopyEvent[]> {
    const { host } = exit;
    const copied = this.#hosts.get(host);
    const { events, hasFailed } = (await copied?.end(exit)) ?? { events: [], hasFailed: false };
    // Of one that has not ended more may come, and what came is needed again then.
    if (exit.ended) this.#done.add(host);
    const isFailure = exit.state === "completed" && hasFailed;
    const shown: ExitEvent = isFailure ? { ...exit, state: "failed", exit: { code: 1 } } : exit;
    this.#exits.push(shown);
    const { files = 0, bytes = 0 } = copied ?? {};
    const said = this.#problems(host, this.#linesOf(host).end());
    return [...events, ...said, { ...shown, files, bytes }];
  }

  #linesOf(host: HostName): Lines {
    const lines = this.#stderr.get(host) ?? new Lines();
    this.#stderr.set(host, lines);
    return lines;
  }

  #problems(host: HostName, lines: readonly string[]): readonly ProblemEvent[] {
    return lines.map((message) => ({ type: "problem", job: this.job.id, host, message }));
  }

  #problemsHere(): readonly ProblemEvent[] {
    const problems = this.#reading?.problems.splice(0) ?? [];
    return problems.map(({ path, message }) => {
      return { type: "problem", job: this.job.id, path, message: `${path}: ${message}` };
    });
  }

  async #inputProblem(): Promise<readonly CopyEvent[]> {
    const failure = await this.#reading?.failure();
    if (failure === undefined) return this.#problemsHere();
    const message = `the files could not be sent: ${failure.message}`;
    return [...this.#problemsHere(), { type: "problem", job: this.job.id, message }];
  }
}

/** @see Client.copyTo */
export async function copyTo(client: Starter, options: CopyToOptions): Promise<Copy> {
  const { sources, path, into, ...start } = options;
  const found = await findSources(sources, { pipes: true });
  const [missing] = found.missing;
  if (missing !== undefined) {
    throw new OutpostError(ErrorCode.notFound, `${missing.path}: ${missing.message}`, {
      data: { path: missing.path },
    });
  }
  const reading = new Reading(found);
  const job = await reading.startedWith((input) =>
    client.start({ ...start, command: putCommand({ path, into }), input, receiving: true }),
  );
  return new Copy(job, (host) => new UploadHost({ job: job.id, host }), { reading, receive: {} });
}

/** What the hosts are asked for. */
export function putCommand({
  path,
  into = path.endsWith("/"),
}: Pick<CopyToOptions, "path" | "into">): StartOptions["command"] & { kind: "put" } {
  return { kind: "put", path: path === "" ? "." : path, into };
}

/** @see Client.copyFrom */
export async function copyFrom(client: Starter, options: CopyFromOptions): Promise<Copy> {
  const { paths, directory, allLinks = false, ...start } = options;
  await checkDirectory(directory);
  const command = { kind: "get", paths: paths.map((path) => (path === "" ? "." : path)) } as const;
  const job = await client.start({ ...start, command, receiving: true });
  return new Copy(job, downloadTo(job, directory, allLinks), { receive: {} });
}

/** @see Client.resumeCopy */
export async function resumeCopy(client: Starter, options: ResumeCopyOptions): Promise<Copy | undefined> {
  const { directory, allLinks = false } = options;
  const job = await client.job(options.job);
  const { spec } = await client.spec(job.id);
  if (spec.command.kind !== "get") {
    throw new OutpostError(
      ErrorCode.invalidArgument,
      `the job ${job.name ?? job.id} copies nothing from hosts, so there is nothing to take up`,
    );
  }
  await checkDirectory(directory);
  const { jobs } = await job.show();
  // What a host has forgotten before it was received is missing, and has to be told.
  const hosts = jobs.filter(({ status }) => !isComplete(status)).map(({ host }) => host);
  if (hosts.length === 0) return undefined;
  return new Copy(job, downloadTo(job, directory, allLinks), { receive: { hosts, fromStart: true } });
}

/** All of it was written here once. */
function isComplete({ removed, output: { stdout } }: JobStatus): boolean {
  return removed === true && stdout.received >= stdout.written;
}

function downloadTo(job: Job, directory: string, allLinks: boolean): (host: HostName) => CopyHost {
  return (host) => new DownloadHost({ job: job.id, host, directory, allLinks });
}

/** Before anything is started. @throws OutpostError `denied`, `conflict` */
async function checkDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
    await access(directory, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isInTheWay = code === "EEXIST" || code === "ENOTDIR";
    throw new OutpostError(
      isInTheWay ? ErrorCode.conflict : ErrorCode.denied,
      isInTheWay
        ? `${directory} is no directory, and every host gets a folder in it`
        : `${directory} cannot be written to`,
      { cause: error },
    );
  }
}
