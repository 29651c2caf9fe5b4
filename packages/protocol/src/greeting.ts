/** The answer to `hello`, the same for every side that is dialled. */
import { ErrorCode, OutpostError } from "./errors.ts";
import { maxMessageBytes } from "./limits.ts";
import type { HelloParams, HelloResult } from "./messages/hello.ts";
import { commonVersion, supportedVersions, type VersionRange } from "./version.ts";

/** What the side that answers says of itself, and what helps when the versions do not meet. */
export interface Greeter extends Pick<HelloResult, "software" | "name" | "time" | "authority"> {
  /** What to do about a version mismatch, the end of a sentence. */
  readonly advice: string;
}

/** @throws OutpostError `version_mismatch` naming both sides' versions */
export function answerHello(
  { versions, software: theirs }: HelloParams,
  { advice, software, ...self }: Greeter,
): HelloResult {
  const version = commonVersion(supportedVersions, versions);
  if (version !== undefined) return { version, software, maxMessageBytes, ...self };
  throw new OutpostError(
    ErrorCode.versionMismatch,
    `${theirs} speaks protocol ${range(versions)}, ${software} ${range(supportedVersions)}; ${advice}`,
    { data: { theirs: { ...versions }, ours: { ...supportedVersions } } },
  );
}

function range({ min, max }: VersionRange): string {
  return min === max ? `version ${String(min)}` : `versions ${String(min)} to ${String(max)}`;
}
