/**
 * A job that is started and followed to its end.
 *
 *     running ──Ctrl-C──▶ stopping ──Ctrl-C──▶ left to end by itself
 *        └────────────────────┴───────────────▶ ended
 */
import { setImmediate } from "node:timers/promises";
import { ExitCode } from "../client/exit-code.ts";
import type { Client, Job, JobEvent, StartOptions } from "../client/index.ts";
import { dieOfInterrupt, onInterrupt } from "./interrupts.ts";
import { rendererFor, type Renderer, type RendererOptions } from "./render/renderer.ts";
import { isBrokenPipe, say } from "./render/sink.ts";
import { namesText } from "./render/summary.ts";

/** @returns the exit code */
export async function runInForeground(
  client: Client,
  options: StartOptions,
  rendering: RendererOptions,
): Promise<number> {
  const renderer = await rendererFor(rendering);
  const run = new ForegroundRun(renderer);
  using _interrupts = onInterrupt((count) => run.interrupted(count));
  return await run.follow(await client.start({ ...options, receiving: true }));
}

class ForegroundRun {
  readonly #renderer: Renderer;
  readonly #leaving = new AbortController();
  readonly #unfinished = new Set<string>();
  #job: Job | undefined;
  #interrupts = 0;
  /** The controller has answered: it has told the hosts, or tells them when they are connected again. */
  #stopArrived = false;

  constructor(renderer: Renderer) {
    this.#renderer = renderer;
  }

  async follow(job: Job): Promise<number> {
    this.#job = job;
    for (const { host } of job.hosts) this.#unfinished.add(host);
    if (this.#interrupts > 0) void this.#stop(job);
    try {
      return await this.#receive(job);
    } catch (error) {
      // Nobody reads on: the job's output has no place to go, as for any program in a pipe.
      if (isBrokenPipe(error)) await job.stop();
      if (!this.#leaving.signal.aborted) throw error;
      return await this.#left(job);
    } finally {
      // Somebody may still be typing; and only then: to look at `process.stdin` is to open it.
      if (job.input !== undefined) process.stdin.destroy();
    }
  }

  interrupted(count: number): void {
    this.#interrupts = count;
    const job = this.#job;
    // Before the controller's answer there is nothing to name; `follow` stops it when it is there.
    if (count === 1) {
      if (job !== undefined) void this.#stop(job);
      return;
    }
    if (count === 2 && job !== undefined) {
      this.#leaving.abort();
      return;
    }
    dieOfInterrupt();
  }

  async #receive(job: Job): Promise<number> {
    let exitCode: number = ExitCode.succeeded;
    const renderer = this.#renderer;
    const unwritten = renderer.unwritten.bind(renderer);
    for await (const event of job.receive({ follow: true, unwritten, signal: this.#leaving.signal })) {
      await this.#renderer.event(event);
      if (event.type === "summary") exitCode = event.exitCode;
      this.#note(event);
    }
    await this.#renderer.finish();
    await this.#inputProblem(job);
    return this.#interrupts > 0 ? ExitCode.interrupted : exitCode;
  }

  #note(event: JobEvent): void {
    if (event.type === "exit" && event.ended) this.#unfinished.delete(event.host);
  }

  async #stop(job: Job): Promise<void> {
    await say(
      `interrupted; stopping ${namesText([...this.#unfinished])} (Ctrl-C again: leave without waiting)`,
    );
    try {
      const jobs = await job.stop();
      this.#stopArrived = true;
      const waiting = jobs.filter((each) => each.waiting === "stop").map(({ host }) => host as string);
      if (waiting.length === 0) return;
      await say(`${namesText(waiting)}: unreachable; stopped when connected again`);
      if ([...this.#unfinished].every((host) => waiting.includes(host))) this.#leaving.abort();
    } catch (error) {
      if (this.#leaving.signal.aborted) return;
      await say(`could not stop it: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  async #left(job: Job): Promise<number> {
    await this.#renderer.finish();
    await say(leftText(job.id, namesText([...this.#unfinished]), this.#stopArrived));
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
