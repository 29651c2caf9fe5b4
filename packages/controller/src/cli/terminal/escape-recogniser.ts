/**
 * Tells escapes from keystrokes, as ssh does: the escape character counts at the beginning of a line only, and what
 * follows it says what is meant.
 *
 *     within ──CR, LF──▶ line start ──escape character──▶ escaped ──any──▶ line start (an escape), within (none)
 *        ▲◀─────other─────────┘
 *        └──ESC [ 200 ~──▶ pasted ──ESC [ 201 ~──▶ within
 *
 * What a terminal marks as pasted (bracketed paste) holds no escapes: a text may have a line that begins with `~.`. A
 * terminal that does not mark it cannot be told from a person who types.
 */

/** What is to be done instead of typed. */
export type EscapeAction = "leave" | "help" | "suspend" | "control" | "watch";

const carriageReturn = 0x0d;
const lineFeed = 0x0a;
const escapeByte = 0x1b;

const actions: ReadonlyMap<number, EscapeAction> = new Map([
  [0x2e, "leave"], // .
  [0x3f, "help"], // ?
  [0x1a, "suspend"], // Ctrl-Z
  [0x74, "control"], // t
  [0x77, "watch"], // w
]);

const pasteStart = Buffer.from("\u001b[200~");
const pasteEnd = Buffer.from("\u001b[201~");

export class EscapeRecogniser {
  readonly #escape: number | undefined;
  #state: "within" | "line start" | "escaped" | "pasted" = "line start";
  /** How much of the mark that begins or ends a paste has come. */
  #markLength = 0;

  /** @param escape the escape character, one byte; undefined: there is none */
  constructor(escape: string | undefined) {
    this.#escape = escape?.charCodeAt(0);
  }

  /** What of these bytes is to be typed, and what is to be done, in order. Holds back no more than an escape character. */
  push(bytes: Uint8Array): (Uint8Array | EscapeAction)[] {
    const found: (Uint8Array | EscapeAction)[] = [];
    let from = 0;
    const type = (to: number): void => {
      if (from < to) found.push(bytes.subarray(from, to));
    };
    for (const [at, byte] of bytes.entries()) {
      switch (this.#state) {
        case "pasted":
        case "within":
          this.#passed(byte);
          break;
        case "line start":
          if (byte === this.#escape) {
            type(at);
            from = at + 1;
            this.#state = "escaped";
          } else {
            this.#passed(byte);
          }
          break;
        case "escaped": {
          const action = actions.get(byte);
          if (action !== undefined) {
            found.push(action);
            from = at + 1;
            this.#state = "line start";
            break;
          }
          // Twice is once; before anything else it was meant as it stands.
          if (byte === this.#escape) {
            this.#state = "within";
          } else {
            found.push(Uint8Array.of(this.#escape!));
            this.#passed(byte);
          }
          break;
        }
        default:
          this.#state satisfies never;
      }
    }
    type(bytes.byteLength);
    return found;
  }

  #passed(byte: number): void {
    const mark = this.#state === "pasted" ? pasteEnd : pasteStart;
    this.#markLength = byte === mark[this.#markLength] ? this.#markLength + 1 : byte === escapeByte ? 1 : 0;
    if (this.#markLength === mark.length) {
      this.#markLength = 0;
      this.#state = this.#state === "pasted" ? "within" : "pasted";
    } else if (this.#state !== "pasted") {
      this.#state = byte === carriageReturn || byte === lineFeed ? "line start" : "within";
    }
  }
}

/** What `?` lists. */
export function escapeHelp(escape: string): string {
  return [
    "Escapes, at the beginning of a line:",
    ` ${escape}.   leave; the session goes on`,
    ` ${escape}t   take control`,
    ` ${escape}w   only watch`,
    ` ${escape}^Z  suspend outpost`,
    ` ${escape}?   this list`,
    ` ${escape}${escape}   the escape character itself`,
  ].join("\r\n");
}
