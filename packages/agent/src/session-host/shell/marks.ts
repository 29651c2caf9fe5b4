/**
 * The marks by which an integrated shell says where it is (FinalTerm's OSC 133, as iTerm2, kitty and others read them),
 * found in the terminal's output:
 *
 *     ESC ] 133 ; LETTER [; ARGUMENT] [; n=N] ; aid=NONCE (BEL | ESC \)
 *
 *     D;STATUS   a command has ended            A   a prompt begins         B   the prompt ends, a line is read
 *     C          a command begins               P   the line goes on (PS2), what was entered is not complete
 *     R;JOB      a run's file is being read     E;STATUS   its command has ended, the exit record is written
 *     L          `exit` was typed where that leaves the session
 *
 * Only marks with the session's nonce count: what programs print cannot pass for the shell. A prompt that is drawn
 * again has the number `n` that it had before, and says nothing new.
 */
import { c1Lead, esc, Sequences } from "./sequences.ts";

/** `offset`: of the first byte behind the mark, absolute. */
export type Mark =
  | { readonly kind: "prompt" | "input" | "continuation" | "command" | "leave"; readonly offset: number }
  | { readonly kind: "done"; readonly status: number; readonly offset: number }
  | { readonly kind: "runBegins"; readonly job: string; readonly offset: number }
  | { readonly kind: "runEnds"; readonly status: number; readonly offset: number };

const kinds: Readonly<Record<string, Mark["kind"]>> = {
  A: "prompt",
  B: "input",
  P: "continuation",
  C: "command",
  D: "done",
  L: "leave",
  R: "runBegins",
  E: "runEnds",
};

/** Finds the marks of one session's output, however it is cut. Keeps at most 256 bytes of an unfinished one. */
export class MarkScanner {
  readonly #nonce: string;
  readonly #sequences = new Sequences();
  #lastNumber: string | undefined;

  constructor(nonce: string) {
    this.#nonce = nonce;
  }

  /** Between characters and between escape sequences: what comes next can be shown without what came before. */
  get atRest(): boolean {
    return this.#sequences.atRest;
  }

  /** @param offset absolute, of `bytes[0]` */
  push(offset: number, bytes: Uint8Array): Mark[] {
    const marks: Mark[] = [];
    const sequences = this.#sequences;
    // Plain text is skipped as fast as memory is read: nothing but these two bytes can begin a sequence.
    let escape = -1;
    let lead = -1;
    for (let at = 0; at < bytes.length; at++) {
      if (sequences.atRest) {
        if (escape < at) escape = find(bytes, esc, at);
        if (lead < at) lead = find(bytes, c1Lead, at);
        at = Math.max(at, Math.min(escape, lead) - maxCharacterBytes);
      }
      if (sequences.accept(bytes[at]!) !== "osc") continue;
      const mark = this.#parse(sequences.payload, offset + at + 1);
      if (mark !== undefined) marks.push(mark);
    }
    return marks;
  }

  #parse(payload: string | undefined, offset: number): Mark | undefined {
    const match = /^133;([A-Z])(?:;([^;=]*))?(?:;n=(\d+))?;aid=([^;]*)$/.exec(payload ?? "");
    if (match === null || match[4] !== this.#nonce) return undefined;
    const kind = kinds[match[1]!];
    if (kind === undefined || this.#isRepeated(kind, match[3])) return undefined;
    switch (kind) {
      case "done":
      case "runEnds": {
        const status = Number(match[2]);
        return { kind, status: Number.isInteger(status) ? status & 0xff : 0, offset };
      }
      case "runBegins":
        return { kind, job: match[2] ?? "", offset };
      default:
        return { kind, offset };
    }
  }

  /** `D` and `A` of one prompt have one number, `D` first. */
  #isRepeated(kind: Mark["kind"], number: string | undefined): boolean {
    if (number === undefined) return false;
    if (kind !== "prompt") return number === this.#lastNumber;
    const repeated = number === this.#lastNumber;
    this.#lastNumber = number;
    return repeated;
  }
}

/** No UTF-8 character is longer. */
const maxCharacterBytes = 4;

/** Where the byte is next, or the end. */
function find(bytes: Uint8Array, byte: number, from: number): number {
  const at = bytes.indexOf(byte, from);
  return at === -1 ? bytes.length : at;
}
