/** The distribution or product that runs here. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { platform } from "node:os";
import { promisify } from "node:util";
import type { Facts } from "@outpost/protocol";
import { parseOsRelease } from "./os-release.ts";

export type OperatingSystem = Pick<Facts, "os" | "osId" | "osVersion" | "osLike">;

/** Of what it may hold, in characters. */
const maxLength = 256;
const maxLike = 8;

/** A host that does not say is called by its kernel's name. */
export async function operatingSystem(): Promise<OperatingSystem> {
  try {
    return platform() === "darwin" ? await macOs() : await linuxDistribution();
  } catch {
    return { os: platform() };
  }
}

async function macOs(): Promise<OperatingSystem> {
  const run = promisify(execFile);
  const [name, version] = await Promise.all(
    ["-productName", "-productVersion"].map(async (what) => {
      const { stdout } = await run("/usr/bin/sw_vers", [what], { timeout: 5_000 });
      return stdout.trim();
    }),
  );
  return { os: `${name!} ${version!}`.slice(0, maxLength), osId: "macos", osVersion: version! };
}

async function linuxDistribution(): Promise<OperatingSystem> {
  // The second place is for systems whose /etc was made empty.
  const text = await readFile("/etc/os-release", "utf8").catch(() => readFile("/usr/lib/os-release", "utf8"));
  const { name, id, version, like } = parseOsRelease(text);
  return {
    os: name.slice(0, maxLength),
    ...(id === undefined ? {} : { osId: id.slice(0, maxLength) }),
    ...(version === undefined ? {} : { osVersion: version.slice(0, maxLength) }),
    ...(like === undefined ? {} : { osLike: like.slice(0, maxLike).map((word) => word.slice(0, maxLength)) }),
  };
}
