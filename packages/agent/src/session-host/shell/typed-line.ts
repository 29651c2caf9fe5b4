/**
 * What is known of a line from the keystrokes alone. It errs towards "there is something": only characters, deletions of
 * characters and the killing of all of it are followed; arrows may have fetched a line from the history.
 */
import { Sequences } from "./sequences.ts";

const key = {
  controlC: 0x03,
  controlD: 0x04,
  backspace: 0x08,
  newline: 0x0a,
  controlL: 0x0c,
  enter: 0x0d,
  controlU: 0x15,
  delete: 0x7f,
} as const;

export class TypedLine {
  readonly #keys = new Sequences();
  #characters = 0;
  /** Something was done to it whose effect only the shell knows. */
  #unknown = false;

  get isEmpty(): boolean {
    return this.#characters === 0 && !this.#unknown;
  }

  clear(): void {
    this.#characters = 0;
    this.#unknown = false;
  }

  /**
   * Takes keystrokes, cut anywhere.
   * @param onEnd called where a line ends: entered, or given up; what follows is a new line
   */
  type(bytes: Uint8Array, onEnd: (how: "entered" | "interrupted" | "endOfFile") => void): void {
    for (const byte of bytes) {
      switch (this.#keys.accept(byte)) {
        case "text":
          this.#characters++;
          break;
        case "control":
          this.#control(byte, onEnd);
          break;
        case "csi":
          if (!isReport(this.#keys.payload ?? "", byte)) this.#unknown = true;
          break;
        case "escape":
        case "shifted":
        case "aborted":
          this.#unknown = true;
          break;
        case "part":
        case "osc": // Terminals answer questions with these.
        case "string":
          break;
      }
    }
    // A lone Escape goes to vi's command mode.
    if (!this.#keys.atRest) this.#unknown = true;
  }

  #control(byte: number, onEnd: (how: "entered" | "interrupted" | "endOfFile") => void): void {
    switch (byte) {
      case key.enter:
      case key.newline:
        this.clear();
        onEnd("entered");
        break;
      case key.controlC:
        this.clear();
        onEnd("interrupted");
        break;
      case key.controlD:
        onEnd("endOfFile");
        break;
      case key.backspace:
      case key.delete:
        if (this.#characters > 0) this.#characters--;
        break;
      case key.controlU:
        // With the cursor somewhere in the line it leaves the rest, but then a key has been seen that moved it.
        this.#characters = 0;
        break;
      case key.controlL:
        break;
      default:
        this.#unknown = true;
    }
  }
}

/** Sequences that no person types: answers of the terminal, its focus, the mouse, the brackets around what is pasted. */
function isReport(payload: string, final: number): boolean {
  if (final === 0x7e) return payload === "200" || payload === "201";
  if (payload.startsWith("<") || payload.startsWith("?")) return true;
  return "IORcntxyMm".includes(String.fromCharCode(final));
}
