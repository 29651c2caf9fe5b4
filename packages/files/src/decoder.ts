/**
 * Bytes to records, however they were cut on their way. Holds at most one record.
 *
 *     magic ─▶ length ─▶ body ─▶ length ─▶ … ─▶ body of `end` ─▶ over
 */
import { createHash } from "node:crypto";
import { decodeValue, OutpostError } from "@outpost/protocol";
import { asRecord, broken, magic, maxRecordBytes, type StreamRecord } from "./record.ts";

export class Decoder {
  readonly #digest = createHash("sha256");
  #expecting: "magic" | "length" | "body" | "over" = "magic";
  /** How many bytes make what is expected. */
  #wanted = magic.byteLength;
  /** Those of them that came in earlier pieces. */
  #held: Buffer | undefined;
  #heldBytes = 0;
  readonly #length = Buffer.alloc(4);

  /** True once the last record has come. */
  get isOver(): boolean {
    return this.#expecting === "over";
  }

  /**
   * The records that these bytes complete. Content in them is a view of `bytes` where it can be.
   * @throws OutpostError `protocol_error` at anything that no sender writes
   */
  *push(bytes: Uint8Array): Generator<StreamRecord, void, void> {
    for (let at = 0; at < bytes.byteLength;) {
      if (this.#expecting === "over") throw broken("it goes on behind its end");
      const piece = bytes.subarray(at, at + this.#wanted - this.#heldBytes);
      at += piece.byteLength;
      const whole = this.#gather(piece);
      if (whole === undefined) return;
      const record = this.#take(whole);
      if (record !== undefined) yield record;
    }
  }

  /** @throws OutpostError `protocol_error` when the last record has not come */
  end(): void {
    if (!this.isOver) throw broken("it ends before its end");
  }

  /** All of what is expected, once the last piece of it is there. */
  #gather(piece: Uint8Array): Uint8Array | undefined {
    if (this.#heldBytes === 0 && piece.byteLength === this.#wanted) return piece;
    this.#held ??= Buffer.allocUnsafe(this.#wanted);
    this.#held.set(piece, this.#heldBytes);
    this.#heldBytes += piece.byteLength;
    if (this.#heldBytes < this.#wanted) return undefined;
    const whole = this.#held;
    this.#held = undefined;
    this.#heldBytes = 0;
    return whole;
  }

  #take(whole: Uint8Array): StreamRecord | undefined {
    switch (this.#expecting) {
      case "magic":
        if (!magic.every((byte, index) => byte === whole[index])) throw notOurs(whole);
        this.#digest.update(whole);
        this.#expect("length", 4);
        return undefined;
      case "length": {
        this.#length.set(whole);
        const length = this.#length.readUInt32BE();
        if (length === 0 || length > maxRecordBytes)
          throw broken(`a record of ${String(length)} bytes is too large or too small`);
        this.#expect("body", length);
        return undefined;
      }
      default:
        return this.#record(whole);
    }
  }

  #record(body: Uint8Array): StreamRecord {
    const record = asRecord(valueOf(body));
    if (record.type === "end") {
      if (!this.#digest.digest().equals(record.sha256)) throw broken("its digest is another one");
      this.#expect("over", 0);
      return record;
    }
    if (record.type !== "data") this.#digest.update(this.#length).update(body);
    this.#expect("length", 4);
    return record;
  }

  #expect(what: "length" | "body" | "over", bytes: number): void {
    this.#expecting = what;
    this.#wanted = bytes;
  }
}

function valueOf(body: Uint8Array): unknown {
  try {
    return decodeValue(body);
  } catch (error) {
    throw broken(OutpostError.from(error).message);
  }
}

function notOurs(begin: Uint8Array): OutpostError {
  const isNewer = Buffer.from(begin).toString("latin1").startsWith("outpost-files/");
  return broken(isNewer ? "it has a version that this program does not know" : "it is no file stream");
}
