/**
 * What a job has left running in the background of a session's terminal: the processes that have its output open. They
 * carry no marks of the job, since their environment is the session's; the job's files are what tells them apart. So
 * what has closed them is left alone, and never is the shell one of them.
 *
 *     looking ──none hold the output──▶ over            end(): what is found is signalled from then on
 *        ▲─────┘ 3 ms, 6 ms, … 500 ms
 */
import type { Clock, RunStarted } from "@outpost/protocol";
import type { Platform, ProcessInfo } from "../platform/index.ts";
import { signalProcess } from "./process-tree.ts";
import { firstDrainMs, longestDrainMs } from "./running-job.ts";

export interface LeftoversOptions {
  readonly platform: Platform;
  readonly clock: Clock;
  readonly shell: RunStarted;
  /** Paths of the job's output. */
  readonly files: readonly string[];
  /** After each look that found some. */
  readonly held: () => void;
  /** Called once. */
  readonly over: () => void;
}

export class Leftovers {
  readonly #options: LeftoversOptions;
  /** pid → start time and signal: each gets each once, since a second SIGTERM means "now" to some programs. */
  readonly #signalled = new Map<number, string>();
  #signal: (() => "SIGTERM" | "SIGKILL") | undefined;
  #cancel: (() => void) | undefined;
  #waitMs = firstDrainMs;

  constructor(options: LeftoversOptions) {
    this.#options = options;
  }

  /** How many there are now. */
  get count(): number {
    return this.#find().length;
  }

  look(): void {
    const { clock, held, over } = this.#options;
    this.#cancel?.();
    const found = this.#find();
    if (found.length === 0) return over();
    if (this.#signal !== undefined) for (const info of found) this.#send(info, this.#signal());
    held();
    this.#cancel = clock.after(this.#waitMs, () => this.look());
    this.#waitMs = Math.min(this.#waitMs * 2, longestDrainMs);
  }

  /** Sends what `signal` says to all that are found, from now on. Called again, it looks at once. */
  end(signal: () => "SIGTERM" | "SIGKILL"): void {
    this.#signal = signal;
    this.#waitMs = firstDrainMs;
    this.look();
  }

  dispose(): void {
    this.#cancel?.();
  }

  #send({ pid, startTime }: ProcessInfo, signal: "SIGTERM" | "SIGKILL"): void {
    const sent = `${startTime} ${signal}`;
    if (this.#signalled.get(pid) === sent) return;
    this.#signalled.set(pid, sent);
    signalProcess(pid, signal);
    // A stopped process (SIGSTOP, Ctrl-Z) has to go on to die of SIGTERM.
    if (signal === "SIGTERM") signalProcess(pid, "SIGCONT");
  }

  #find(): ProcessInfo[] {
    const { platform, shell, files } = this.#options;
    const leader = platform.startTime(shell.pid);
    // Its number is somebody else's, which it becomes only when no process of the terminal's session is left.
    if (leader !== undefined && leader !== shell.startTime) return [];
    const members = membersOf(platform.processes(), shell.pid);
    if (members.size === 0) return [];
    const holders = platform.holders([...members.keys()], files);
    return holders.map((pid) => members.get(pid)).filter((info) => info !== undefined);
  }
}

/** The processes of the terminal's session, and where the system does not tell sessions (macOS), the shell's descendants. */
function membersOf(all: readonly ProcessInfo[], shell: number): Map<number, ProcessInfo> {
  const members = new Map<number, ProcessInfo>();
  for (const info of all) if (info.session === shell) members.set(info.pid, info);
  for (let found = true; found;) {
    found = false;
    for (const info of all) {
      if (members.has(info.pid) || !(info.parent === shell || members.has(info.parent))) continue;
      members.set(info.pid, info);
      found = true;
    }
  }
  members.delete(shell);
  return members;
}
