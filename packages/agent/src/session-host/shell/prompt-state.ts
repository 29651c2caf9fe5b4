/**
 * Where the shell is, from its marks (marks.ts) and from the keystrokes.
 *
 *     starting ──A──▶ prompt ──B──▶ input ──C──▶ running ──A──▶ prompt
 *                                    │ ▲            ▲
 *                                    │ └─P── (PS2)  │
 *                                    └──── Enter ───┘   in a shell that has not shown a C yet (sh never does)
 *
 * `available` means: at `input`, and the terminal is the shell's. The second is asked, too, because sh cannot say that a
 * line begins that was typed ahead, and another shell may have inherited the prompt.
 *
 * Somebody who sets PS1 by hand in sh takes the marks away, and so may somebody who interrupts its start-up files. Then,
 * and in a shell without integration, all that is known is whose the terminal is (`blind`), until a mark comes.
 */
import { type Clock, type ShellIntegration, systemClock } from "@outpost/protocol";
import type { Mark } from "./marks.ts";
import { TypedLine } from "./typed-line.ts";

export interface PromptOptions {
  readonly integration: ShellIntegration;
  /** Whether the terminal's foreground process group is the shell's own. */
  readonly foregroundIsShell: () => boolean;
  /** Default: the system's. */
  readonly clock?: Clock;
}

/** How often the foreground is looked at where nothing tells of a change, while somebody wants to know, in milliseconds. */
const pollMs = 500;

export class PromptState {
  readonly #integration: ShellIntegration;
  readonly #foregroundIsShell: () => boolean;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  #state: "starting" | "prompt" | "input" | "running" = "starting";
  /** The shell says itself when a command begins. */
  #showsCommands = false;
  #blind: boolean;
  /** What was typed since the last Enter or Ctrl-C. */
  readonly #line = new TypedLine();
  /** It was typed while something else read the terminal, which may have taken it. */
  #typedAhead = false;
  /** Enter or Ctrl-C was typed at the prompt, and the shell has not answered by a mark yet. */
  #entered = false;
  /** The shell has shown PS2. */
  #continued = false;
  /** Since the last prompt something was typed that makes the shell show another. */
  #promptDue = true;
  /** The end of what was typed on this line, enough to find `PS1` in. */
  #setsPrompt = "";
  /** What the listeners were told of, and what that hung on without asking the system. */
  #told = "";
  #hinted = "";
  #stopPolling: (() => void) | undefined;

  constructor({ integration, foregroundIsShell, clock = systemClock }: PromptOptions) {
    this.#integration = integration;
    this.#foregroundIsShell = foregroundIsShell;
    this.#clock = clock;
    this.#blind = integration === "none";
  }

  get availability(): "available" | "busy" {
    if (!this.#blind && this.#state !== "input") return "busy";
    return this.#foregroundIsShell() ? "available" : "busy";
  }

  /** The shell has not shown a prompt yet. */
  get isStarting(): boolean {
    return this.#state === "starting" && !this.#blind;
  }

  /** Characters were typed since the prompt and not entered. */
  get halfTyped(): boolean {
    if (this.#state !== "input") return false;
    return this.#continued || this.#entered || (!this.#line.isEmpty && !this.#typedAhead);
  }

  /** Something may stand on the line: to type there, give up the line first (Ctrl-C). */
  get mayHoldText(): boolean {
    return this.#continued || this.#entered || !this.#line.isEmpty;
  }

  mark(mark: Mark): void {
    if (this.#integration === "none") return;
    this.#blind = false;
    switch (mark.kind) {
      case "done":
      case "leave":
      case "runEnds":
        break;
      case "prompt":
        this.#onPrompt();
        break;
      case "input":
        this.#state = "input";
        break;
      case "continuation":
        this.#state = "input";
        this.#continued = true;
        break;
      case "command":
        this.#showsCommands = true;
        this.#onCommand();
        break;
      case "runBegins":
        this.#onCommand();
        break;
      default:
        mark satisfies never;
    }
    this.#tell();
  }

  /** Takes what is written to the terminal as keystrokes, of viewers and of ours. */
  typed(bytes: Uint8Array): void {
    if (this.#integration === "none") return;
    if (this.#state === "input") {
      if (this.#integration === "sh" && !this.#blind) this.#watchForPS1(bytes);
      this.#typedAhead = false;
    } else {
      this.#typedAhead = true;
    }
    this.#line.type(bytes, (how) => this.#onLineEnd(how));
    this.#tell();
  }

  /** Calls back whenever availability or `halfTyped` is another. Returns what ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#remember();
    this.#poll();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#stopPolling?.();
      this.#stopPolling = undefined;
    };
  }

  #onPrompt(): void {
    // The same prompt, drawn again: the line is still there.
    if (this.#state === "input" && !this.#promptDue) return;
    if (this.#state !== "input" && !this.#line.isEmpty) this.#typedAhead = true;
    this.#state = "prompt";
    this.#promptDue = false;
    this.#entered = false;
    this.#continued = false;
  }

  #onCommand(): void {
    this.#state = "running";
    this.#entered = false;
    this.#continued = false;
    this.#promptDue = true;
    this.#typedAhead = true;
  }

  #onLineEnd(how: "entered" | "interrupted" | "endOfFile"): void {
    this.#promptDue = true;
    // In the middle of a start-up file that had set PS1: sh has lost the marks then.
    if (this.#state === "starting" && how === "interrupted") this.#blind ||= this.#integration === "sh";
    if (this.#state !== "input" || how === "endOfFile") return;
    if (this.#showsCommands || how === "interrupted") {
      this.#entered = true;
      return;
    }
    this.#state = "running";
    this.#continued = false;
    this.#typedAhead = true;
    if (this.#setsPrompt.includes("PS1")) this.#blind = true;
    this.#setsPrompt = "";
  }

  #watchForPS1(bytes: Uint8Array): void {
    const text = this.#setsPrompt + Buffer.from(bytes).toString("latin1");
    // Behind an earlier line's end it is another line; `PS1` itself is all that must not be cut.
    this.#setsPrompt = text.includes("PS1") ? "PS1" : text.slice(-2);
  }

  #tell(): void {
    this.#poll();
    if (this.#listeners.size === 0) return;
    // Whose the terminal is costs a look at the system, which not every keystroke may cost.
    const hint = this.#hint();
    if (hint === this.#hinted && !this.#blind) return;
    const told = this.#told;
    this.#remember();
    if (told === this.#told) return;
    for (const listener of this.#listeners) listener();
  }

  #remember(): void {
    this.#hinted = this.#hint();
    this.#told = `${this.availability} ${String(this.halfTyped)}`;
  }

  #hint(): string {
    return `${this.#state} ${String(this.halfTyped)}`;
  }

  /** Only where no mark will tell. */
  #poll(): void {
    if (!this.#blind || this.#listeners.size === 0 || this.#stopPolling !== undefined) return;
    this.#stopPolling = this.#clock.after(pollMs, () => {
      this.#stopPolling = undefined;
      this.#tell();
    });
  }
}
