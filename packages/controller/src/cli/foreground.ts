/**
 * A job that is started and followed to its end. Of a job that waits for hosts which are offline, to the end of the others.
 *
 *     running ──Ctrl-C──▶ stopping ──Ctrl-C──▶ left to end by itself
 *      │ └────────────────────┴───────────────▶ ended
 *      └──"leave it paused"──▶ left
 */
import { setImmediate } from "node:timers/promises";
import { ExitCode, exitCodeOf } from "../client/exit-code.ts";
import type { Client, Job, JobEvent, StartOptions } from "../client/index.ts";
import { defaultExpiresMs } from "../client/start.ts";
import { dieOfInterrupt, onInterrupt } from "./interrupts.ts";
import type { Renderer, RendererOptions } from "./render/renderer.ts";
import { rendererFor } from "./render/renderer-for.ts";
import { clockText } from "./render/ending.ts";
import { isBrokenPipe, say } from "./render/sink.ts";
import { foldedNames } from "./render/names.ts";
import type { RolloutFollower } from "./rollout-follower.ts";

/** @returns the exit code */
export async function runInForeground(
  client: Client,
  options: StartOptions,
  rendering: RendererOptions,
): Promise<number> {
  const renderer = await rendererFor(rendering);
  const run = new ForegroundRun(renderer, options, rendering);
  using _interrupts = onInterrupt((count) => run.interrupted(count));
  if (options.rollout !== undefined) await (await import("./say-order.ts")).sayOrder(options);
  return await run.follow(await client.start({ ...options, receiving: true }));
}

class ForegroundRun {
  readonly #renderer: Renderer;
  readonly #options: StartOptions;
  readonly #narrates: boolean;
  readonly #leaving = new AbortController();
  readonly #unfinished = new Set<string>();
  #job: Job | undefined;
  #follower: RolloutFollower | undefined;
  /** The highest of the hosts' that have ended. */
  #exitCode: number = ExitCode.succeeded;
  #queued: readonly string[] = [];
  #interrupts = 0;
  /** The controller has answered: it has told the hosts, or tells them when they are connected again. */
  #stopArrived = false;

  constructor(renderer: Renderer, options: StartOptions, { format }: RendererOptions) {
    this.#renderer = renderer;
    this.#options = options;
    this.#narrates = format !== "json" && format !== "ndjson";
  }

  async follow(job: Job): Promise<number> {
    this.#job = job;
    for (const { host } of job.hosts) this.#unfinished.add(host);
    if (this.#interrupts > 0) void this.#stop(job);
    try {
      this.#follower = await this.#followerOf(job);
      return await this.#receive(job);
    } catch (error) {
      // Nobody reads on: the job's output has no place to go, as for any program in a pipe.
      if (isBrokenPipe(error)) await job.stop();
      if (!this.#leaving.signal.aborted) throw error;
      return await this.#left(job);
    } finally {
      this.#follower?.[Symbol.dispose]();
      // Somebody may still be typing; and only then: to look at `process.stdin` is to open it.
      if (job.input !== undefined) process.stdin.destroy();
    }
  }

  interrupted(count: number): void {
    this.#interrupts = count;
    this.#follower?.interrupted();
    const job = this.#job;
    // Before the controller's answer there is nothing to name; `follow` stops it when it is there.
    if (count === 1) {
      if (job !== undefined) void this.#stop(job);
      return;
    }
    if (count === 2 && job !== undefined) {
      this.#leave();
      return;
    }
    dieOfInterrupt();
  }

  async #followerOf(job: Job): Promise<RolloutFollower | undefined> {
    if (job.rollout === undefined) return undefined;
    const { RolloutFollower } = await import("./rollout-follower.ts");
    return new RolloutFollower({
      job,
      asks: true,
      narrates: this.#narrates,
      leave: () => this.#leave(),
    });
  }

  /** Shows what has come, and ends the receive. */
  #leave(): void {
    void this.#renderer
      .interrupted()
      .catch(() => {})
      .finally(() => this.#leaving.abort());
  }

  async #receive(job: Job): Promise<number> {
    const renderer = this.#renderer;
    const unwritten = renderer.unwritten.bind(renderer);
    const leaveAwaited = this.#options.offline === "queue";
    const { signal } = this.#leaving;
    for await (const event of job.receive({ follow: true, leaveAwaited, unwritten, signal })) {
      await this.#renderer.event(event);
      this.#note(event);
      await this.#follower?.event(event);
    }
    await this.#renderer.finish();
    await this.#inputProblem(job);
    await this.#sayQueued(job);
    return this.#interrupts > 0 ? ExitCode.interrupted : this.#exitCode;
  }

  #note(event: JobEvent): void {
    if (event.type === "summary") {
      this.#exitCode = event.exitCode;
      this.#queued = event.queued;
    } else if (event.type === "exit" && event.ended) {
      this.#unfinished.delete(event.host);
      this.#exitCode = Math.max(this.#exitCode, exitCodeOf(event));
    }
  }

  async #sayQueued({ id, name }: Job): Promise<void> {
    if (this.#queued.length === 0) return;
    const until = clockText(Date.now() + (this.#options.expiresInMs ?? defaultExpiresMs));
    await say(
      `${await foldedNames(this.#queued)}: offline; what comes back until ${until} runs it then. ` +
        `Receive that with: outpost job receive ${name ?? id} --follow`,
    );
  }

  async #stop(job: Job): Promise<void> {
    await say(
      `interrupted; stopping ${await foldedNames([...this.#unfinished])} (Ctrl-C again: leave without waiting)`,
    );
    try {
      const jobs = await job.stop();
      this.#stopArrived = true;
      const waiting = jobs.filter((each) => each.waiting === "stop").map(({ host }) => host as string);
      if (waiting.length === 0) return;
      await say(`${await foldedNames(waiting)}: unreachable; stopped when connected again`);
      const away = new Set(waiting);
      if ([...this.#unfinished].every((host) => away.has(host))) this.#leave();
    } catch (error) {
      if (this.#leaving.signal.aborted) return;
      await say(`could not stop it: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  async #left(job: Job): Promise<number> {
    await this.#renderer.finish();
    if (this.#interrupts === 0) {
      const { id, name } = job;
      await say(
        `left paused. To go on: outpost job resume ${name ?? id}; to stop it: outpost job stop ${name ?? id}; ` +
          `the rest of the output: outpost job receive ${name ?? id} --follow`,
      );
      return this.#exitCode;
    }
    await say(leftText(job.id, await foldedNames([...this.#unfinished]), this.#stopArrived));
    return ExitCode.interrupted;
  }

  async #inputProblem(job: Job): Promise<void> {
    if (job.input === undefined || this.#unfinished.size > 0) return;
    // It has failed by now, or never will: every job has ended.
    let problem: string | undefined;
    job.input.catch((error: unknown) => (problem = inputText(error)));
    await setImmediate();
    if (problem !== undefined) await say(problem);
  }
}

function inputText(error: unknown): string {
  return `standard input: ${error instanceof Error ? error.message : String(error)}`;
}

/** What becomes of a job that is left while it is being stopped. */
function leftText(job: string, hosts: string, stopArrived: boolean): string {
  const fate = stopArrived
    ? "it was told to stop, and what resists that is killed after its grace period"
    : `whether the stop arrived is not known: see outpost job show ${job}, and outpost job stop ${job}`;
  return `left before it ended on ${hosts}; ${fate}. Take its output up again with: outpost job receive ${job} --follow`;
}
