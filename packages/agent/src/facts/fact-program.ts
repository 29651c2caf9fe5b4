/** Runs one program of `facts.d` and takes what it prints. What it starts and what prints there ends with it. */
import { type ChildProcess, spawn } from "node:child_process";
import { homedir } from "node:os";

export interface FactProgramOptions {
  /** How long it may take, in milliseconds. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export type ProgramResult = { readonly text: string } | { readonly problem: string };

/** The most that a program may print, in bytes. */
export const maxPrintedBytes = 64 * 1024;

/** So much of what it says on stderr is told when it fails, in bytes. */
const maxComplaintBytes = 300;

/** Never rejects. */
export function runFactProgram(file: string, options: FactProgramOptions): Promise<ProgramResult> {
  return new Promise((resolve) => {
    try {
      new FactProgram(file, options, resolve);
    } catch (error) {
      // Node throws some failures, and tells of others by an event.
      resolve({ problem: startProblem(error as Error) });
    }
  });
}

class FactProgram {
  readonly #child: ChildProcess;
  readonly #resolve: (result: ProgramResult) => void;
  readonly #printed: Buffer[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #options: FactProgramOptions;
  #printedBytes = 0;
  #complaint = "";
  #hasClosed = false;
  #isDone = false;
  readonly #onAbort = (): void => this.#done({ problem: "was interrupted" });

  constructor(file: string, options: FactProgramOptions, resolve: (result: ProgramResult) => void) {
    this.#options = options;
    this.#resolve = resolve;
    const { timeoutMs, signal } = options;
    // A group of its own, so that all of it can be ended. As little of our environment as programs need.
    const child: ChildProcess = spawn(file, [], {
      cwd: "/",
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        HOME: homedir(),
        LC_ALL: "C",
      },
    });
    this.#child = child;
    this.#timer = setTimeout(() => {
      this.#done({ problem: `took longer than ${String(timeoutMs / 1_000)} s and was ended` });
    }, timeoutMs);
    signal?.addEventListener("abort", this.#onAbort);
    child.on("error", (error) => this.#done({ problem: startProblem(error) }));
    // Not there when no descriptors are left.
    child.stdout?.on("data", (bytes: Buffer) => this.#print(bytes));
    child.stderr?.on("data", (bytes: Buffer) => {
      if (this.#complaint.length < maxComplaintBytes) this.#complaint += bytes.toString();
    });
    child.on("close", (code, killed) => this.#closed(code, killed));
    if (signal?.aborted === true) this.#onAbort();
  }

  #print(bytes: Buffer): void {
    this.#printedBytes += bytes.byteLength;
    if (this.#printedBytes > maxPrintedBytes) {
      this.#done({ problem: `printed more than ${String(maxPrintedBytes)} bytes and was ended` });
    } else this.#printed.push(bytes);
  }

  #closed(code: number | null, killed: NodeJS.Signals | null): void {
    this.#hasClosed = true;
    if (code === 0) {
      this.#done({ text: Buffer.concat(this.#printed).toString() });
      return;
    }
    const [first = ""] = this.#complaint.trim().slice(0, maxComplaintBytes).split("\n");
    const how = code === null ? `was ended by ${String(killed)}` : `failed with exit code ${String(code)}`;
    this.#done({ problem: first === "" ? how : `${how}: ${first}` });
  }

  #done(result: ProgramResult): void {
    if (this.#isDone) return;
    this.#isDone = true;
    clearTimeout(this.#timer);
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    // As long as somebody holds its output the group is there, and its number nobody else's.
    if (!this.#hasClosed) endGroup(this.#child);
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
    this.#child.unref();
    this.#resolve(result);
  }
}

/** Also when the program itself has ended: what it has left running would run for ever, one more every ten minutes. */
function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Nobody is left of it.
  }
}

function startProblem(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOEXEC")
    return "cannot be run: it is no program of this machine, or a script without a #! line";
  if (code === "ETXTBSY") return "cannot be run: somebody is writing to it";
  if (code === "ENOENT") return "cannot be run: the interpreter of its #! line is not there";
  return `cannot be run: ${String(code ?? error.message)}`;
}
