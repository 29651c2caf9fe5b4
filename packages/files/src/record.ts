/**
 * What a file stream is made of. On the wire each record is a plain MessagePack map with its length before it (docs/protocol.md).
 *
 *     magic  begin  ─▶  directory │ link │ file data… file-end │ file data… error │ error │ warning  ─▶ …  ─▶  end
 *
 * Entries come depth first: a directory, then what is in it, each directory's entries in the order of their names' UTF-8 bytes.
 */
import { ErrorCode, OutpostError } from "@outpost/protocol";

/** The first bytes of every stream: what it is, and its version. */
export const magic: Uint8Array = Buffer.from("outpost-files/1\n");

/** The most file content in one record, in bytes. As much as a chunk holds: more would only cost memory. */
export const maxDataBytes = 256 * 1024;
/** The largest record, in bytes: content, or two of the longest paths, and a little. More is refused before it is held. */
export const maxRecordBytes = maxDataBytes + 64 * 1024;
/** The longest path, in bytes, as Linux has it (PATH_MAX). */
export const maxPathBytes = 4096;
/** How deep directories may lie in each other. The writer has each of them open. */
export const maxDepth = 512;

/** Comes first. */
export interface BeginRecord {
  readonly type: "begin";
  /** There may be more than one entry at the top, so they need a directory to go into. */
  readonly many: boolean;
}

interface Entry {
  /** Relative, with `/`. */
  readonly path: string;
  /** When it was changed last, in milliseconds since 1970. */
  readonly mtime: number;
}

export interface DirectoryRecord extends Entry {
  readonly type: "directory";
  /** The last twelve bits. */
  readonly mode: number;
}

/** A regular file. Its content follows, then `file-end`; or an `error`, when the rest cannot be read. */
export interface FileRecord extends Entry {
  readonly type: "file";
  readonly mode: number;
  /** In bytes, when it was opened; what comes may be less or more. */
  readonly size: number;
}

export interface LinkRecord extends Entry {
  readonly type: "link";
  readonly target: string;
}

export interface DataRecord {
  readonly type: "data";
  readonly bytes: Uint8Array;
}

export interface FileEndRecord {
  readonly type: "file-end";
  readonly size: number;
  /** Of the content. */
  readonly sha256: Uint8Array;
}

/** Something could not be read, and is missing. */
export interface ErrorRecord {
  readonly type: "error";
  /** As in the stream, or as it was asked for. */
  readonly path: string;
  readonly message: string;
}

/** Something is not quite as it was asked for: left out because it is no file, or changed while it was read. */
export interface WarningRecord {
  readonly type: "warning";
  readonly path: string;
  readonly message: string;
}

/** Comes last. A stream without it is not whole. */
export interface EndRecord {
  readonly type: "end";
  /** How many files came whole, and how many bytes they had. */
  readonly files: number;
  readonly bytes: number;
  readonly errors: number;
  /** Of everything before this record but the `data` records, whose files have their own. */
  readonly sha256: Uint8Array;
}

export type StreamRecord =
  | BeginRecord
  | DirectoryRecord
  | FileRecord
  | LinkRecord
  | DataRecord
  | FileEndRecord
  | ErrorRecord
  | WarningRecord
  | EndRecord;

type Check = (value: unknown) => boolean;
const isText: Check = (value) => typeof value === "string";
const isMode: Check = (value) => isCount(value) && (value as number) <= 0o7777;
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isTime: Check = (value) => Number.isSafeInteger(value);
const isBytes: Check = (value) => value instanceof Uint8Array && value.byteLength <= maxDataBytes;
const isDigest: Check = (value) => value instanceof Uint8Array && value.byteLength === 32;
const isFlag: Check = (value) => typeof value === "boolean";

const fields: { readonly [T in StreamRecord["type"]]: Readonly<Record<string, Check>> } = {
  begin: { many: isFlag },
  directory: { path: isText, mtime: isTime, mode: isMode },
  file: { path: isText, mtime: isTime, mode: isMode, size: isCount },
  link: { path: isText, mtime: isTime, target: isText },
  data: { bytes: isBytes },
  "file-end": { size: isCount, sha256: isDigest },
  error: { path: isText, message: isText },
  warning: { path: isText, message: isText },
  end: { files: isCount, bytes: isCount, errors: isCount, sha256: isDigest },
};

/** @throws OutpostError `protocol_error` for what is no record. Fields that are not known are ignored. */
export function asRecord(value: unknown): StreamRecord {
  if (typeof value !== "object" || value === null) throw broken("a record is no map");
  const given = value as Readonly<Record<string, unknown>>;
  const type = given["type"];
  if (typeof type !== "string" || !Object.hasOwn(fields, type)) throw broken("a record has no known type");
  for (const [name, check] of Object.entries(fields[type as StreamRecord["type"]])) {
    if (!check(given[name])) throw broken(`in a record '${type}' the field '${name}' makes no sense`);
  }
  return value as StreamRecord;
}

/** The stream is not what its sender made, or its sender lies. */
export function broken(what: string): OutpostError {
  return new OutpostError(ErrorCode.protocolError, `the file stream is broken: ${what}`);
}
