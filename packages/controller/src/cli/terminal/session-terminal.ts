/**
 * A session on a terminal: its output to the screen, keystrokes to the session, escapes to us.
 *
 *     connecting ──opened──▶ shown ──▶ ended             the session's end; sent away; `exit` that only leaves
 *          │                   ├─────▶ left              ~.
 *          └──Ctrl-C──▶ ╳      └─────▶ hung up           the terminal has gone, or a signal
 */
import type { Attachment, AttachmentEvent, SessionEndEvent } from "../../client/index.ts";
import { type EscapeAction, escapeHelp, EscapeRecogniser } from "./escape-recogniser.ts";
import { bell } from "./sequences.ts";
import { SessionScreen } from "./session-screen.ts";
import type { Terminal, TerminalListener } from "./terminal.ts";

export type SessionOutcome =
  | { readonly kind: "ended"; readonly event: SessionEndEvent }
  | { readonly kind: "left" }
  | { readonly kind: "hung up"; readonly signal: NodeJS.Signals };

export interface SessionTerminalOptions {
  readonly attachment: Attachment;
  readonly terminal: Terminal;
  /** What the session is called on the command line. */
  readonly reference: string;
  /** The escape character; undefined: none. */
  readonly escape: string | undefined;
  /** What comes before the session is there, for a terminal that is still the shell's. */
  readonly beforeOpened: (event: AttachmentEvent) => Promise<void>;
}

/** Resolves when it is over, with the terminal given back. @throws OutpostError as the attachment's events */
export async function showSession(options: SessionTerminalOptions): Promise<SessionOutcome> {
  return new SessionTerminal(options).run();
}

class SessionTerminal {
  readonly #options: SessionTerminalOptions;
  readonly #screen: SessionScreen;
  readonly #recogniser: EscapeRecogniser;
  #taken: Disposable | undefined;
  #outcome: SessionOutcome | undefined;

  constructor(options: SessionTerminalOptions) {
    this.#options = options;
    this.#screen = new SessionScreen(options.terminal, options.reference);
    this.#recogniser = new EscapeRecogniser(options.escape);
  }

  async run(): Promise<SessionOutcome> {
    const { attachment } = this.#options;
    try {
      for await (const event of attachment) {
        // Left: what has not been shown counts as unread.
        if (this.#isOver()) break;
        if (event.type === "end") this.#outcome ??= { kind: "ended", event };
        await this.#event(event);
      }
    } catch (error) {
      // Having left, nothing else is of interest: least of all that the attachment was cancelled.
      if (this.#outcome === undefined) throw error;
    } finally {
      this.#taken?.[Symbol.dispose]();
    }
    return this.#outcome ?? { kind: "left" };
  }

  async #event(event: AttachmentEvent): Promise<void> {
    const { terminal, attachment, beforeOpened } = this.#options;
    if (event.type === "opened" && this.#taken === undefined) {
      this.#taken = terminal.takeOver(this.#listener());
      const { columns, rows } = terminal.size;
      attachment.resize(columns, rows);
    }
    if (this.#taken === undefined) await beforeOpened(event);
    else await this.#screen.show(event);
  }

  #listener(): TerminalListener {
    const { attachment, terminal } = this.#options;
    return {
      typed: (bytes) => this.#typed(bytes),
      resized: ({ columns, rows }) => attachment.resize(columns, rows),
      resumed: () => {
        const { columns, rows } = terminal.size;
        attachment.resize(columns, rows);
        attachment.repaint();
      },
      hungUp: (signal) => this.#leave({ kind: "hung up", signal }),
    };
  }

  async #typed(bytes: Uint8Array): Promise<void> {
    const { attachment, terminal } = this.#options;
    for (const each of this.#recogniser.push(bytes)) {
      if (this.#outcome !== undefined) return;
      try {
        if (typeof each === "string") await this.#escape(each);
        else if (attachment.role === "control") await attachment.write(each);
        else await terminal.write(bell);
      } catch (error) {
        if (this.#isOver()) return;
        await this.#screen.say(error instanceof Error ? error.message : String(error));
      }
    }
  }

  async #escape(action: EscapeAction): Promise<void> {
    const { attachment, terminal, escape = "~" } = this.#options;
    switch (action) {
      case "leave":
        this.#leave({ kind: "left" });
        return;
      case "help":
        await terminal.write(`\r\n${escapeHelp(escape)}\r\n`);
        return;
      case "suspend":
        terminal.suspend();
        return;
      case "control":
        await attachment.takeControl();
        return;
      case "watch":
        await attachment.watch();
        return;
      default:
        action satisfies never;
    }
  }

  #leave(outcome: SessionOutcome): void {
    this.#outcome ??= outcome;
    // Its end is the end of the events.
    void this.#options.attachment.leave();
  }

  /** Read anew: it changes while something is awaited. */
  #isOver(): boolean {
    return this.#outcome !== undefined;
  }
}
