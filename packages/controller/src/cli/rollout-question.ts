/**
 * The question between the stages of a roll-out, on the terminal, while events go on coming.
 *
 *     asking ──y──▶ resume       ──n──▶ stop       ──l, end of input──▶ leave       ──somebody else──▶ taken back
 */
import { createInterface, type Interface } from "node:readline";
import { isatty } from "node:tty";
import { printable } from "./render/printable.ts";
import { stderr } from "./render/sink.ts";

export type Answer = "yes" | "no" | "leave";

/** Whether there is somebody to ask. @param takesInput true: what is typed is the job's standard input */
export function canAsk(takesInput: boolean): boolean {
  return !takesInput && isatty(0) && isatty(2);
}

export class RolloutQuestion {
  readonly #text: string;
  readonly #taken = Promise.withResolvers<undefined>();
  #lines: Interface | undefined;

  /** @param text without the answers to choose from */
  constructor(text: string) {
    this.#text = text;
  }

  /** @returns undefined when it was taken back */
  async answer(): Promise<Answer | undefined> {
    // Not a terminal to readline: Ctrl-C then is ours.
    const lines = createInterface({ input: process.stdin, terminal: false });
    this.#lines = lines;
    const typed = lines[Symbol.asyncIterator]();
    try {
      for (;;) {
        await this.#ask();
        const next = await Promise.race([typed.next(), this.#taken.promise]);
        if (next === undefined) return undefined;
        if (next.done === true) return "leave";
        stderr.lineTyped();
        const answer = answerOf(next.value);
        if (answer !== undefined) return answer;
      }
    } finally {
      lines.close();
    }
  }

  /** Nobody needs to answer any more. */
  takeBack(): void {
    this.#taken.resolve(undefined);
    this.#lines?.close();
  }

  async #ask(): Promise<void> {
    const start = stderr.endsLine ? "" : "\n";
    await stderr.write(
      `${start}outpost: ${printable(`${this.#text} Go on? [y]es, [n]o (stop), [l]eave paused:`)} `,
    );
  }
}

function answerOf(text: string): Answer | undefined {
  switch (text.trim().toLowerCase()) {
    case "y":
    case "yes":
      return "yes";
    case "n":
    case "no":
      return "no";
    case "l":
    case "leave":
      return "leave";
    default:
      return undefined;
  }
}
