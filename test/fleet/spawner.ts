/**
 * Starts the wrappers of many agents that share a process. An agent forks itself for each job, and the kernel copies the
 * page tables of what forks: of one agent that is 1 ms, of a hundred in one process 7 ms, which no host has. So a small
 * process forks for all of them; what it starts, and as what, is the same.
 */
import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import type { StartProcess } from "../../packages/agent/src/jobs/launcher.ts";

const program = join(import.meta.dirname, "spawner-process.ts");

/** What the spawner is asked for. */
export interface StartOrder {
  readonly id: number;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Paths of the descriptors that are handed over; `null`: `/dev/null`. */
  readonly stdio: readonly (string | null)[];
}

/** It has started, it could not be started, or it has ended. */
export type StartReport =
  | { readonly id: number; readonly pid: number }
  | { readonly id: number; readonly failed: string }
  | { readonly id: number; readonly ended: true };

interface Waiting {
  readonly started: (pid: number) => void;
  readonly failed: (error: Error) => void;
}

export class Spawner {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #running = new Map<number, { ended: boolean; listeners: (() => void)[] }>();
  #last = 0;

  constructor() {
    this.#child = fork(program, [], { execArgv: ["--conditions=source"] });
    this.#child.on("message", (reports: StartReport[]) => {
      for (const report of reports) this.#reported(report);
    });
    // It ends with the channel, so with us.
    this.#child.unref();
    this.#child.channel?.unref();
  }

  readonly start: StartProcess = async (argv, { cwd, environment, stdio }) => {
    const id = ++this.#last;
    const paths = stdio.map((each) =>
      each === "ignore" ? null : `/proc/${String(process.pid)}/fd/${String(each)}`,
    );
    const running = { ended: false, listeners: [] as (() => void)[] };
    this.#running.set(id, running);
    const order: StartOrder = { id, argv, cwd, environment, stdio: paths };
    const pid = await new Promise<number>((started, failed) => {
      this.#waiting.set(id, { started, failed });
      this.#child.send(order);
    });
    return {
      pid,
      onExit(listener) {
        if (running.ended) listener();
        else running.listeners.push(listener);
      },
    };
  };

  #reported(report: StartReport): void {
    const { id } = report;
    if ("pid" in report) this.#waiting.get(id)?.started(report.pid);
    else if ("failed" in report) this.#waiting.get(id)?.failed(new Error(report.failed));
    if ("pid" in report || "failed" in report) this.#waiting.delete(id);
    if ("pid" in report) return;
    const running = this.#running.get(id);
    this.#running.delete(id);
    if (running === undefined) return;
    running.ended = true;
    for (const listener of running.listeners) listener();
  }
}
