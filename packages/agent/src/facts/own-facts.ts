/** What the agent finds out of its host by itself. What cannot be found out is left out, and never keeps the rest. */
import { arch, availableParallelism, hostname, platform, release, totalmem } from "node:os";
import type { Facts } from "@outpost/protocol";
import { agentVersion } from "../version.ts";
import { addresses } from "./addresses.ts";
import { cloud } from "./cloud.ts";
import { disks } from "./disks.ts";
import { operatingSystem } from "./operating-system.ts";

const maxLength = 256;

/** Without what the host's own programs say. */
export async function gatherOwnFacts(bootId: string): Promise<Facts> {
  const [system, found, provider] = await Promise.all([
    operatingSystem(),
    disks().catch(() => []),
    cloud().catch(() => undefined),
  ]);
  const reachable = tryAddresses();
  return {
    platform: platform(),
    kernel: release().slice(0, maxLength),
    arch: arch(),
    hostname: hostname().slice(0, maxLength),
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    agentVersion,
    bootId,
    ...system,
    ...(found.length === 0 ? {} : { disks: found }),
    ...(reachable.length === 0 ? {} : { addresses: reachable }),
    ...(provider === undefined ? {} : { cloud: provider }),
  };
}

function tryAddresses(): string[] {
  try {
    return addresses();
  } catch {
    return []; // A sandbox that does not let us ask (seccomp).
  }
}
