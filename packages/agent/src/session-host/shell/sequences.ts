/**
 * Tells characters and control sequences of a terminal's byte stream apart, byte by byte. Used in both directions: for
 * what programs print (ECMA-48, xterm's ctlseqs) and for what a keyboard sends.
 *
 *                 ┌────────────── text, control: a whole one ──────────────┐
 *                 ▼                                                        │
 *              ground ──ESC──▶ escape ──final──▶ ground                    │
 *                 │              ├─ 20‥2F ─▶ intermediate ──final──▶ ground│  ESC ( B, ESC # 8
 *                 │              ├─ [ ─▶ csi ──40‥7E──▶ ground             │
 *                 │              ├─ ] ─▶ osc ──BEL, ST──▶ ground           │
 *                 │              ├─ P X ^ _ ─▶ string ──ST──▶ ground       │  DCS SOS PM APC
 *                 │              └─ N O ─▶ shifted ──a character──▶ ground │  SS2 SS3
 *                 └────────────────────────────────────────────────────────┘
 *
 * In every state ESC begins anew and CAN and SUB end it. The 8-bit forms (CSI as U+009B, …) count when they come as
 * UTF-8, as in xterm.js; a lone byte 9B does not.
 */

/** What the byte was: inside of something, or the end of it. */
export type Token = "part" | "text" | "control" | "escape" | "csi" | "shifted" | "osc" | "string" | "aborted";

type State =
  | "ground"
  | "escape"
  | "intermediate"
  | "csi"
  | "shifted"
  | "osc"
  | "string"
  | "oscEscape"
  | "stringEscape";

export const esc = 0x1b;
const bel = 0x07;
const can = 0x18;
const sub = 0x1a;
/** The lead byte of U+0080 to U+00BF, which begin with the 8-bit control characters. */
export const c1Lead = 0xc2;

/** The payload of an OSC is kept up to here; what a program may print in one is unbounded. */
const maxPayloadBytes = 256;

export class Sequences {
  #state: State = "ground";
  /** Bytes that the character begun still needs. */
  #missing = 0;
  #lead = 0;
  readonly #payload = new Uint8Array(maxPayloadBytes);
  #length = 0;

  /** Between characters and between sequences. */
  get atRest(): boolean {
    return this.#state === "ground" && this.#missing === 0;
  }

  /** What the OSC (between `ESC ]` and its end) or CSI (between `ESC [` and its final byte) that has just ended held;
   * `undefined` when that was more than 256 bytes. */
  get payload(): string | undefined {
    if (this.#length > maxPayloadBytes) return undefined;
    return Buffer.from(this.#payload.buffer, 0, this.#length).toString("latin1");
  }

  accept(byte: number): Token {
    if (this.#missing > 0) {
      if ((byte & 0xc0) === 0x80) return this.#continueCharacter(byte);
      this.#missing = 0; // The character was cut off; the byte begins something new.
    }
    if (byte < 0x80) return this.#ascii(byte);
    this.#lead = byte;
    this.#missing = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : byte >= 0xc2 ? 1 : 0;
    if (byte >= 0xf5) this.#missing = 0;
    this.#keep(byte);
    return this.#missing === 0 ? this.#character() : "part";
  }

  #continueCharacter(byte: number): Token {
    this.#missing--;
    if (this.#missing > 0) {
      this.#keep(byte);
      return "part";
    }
    if (this.#lead === c1Lead && byte < 0xa0) return this.#eightBitControl(byte);
    this.#keep(byte);
    return this.#character();
  }

  /** A character beyond ASCII is complete. */
  #character(): Token {
    switch (this.#state) {
      case "ground":
        return "text";
      case "osc":
      case "string":
        return "part";
      case "shifted":
        return this.#end("shifted");
      default:
        // Not allowed there: terminals give the sequence up.
        return this.#end("aborted");
    }
  }

  #eightBitControl(byte: number): Token {
    switch (byte) {
      case 0x9b:
        return this.#begin("csi");
      case 0x9d:
        return this.#begin("osc");
      case 0x90:
      case 0x98:
      case 0x9e:
      case 0x9f:
        return this.#begin("string");
      case 0x9c: {
        const ended = this.#state;
        // Its lead byte was taken for payload.
        if (ended === "osc") this.#length = Math.max(0, this.#length - 1);
        return this.#end(ended === "osc" || ended === "string" ? ended : "control");
      }
      default:
        return this.#end("control");
    }
  }

  #ascii(byte: number): Token {
    if (byte === esc) return this.#escape();
    if (byte === can || byte === sub) return this.#end(this.#state === "ground" ? "control" : "aborted");
    switch (this.#state) {
      case "ground":
        return byte < 0x20 || byte === 0x7f ? "control" : "text";
      case "escape":
        return this.#afterEscape(byte);
      case "intermediate":
        if (byte < 0x30 || byte === 0x7f) return "part";
        return this.#end("escape");
      case "csi":
        if (byte >= 0x40 && byte < 0x7f) return this.#end("csi");
        if (byte >= 0x20 && byte < 0x40) this.#keep(byte);
        return "part";
      case "shifted":
        return this.#end("shifted");
      case "osc":
        if (byte === bel) return this.#end("osc");
        if (byte >= 0x20) this.#keep(byte);
        return "part";
      case "string":
        return "part";
      case "oscEscape":
      case "stringEscape": {
        const ended = this.#state === "oscEscape" ? "osc" : "string";
        if (byte === 0x5c) return this.#end(ended);
        this.#state = "escape";
        return this.#afterEscape(byte);
      }
      default:
        return this.#state satisfies never;
    }
  }

  #escape(): Token {
    switch (this.#state) {
      case "osc":
        this.#state = "oscEscape";
        return "part";
      case "string":
        this.#state = "stringEscape";
        return "part";
      default:
        this.#state = "escape";
        return "part";
    }
  }

  #afterEscape(byte: number): Token {
    switch (byte) {
      case 0x5b:
        return this.#begin("csi");
      case 0x5d:
        return this.#begin("osc");
      case 0x4e:
      case 0x4f:
        return this.#begin("shifted");
      case 0x50:
      case 0x58:
      case 0x5e:
      case 0x5f:
        return this.#begin("string");
      default:
        if (byte < 0x20 || byte === 0x7f) return "part"; // Carried out at once by terminals; the sequence goes on.
        if (byte < 0x30) return this.#begin("intermediate");
        return this.#end("escape");
    }
  }

  #begin(state: State): Token {
    this.#state = state;
    this.#length = 0;
    return "part";
  }

  #end(token: Token): Token {
    this.#state = "ground";
    return token;
  }

  #keep(byte: number): void {
    if (this.#state !== "osc" && this.#state !== "csi") return;
    if (this.#length < maxPayloadBytes) this.#payload[this.#length] = byte;
    if (this.#length <= maxPayloadBytes) this.#length++;
  }
}
