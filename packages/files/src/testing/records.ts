/** File streams as a test wants them, good or bad. */
import { createHash } from "node:crypto";
import { Encoder } from "../encoder.ts";
import type { EndRecord, StreamRecord } from "../record.ts";
import { findSources } from "../sources.ts";
import { readTrees } from "../tree-reader.ts";
import { TreeWriter, type Totals, type TreeWriterOptions } from "../tree-writer.ts";

type Written = Exclude<StreamRecord, EndRecord>;

/** A stream with a proper end whatever is in it. */
export function streamOf(records: readonly Written[], totals: Partial<EndRecord> = {}): Buffer {
  const encoder = new Encoder();
  const pieces = [
    encoder.begin(),
    ...records.flatMap((record) =>
      record.type === "data" ? encoder.data(record.bytes) : [encoder.encode(record)],
    ),
  ];
  return Buffer.concat([...pieces, encoder.end({ files: 0, bytes: 0, errors: 0, ...totals })]);
}

export function begin(many = true): Written {
  return { type: "begin", many };
}

export function directory(path: string, mode = 0o755): Written {
  return { type: "directory", path, mode, mtime: 0 };
}

export function link(path: string, target: string): Written {
  return { type: "link", path, target, mtime: 0 };
}

/** A whole file. */
export function file(path: string, content = path): readonly Written[] {
  const bytes = Buffer.from(content);
  const sha256 = createHash("sha256").update(bytes).digest();
  return [
    { type: "file", path, mode: 0o644, mtime: 0, size: bytes.byteLength },
    { type: "data", bytes },
    { type: "file-end", size: bytes.byteLength, sha256 },
  ];
}

/** The stream of files on disk. */
export async function readAll(paths: readonly string[]): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of readTrees(await findSources(paths))) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Writes a stream cut into pieces of these sizes, again and again; ends or aborts. */
export async function writeAll(
  stream: Uint8Array,
  options: TreeWriterOptions,
  sizes: readonly number[] = [stream.byteLength],
): Promise<Totals> {
  const writer = new TreeWriter(options);
  try {
    for (let at = 0, turn = 0; at < stream.byteLength; turn++) {
      const size = Math.max(1, sizes[turn % sizes.length]!);
      await writer.write(stream.subarray(at, at + size));
      at += size;
    }
    return await writer.end();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}
