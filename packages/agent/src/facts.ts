/** What this host says of itself. Gathered once, at start. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { arch, availableParallelism, hostname, platform, release, totalmem } from "node:os";
import { promisify } from "node:util";
import type { Facts } from "@outpost/protocol";
import { agentVersion } from "./version.ts";

const maxLength = 256;

export async function gatherFacts(bootId: string): Promise<Facts> {
  return {
    platform: platform(),
    os: (await operatingSystem()).slice(0, maxLength),
    kernel: release().slice(0, maxLength),
    arch: arch(),
    hostname: hostname().slice(0, maxLength),
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    agentVersion,
    bootId,
  };
}

/** The distribution or product in words. A host that does not say is called by its kernel's name. */
async function operatingSystem(): Promise<string> {
  try {
    return platform() === "darwin" ? await macOs() : await linuxDistribution();
  } catch {
    return platform();
  }
}

async function macOs(): Promise<string> {
  const run = promisify(execFile);
  const [name, version] = await Promise.all(
    ["-productName", "-productVersion"].map((what) => run("/usr/bin/sw_vers", [what], { timeout: 5_000 })),
  );
  return `${name!.stdout.trim()} ${version!.stdout.trim()}`;
}

async function linuxDistribution(): Promise<string> {
  return parseOsRelease(await readFile("/etc/os-release", "utf8"));
}

/** The `PRETTY_NAME` of os-release(5), or its default `Linux`. */
export function parseOsRelease(text: string): string {
  const line = /^PRETTY_NAME=(.*)$/m.exec(text)?.[1]?.trim();
  if (line === undefined || line === "") return "Linux";
  const quoted = /^(["'])(.*)\1$/.exec(line);
  // Shell quoting, of which os-release(5) allows backslashes before $, ", ', \ and `.
  return (quoted === null ? line : quoted[2]!).replace(/\\(["'$`\\])/g, "$1");
}
