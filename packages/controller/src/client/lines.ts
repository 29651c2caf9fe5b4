/** Bytes as they come to lines of text. */

/** A longer line is cut there, in characters: somebody prints no lines. */
const maxLine = 64 * 1024;

export class Lines {
  readonly #decoder = new TextDecoder();
  #rest = "";

  /** The lines that these bytes complete, without their ends. */
  push(bytes: Uint8Array): readonly string[] {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#rest = lines.pop()!;
    if (this.#rest.length > maxLine) lines.push(this.#take());
    return lines;
  }

  /** What has no end. */
  end(): readonly string[] {
    return this.#rest === "" ? [] : [this.#take()];
  }

  #take(): string {
    const rest = this.#rest;
    this.#rest = "";
    return rest;
  }
}
