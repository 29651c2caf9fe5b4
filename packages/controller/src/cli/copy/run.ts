/**
 * A copy that is started and followed to its end.
 *
 *     running ──Ctrl-C──▶ stopping ──Ctrl-C──▶ left to end by itself
 *        └────────────────────┴───────────────▶ ended
 */
import { ExitCode } from "../../client/exit-code.ts";
import { putCommand } from "../../client/copy.ts";
import type { Client, Copy, CopyEvent, CopyFromOptions, StartOptions } from "../../client/index.ts";
import type { OutputFormat } from "../command.ts";
import { dieOfInterrupt, onInterrupt, onTermination } from "../interrupts.ts";
import { showPlan } from "../plan.ts";
import { foldedNames } from "../render/names.ts";
import { say } from "../render/sink.ts";
import { RolloutFollower } from "../rollout-follower.ts";
import { sayOrder } from "../say-order.ts";
import { UsageError } from "../usage-error.ts";
import type { CopyRequest } from "./request.ts";
import { CopyRendering } from "./rendering.ts";

export interface WantedCopy {
  readonly request: CopyRequest;
  readonly start: Omit<CopyFromOptions, "paths" | "directory" | "allLinks" | "targets">;
  readonly into: boolean;
  readonly allLinks: boolean;
}

export interface CopyOutput {
  readonly format: OutputFormat;
  readonly progress: boolean;
}

/** @returns the exit code */
export async function runCopy(client: Client, wanted: WantedCopy, output: CopyOutput): Promise<number> {
  const run = new CopyRun(wanted, output);
  using _interrupts = onInterrupt((count) => run.interrupted(count));
  await sayOrder({ command: { kind: "exec", argv: [] }, ...wanted.start });
  const copy = await started(client, wanted);
  if (copy !== undefined) return await run.follow(copy);
  await say("nothing is left to copy: all of it has been written");
  return ExitCode.succeeded;
}

/** `--plan`. @returns the exit code */
export async function showCopyPlan(
  client: Client,
  wanted: WantedCopy,
  format: OutputFormat,
): Promise<number> {
  const { request, start, into } = wanted;
  if (request.kind === "resume")
    throw new UsageError("--resume goes on with a job, and plans nothing", "copy");
  const command: StartOptions["command"] =
    request.kind === "to"
      ? putCommand({ path: request.path, ...(into ? { into } : {}) })
      : { kind: "get", paths: [...request.paths] };
  return showPlan(client, { ...start, targets: request.targets, command }, format);
}

async function started(
  client: Client,
  { request, start, into, allLinks }: WantedCopy,
): Promise<Copy | undefined> {
  switch (request.kind) {
    case "to": {
      const { kind: _kind, ...what } = request;
      return client.copyTo({ ...start, ...what, ...(into ? { into } : {}) });
    }
    case "from": {
      const { kind: _kind, ...what } = request;
      return client.copyFrom({ ...start, ...what, allLinks });
    }
    case "resume":
      return client.resumeCopy({ job: request.job, directory: request.directory, allLinks });
    default:
      return request satisfies never;
  }
}

class CopyRun {
  readonly #wanted: WantedCopy;
  readonly #rendering: CopyRendering;
  readonly #narrates: boolean;
  readonly #leaving = new AbortController();
  readonly #unfinished = new Set<string>();
  #copy: Copy | undefined;
  #follower: RolloutFollower | undefined;
  #interrupts = 0;
  #endedBy: NodeJS.Signals | undefined;
  #exitCode: number = ExitCode.succeeded;

  constructor(wanted: WantedCopy, output: CopyOutput) {
    this.#wanted = wanted;
    this.#rendering = new CopyRendering(output);
    this.#narrates = output.format === "text";
  }

  async follow(copy: Copy): Promise<number> {
    const { job } = copy;
    this.#copy = copy;
    for (const { host } of job.hosts) this.#unfinished.add(host);
    if (this.#interrupts > 0) void this.#stop(copy);
    if (job.rollout !== undefined) {
      const leave = (): void => this.#leaving.abort();
      this.#follower = new RolloutFollower({
        job,
        asks: true,
        narrates: this.#narrates,
        leave,
      });
    }
    // What was under way is removed here, too.
    using _termination = onTermination((signal) => {
      this.#endedBy = signal;
      this.#leaving.abort();
    });
    this.#rendering.begin(copy);
    try {
      return await this.#events(copy);
    } catch (error) {
      await this.#rendering.finish();
      if (this.#leaving.signal.aborted && this.#endedBy === undefined) return await this.#left(copy);
      if (this.#isDownload)
        await say(
          `nothing is lost: the hosts keep it for outpost copy --resume ${job.id} ${this.#directory}`,
        );
      if (this.#endedBy === undefined) throw error;
      process.kill(process.pid, this.#endedBy);
      return ExitCode.interrupted;
    } finally {
      this.#follower?.[Symbol.dispose]();
    }
  }

  interrupted(count: number): void {
    this.#interrupts = count;
    this.#follower?.interrupted();
    const copy = this.#copy;
    if (count === 1) {
      if (copy !== undefined) void this.#stop(copy);
    } else if (count === 2 && copy !== undefined) this.#leaving.abort();
    else dieOfInterrupt();
  }

  get #isDownload(): boolean {
    return this.#wanted.request.kind !== "to";
  }

  get #directory(): string {
    const { request } = this.#wanted;
    return request.kind === "to" ? "" : request.directory;
  }

  async #events(copy: Copy): Promise<number> {
    const leaveAwaited = this.#wanted.start.offline === "queue";
    for await (const event of copy.events({ leaveAwaited, signal: this.#leaving.signal })) {
      await this.#rendering.event(event);
      await this.#note(event);
    }
    await this.#rendering.finish();
    if (this.#interrupts === 0) return this.#exitCode;
    // What was stopped is wanted by nobody.
    if (this.#isDownload) await copy.job.remove({ force: true }).catch(() => {});
    return ExitCode.interrupted;
  }

  async #note(event: CopyEvent): Promise<void> {
    if (event.type === "summary") {
      this.#exitCode = event.exitCode;
      await this.#sayQueued(event.queued);
    }
    if (event.type === "exit" && event.ended) this.#unfinished.delete(event.host);
    if (event.type === "exit" || event.type === "rollout") await this.#follower?.event(event);
  }

  async #sayQueued(queued: readonly string[]): Promise<void> {
    const job = this.#copy!.job;
    if (queued.length === 0) return;
    const next = this.#isDownload
      ? `receive that with: outpost copy --resume ${job.id} ${this.#directory}`
      : `see: outpost job show ${job.id}`;
    await say(
      `${await foldedNames(queued)}: offline; copied when they are back, if that is in time; ${next}`,
    );
  }

  async #stop(copy: Copy): Promise<void> {
    await say(
      `interrupted; stopping ${await foldedNames([...this.#unfinished])} (Ctrl-C again: leave without waiting)`,
    );
    try {
      const jobs = await copy.job.stop();
      const waiting = jobs.filter((each) => each.waiting === "stop").map(({ host }) => host as string);
      if (waiting.length === 0) return;
      await say(`${await foldedNames(waiting)}: unreachable; stopped when connected again`);
      const away = new Set(waiting);
      if ([...this.#unfinished].every((host) => away.has(host))) this.#leaving.abort();
    } catch (error) {
      if (this.#leaving.signal.aborted) return;
      await say(`could not stop it: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  async #left({ job }: Copy): Promise<number> {
    if (this.#interrupts === 0) {
      await say(
        `left paused. To go on: outpost job resume ${job.id}; to stop it: outpost job stop ${job.id}`,
      );
      return this.#exitCode;
    }
    await say(
      `left before it ended on ${await foldedNames([...this.#unfinished])}; see: outpost job show ${job.id}`,
    );
    return ExitCode.interrupted;
  }
}
