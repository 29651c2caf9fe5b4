/** The agent's answer to `hello` on its local socket. */
import {
  commonVersion,
  ErrorCode,
  type HelloParams,
  type HelloResult,
  limits,
  OutpostError,
  supportedVersions,
} from "@outpost/protocol";
import { software } from "../version.ts";

/** @throws OutpostError `version_mismatch`: the program and the agent are of versions too far apart */
export function greet({ versions, software: theirs }: HelloParams, name: string, now: number): HelloResult {
  const version = commonVersion(supportedVersions, versions);
  if (version !== undefined) {
    return { version, software, maxMessageBytes: limits.maxMessageBytes, name, time: now };
  }
  throw new OutpostError(
    ErrorCode.versionMismatch,
    `${theirs} and the agent that runs (${software}) share no protocol version: upgrade the older one, and start the agent again`,
    { data: { theirs: { ...versions }, ours: { ...supportedVersions } } },
  );
}
