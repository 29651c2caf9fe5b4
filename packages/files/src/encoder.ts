/** Records to bytes. */
import { createHash } from "node:crypto";
import { encodeCanonical } from "@outpost/protocol";
import { type DataRecord, type EndRecord, magic, type StreamRecord } from "./record.ts";

export class Encoder {
  readonly #digest = createHash("sha256").update(magic);

  /** What every stream begins with. */
  begin(): Uint8Array {
    return magic;
  }

  encode(record: Exclude<StreamRecord, EndRecord | DataRecord>): Uint8Array {
    const bytes = framed(record);
    this.#digest.update(bytes);
    return bytes;
  }

  /** A `data` record in three pieces, the middle one being its content itself: most of a stream is that, and is not copied. */
  data(content: Uint8Array): readonly Uint8Array[] {
    const head = Buffer.from(dataHead);
    head.writeUInt32BE(dataHead.byteLength - 4 + content.byteLength + dataTail.byteLength);
    head.writeUInt32BE(content.byteLength, dataHead.byteLength - 4);
    return [head, content, dataTail];
  }

  /** The last record, with the digest of what came before it. */
  end(totals: Omit<EndRecord, "type" | "sha256">): Uint8Array {
    return framed({ type: "end", ...totals, sha256: this.#digest.digest() });
  }
}

/** The record's length, a map of two, `bytes`, a byte string and its length. */
const dataHead = Buffer.from([0, 0, 0, 0, 0x82, 0xa5, ...Buffer.from("bytes"), 0xc6, 0, 0, 0, 0]);
const dataTail = Buffer.from([0xa4, ...Buffer.from("type"), 0xa4, ...Buffer.from("data")]);

function framed(record: StreamRecord): Uint8Array {
  const body = encodeCanonical(record);
  const bytes = Buffer.allocUnsafe(4 + body.byteLength);
  bytes.writeUInt32BE(body.byteLength);
  bytes.set(body, 4);
  return bytes;
}
