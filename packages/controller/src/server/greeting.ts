/** The controller's answer to `hello`, the same for every kind of dialer. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  commonVersion,
  ErrorCode,
  type HelloParams,
  type HelloResult,
  limits,
  OutpostError,
  supportedVersions,
} from "@outpost/protocol";
// The same from src/ and from dist/.
const packageFile = join(import.meta.dirname, "..", "..", "package.json");
const { version: softwareVersion } = JSON.parse(readFileSync(packageFile, "utf8")) as { version: string };

const software = `outpost-controller ${softwareVersion}`;

/** @throws OutpostError `version_mismatch` naming both sides' versions */
export function greet(params: HelloParams, name: string, now: number): HelloResult {
  const version = commonVersion(supportedVersions, params.versions);
  if (version === undefined) {
    const { min, max } = params.versions;
    throw new OutpostError(
      ErrorCode.versionMismatch,
      `${params.software} speaks protocol ${range(min, max)}, ${software} ${range(supportedVersions.min, supportedVersions.max)}; upgrade the older one`,
      { data: { theirs: { min, max }, ours: { ...supportedVersions } } },
    );
  }
  return { version, software, maxMessageBytes: limits.maxMessageBytes, name, time: now };
}

function range(min: number, max: number): string {
  return min === max ? `version ${String(min)}` : `versions ${String(min)} to ${String(max)}`;
}
