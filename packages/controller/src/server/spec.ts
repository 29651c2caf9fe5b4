/** What a fan-out job runs, as bytes for the catalogue. */
import { decode, encode, ErrorCode, FrameType, JobSpec, OutpostError } from "@outpost/protocol";
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
