/** A person's terminal: a program on a real PTY, keys typed into it, and the screen that the person would see. */
import { spawn, type IPty } from "@lydell/node-pty";
import xterm from "@xterm/headless";
import { eventually } from "./wait.ts";

export interface TerminalOptions {
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Default 80 and 24. */
  readonly columns?: number;
  readonly rows?: number;
}

export class TestTerminal implements AsyncDisposable {
  /** Everything that the program has written, as it came. */
  raw = "";
  /** Set when the program has ended. */
  exitCode: number | undefined;
  readonly #pty: IPty;
  readonly #emulator: InstanceType<typeof xterm.Terminal>;
  readonly #exited: Promise<void>;

  constructor({ argv, env, columns = 80, rows = 24 }: TerminalOptions) {
    const [program, ...args] = argv;
    const text = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
    this.#pty = spawn(program!, args, {
      name: "xterm-256color",
      cols: columns,
      rows,
      env: { ...Object.fromEntries(text), TERM: "xterm-256color" },
    });
    this.#emulator = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true, scrollback: 10_000 });
    this.#pty.onData((data) => {
      this.raw += data;
      this.#emulator.write(data);
    });
    // What programs ask of a terminal, a terminal answers.
    this.#emulator.onData((answer) => this.#pty.write(answer));
    this.#exited = new Promise((resolve) =>
      this.#pty.onExit(({ exitCode }) => {
        this.exitCode = exitCode;
        resolve();
      }),
    );
  }

  get pid(): number {
    return this.#pty.pid;
  }

  type(text: string): void {
    this.#pty.write(text);
  }

  resize(columns: number, rows: number): void {
    this.#pty.resize(columns, rows);
    this.#emulator.resize(columns, rows);
  }

  /** As long as it is held, the terminal takes nothing: the program's writes to it wait. */
  hold(): void {
    this.#pty.pause();
  }

  release(): void {
    this.#pty.resume();
  }

  kill(signal: NodeJS.Signals): void {
    process.kill(this.#pty.pid, signal);
  }

  /** The lines on the screen, without the blanks at their ends and the empty lines at the bottom. */
  screen(): string {
    const { active } = this.#emulator.buffer;
    const lines = Array.from({ length: this.#emulator.rows }, (_, row) =>
      (active.getLine(active.viewportY + row)?.translateToString(true) ?? "").trimEnd(),
    );
    return lines.join("\n").trimEnd();
  }

  /** True while a full-screen program has the alternate screen. */
  get isAlternate(): boolean {
    return this.#emulator.buffer.active.type === "alternate";
  }

  /** Waits until the screen shows it. */
  async shows(wanted: string | RegExp, withinMs?: number): Promise<string> {
    try {
      return await eventually(
        () => {
          const screen = this.screen();
          const found = typeof wanted === "string" ? screen.includes(wanted) : wanted.test(screen);
          return found ? screen : undefined;
        },
        { what: String(wanted), ...(withinMs === undefined ? {} : { withinMs }) },
      );
    } catch (error) {
      throw new Error(`${String(wanted)} is not on the screen:\n${this.screen()}`, { cause: error });
    }
  }

  /** Waits for the program's end, and until what it wrote is on the screen. */
  async ended(): Promise<number> {
    await this.#exited;
    await new Promise<void>((resolve) => this.#emulator.write("", resolve));
    return this.exitCode!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.exitCode === undefined) {
      this.#pty.resume();
      this.#pty.kill("SIGHUP");
      const timer = setTimeout(() => this.#pty.kill("SIGKILL"), 3_000);
      await this.#exited;
      clearTimeout(timer);
    }
    this.#emulator.dispose();
  }
}
