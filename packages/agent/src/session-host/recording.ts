/**
 * A recording of a session's terminal: asciicast v2 (https://docs.asciinema.org/manual/asciicast/v2/), a header line
 * and one line for each event. Only ever appended to, so that it can be read while it grows.
 *
 *     {"version":2,"width":80,"height":24,"timestamp":1700000000,"env":{"SHELL":"/bin/bash","TERM":"xterm-256color"}}
 *     [0.248848,"o","$ "]            output
 *     [4.143733,"r","100x30"]        a new size
 *     [9.000000,"m","…"]             why there is no more
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import type { Clock } from "@outpost/protocol";

export interface RecordingOptions {
  /** MUST not be there yet. */
  readonly path: string;
  readonly columns: number;
  readonly rows: number;
  readonly shell: string;
  readonly term: string;
  readonly title?: string | undefined;
  readonly clock: Clock;
  /** Beyond it nothing is recorded but a marker that says so. */
  readonly maxBytes: number;
}

export class Recording {
  readonly #clock: Clock;
  readonly #maxBytes: number;
  readonly #beganMs: number;
  /** Holds back the bytes of a character that is not whole yet: JSON has no place for half of one. */
  readonly #decoder = new StringDecoder("utf8");
  #file: number | undefined;
  #size = 0;

  /** @throws when the file cannot be made */
  constructor(options: RecordingOptions) {
    const { path, columns, rows, shell, term, title, clock, maxBytes } = options;
    this.#clock = clock;
    this.#maxBytes = maxBytes;
    this.#beganMs = clock.monotonicMs();
    this.#file = openSync(path, "wx", 0o600);
    const timestamp = Math.floor(clock.now() / 1000);
    const env = { SHELL: shell, TERM: term };
    const header = { version: 2, width: columns, height: rows, timestamp, title, env };
    this.#append(`${JSON.stringify(header)}\n`);
  }

  /** Size in bytes. */
  get size(): number {
    return this.#size;
  }

  output(bytes: Uint8Array): void {
    if (this.#file === undefined) return;
    const text = this.#decoder.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    if (text !== "") this.#event("o", text);
  }

  resize(columns: number, rows: number): void {
    this.#event("r", `${String(columns)}x${String(rows)}`);
  }

  close(): void {
    const rest = this.#decoder.end();
    if (rest !== "") this.#event("o", rest);
    this.#stop();
  }

  #event(code: "o" | "r", data: string): void {
    if (this.#file === undefined) return;
    const line = this.#line(code, data);
    if (this.#size + Buffer.byteLength(line) <= this.#maxBytes) this.#append(line);
    else {
      this.#append(this.#line("m", `recording stopped: ${String(this.#maxBytes)} bytes are the limit`));
      this.#stop();
    }
  }

  #line(code: string, data: string): string {
    const seconds = ((this.#clock.monotonicMs() - this.#beganMs) / 1000).toFixed(6);
    return `[${seconds},${JSON.stringify(code)},${JSON.stringify(data)}]\n`;
  }

  #append(line: string): void {
    if (this.#file === undefined) return;
    try {
      const bytes = Buffer.from(line);
      for (let at = 0; at < bytes.length;) at += writeSync(this.#file, bytes, at);
      this.#size += bytes.length;
    } catch {
      // A full disk ends the recording, not the session.
      this.#stop();
    }
  }

  #stop(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}
