/** What a fan-out job runs: as bytes for the catalogue, and as text for people. */
import { type Command, decode, encode, ErrorCode, FrameType, JobSpec, OutpostError } from "@outpost/protocol";
import * as v from "valibot";

/** Packs a spec the way it goes over the wire, as a notification's params: it holds byte strings, which JSON cannot. */
export function packSpec(spec: JobSpec): Uint8Array {
  return encode([FrameType.notification, "spec", spec]);
}

/** @throws OutpostError `internal` when the bytes are damaged */
export function unpackSpec(bytes: Uint8Array): JobSpec {
  const frame = decode(bytes);
  const parsed = v.safeParse(JobSpec, frame[2]);
  if (!parsed.success) throw new OutpostError(ErrorCode.internal, "a job's spec in the catalogue is damaged");
  return parsed.output;
}

const maxTextLength = 120;

/** The command as a person would write it, shortened. */
export function commandText(command: Command): string {
  switch (command.kind) {
    case "exec":
      return shorten(command.argv.map(quote).join(" "));
    case "shell":
      return shorten(command.text);
    case "script":
      return shorten([command.name, ...command.args.map(quote)].join(" "));
    default:
      return command satisfies never;
  }
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

function shorten(text: string): string {
  const line = text.trim().replaceAll(/\s+/g, " ");
  return line.length <= maxTextLength ? line : `${line.slice(0, maxTextLength - 1)}…`;
}
