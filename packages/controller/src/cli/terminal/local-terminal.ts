/**
 * The terminal of this process. Whatever way out is taken, an uncaught error included, it is as it was before: echo and
 * line editing on, the alternate screen left, mouse and paste reports off.
 *
 *     cooked ──takeOver──▶ raw ──dispose, exit──▶ cooked
 *                           ▲ └──suspend, SIGSTOP──▶ stopped
 *                           └───────SIGCONT────────────┘
 */
import { spawnSync } from "node:child_process";
import { writeSync } from "node:fs";
import { limits } from "@outpost/protocol";
import { restoreModes } from "./sequences.ts";
import type { Terminal, TerminalListener, TerminalSize } from "./terminal.ts";
import { TerminalWriter } from "./terminal-writer.ts";

const endings = ["SIGHUP", "SIGTERM", "SIGINT", "SIGQUIT"] as const satisfies readonly NodeJS.Signals[];

/** How many pieces of what was typed may wait for those before them until the terminal is read no further. */
const maxTyping = 4;

export class LocalTerminal implements Terminal, Disposable {
  readonly #writer = new TerminalWriter();
  #resume: (() => void) | undefined;

  get size(): TerminalSize {
    return terminalSize();
  }

  write(data: Uint8Array | string): Promise<void> {
    return this.#writer.write(data);
  }

  takeOver(listener: TerminalListener): Disposable {
    const { stdin, stdout } = process;
    let isOurs = true;
    let typing = 0;
    let typed = Promise.resolve();
    const onData = (bytes: Uint8Array): void => {
      typing++;
      typed = typed
        .then(() => listener.typed(bytes))
        .finally(() => {
          // Resumed when it is not ours any more, it would keep the process alive.
          if (--typing === 0 && isOurs && stdin.isPaused()) stdin.resume();
        });
      // Pausing and resuming takes longer than a key does.
      if (typing > maxTyping) stdin.pause();
    };
    const onResize = (): void => listener.resized(terminalSize());
    const onContinue = (): void => {
      // The shell has set its own modes meanwhile; Node thinks that ours are still there.
      stdin.setRawMode(false);
      setRaw();
      listener.resumed();
    };
    this.#resume = onContinue;
    const onGone = (): void => listener.hungUp("SIGHUP");
    const restore = (): void => giveBack();
    const onSignal = (signal: NodeJS.Signals): void => listener.hungUp(signal);

    process.on("exit", restore);
    setRaw();
    stdin.on("data", onData).on("end", onGone).on("error", onGone);
    stdout.on("resize", onResize);
    process.on("SIGCONT", onContinue);
    for (const signal of endings) process.on(signal, onSignal);
    return {
      [Symbol.dispose]: () => {
        isOurs = false;
        this.#resume = undefined;
        process.off("exit", restore);
        stdin.off("data", onData).off("end", onGone);
        // A terminal that has gone says so again.
        stdin.off("error", onGone).on("error", () => {});
        stdout.off("resize", onResize);
        process.off("SIGCONT", onContinue);
        for (const signal of endings) process.off(signal, onSignal);
        stdin.pause();
        restore();
      },
    };
  }

  suspend(): void {
    giveBack();
    // The whole group, as the terminal's own Ctrl-Z: whoever started us waits with us.
    process.kill(0, "SIGTSTP");
    // Here again after SIGCONT, or at once where nobody could let us go on and the system does not stop us.
    setImmediate(() => this.#resume?.());
  }

  [Symbol.dispose](): void {
    this.#writer[Symbol.dispose]();
  }
}

/** Longer than `stty` ever takes, in milliseconds. */
const sttyMs = 1_000;

/**
 * Bytes as they are, both ways. Node's raw mode still makes CR LF of each LF that we write, and programs that move the
 * cursor down with LF (all of curses) would end up at the beginning of the line. 1.4 ms; without `stty` it stays so.
 */
function setRaw(): void {
  process.stdin.setRawMode(true);
  spawnSync("stty", ["-opost"], { stdio: [0, "ignore", "ignore"], timeout: sttyMs });
}

/** Synchronous: the process may be at its end. A terminal that has gone cannot be given back. */
function giveBack(): void {
  try {
    process.stdin.setRawMode(false);
    writeSync(1, restoreModes);
  } catch {
    // Nobody sees it.
  }
}

/** What terminals have that do not say. */
const usualSize: TerminalSize = { columns: 80, rows: 24 };

function terminalSize(): TerminalSize {
  const { columns, rows } = process.stdout;
  if (!(columns > 0 && rows > 0)) return usualSize;
  return { columns: Math.min(columns, limits.maxColumns), rows: Math.min(rows, limits.maxRows) };
}
