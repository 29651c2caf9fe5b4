/** The controller's answer to `hello`, the same for every kind of dialer. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { answerHello, type HelloParams, type HelloResult } from "@outpost/protocol";

// The same from src/ and from dist/.
const packageFile = join(import.meta.dirname, "..", "..", "package.json");
export const { version: softwareVersion } = JSON.parse(readFileSync(packageFile, "utf8")) as {
  version: string;
};

const software = `outpost-controller ${softwareVersion}`;

/** @throws OutpostError `version_mismatch` naming both sides' versions */
export function greet(params: HelloParams, name: string, time: number): HelloResult {
  return answerHello(params, { software, name, time, advice: "upgrade the older one" });
}
