/** Runs `agent.py`, the agent that was written from docs/protocol.md alone. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const program = join(import.meta.dirname, "agent.py");

/** Why the contract cannot be tested here, or `undefined`. */
export function missing(): string | undefined {
  const has = (command: string, ...args: string[]): boolean => {
    try {
      execFileSync(command, args, { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  };
  if (!has("python3", "-c", "import sys, ssl; sys.exit(sys.version_info < (3, 9) or not ssl.HAS_TLSv1_3)"))
    return "python3 ≥ 3.9 with TLS 1.3 is not there";
  if (!has("openssl", "version")) return "openssl is not there";
  return undefined;
}

export class PythonAgent implements AsyncDisposable {
  readonly directory: string;
  #process: ChildProcess | undefined;
  #said = "";

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async create(): Promise<PythonAgent> {
    return new PythonAgent(await mkdtemp(join(tmpdir(), "outpost-python-")));
  }

  /** Everything it wrote, for messages of failed tests. */
  get said(): string {
    return this.#said;
  }

  /** Enrols. Resolves with the exit code. */
  join(url: string, token: string, name: string): Promise<number | null> {
    return this.#run(["join", url, token, name, this.directory]);
  }

  /** Connects and serves until the connection ends; resolves with the exit code then. */
  run(): Promise<number | null> {
    return this.#run(["run", this.directory]);
  }

  kill(): void {
    this.#process?.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await rm(this.directory, { recursive: true, force: true });
  }

  #run(args: readonly string[]): Promise<number | null> {
    return new Promise((resolve, reject) => {
      const child = spawn("python3", [program, ...args], { stdio: ["ignore", "pipe", "pipe"] });
      this.#process = child;
      child.stdout.on("data", (data: Buffer) => (this.#said += data.toString()));
      child.stderr.on("data", (data: Buffer) => (this.#said += data.toString()));
      child.on("error", reject);
      child.on("close", resolve);
    });
  }
}
