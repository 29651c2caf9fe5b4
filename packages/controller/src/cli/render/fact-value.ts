/** What a host is by a key, for people: the same keys as in target expressions. */
import type { Facts, HostInfo } from "@outpost/protocol";

type Described = Pick<HostInfo, "labels" | "facts">;

const known: Readonly<Record<string, (facts: Facts) => string | undefined>> = {
  os: ({ osId, os }) => osId ?? os,
  "os.version": ({ osVersion }) => osVersion,
  "os.like": ({ osId, osLike = [] }) => [...(osId === undefined ? [] : [osId]), ...osLike].join(" "),
  kernel: ({ kernel }) => kernel,
  arch: ({ arch }) => arch,
  platform: ({ platform }) => platform,
  cpus: ({ cpus }) => String(cpus),
  mem: ({ memoryBytes }) => sizeText(memoryBytes),
  disk: ({ disks }) => sizeOf(disks?.[0]?.sizeBytes),
  "disk.free": ({ disks }) => sizeOf(disks?.[0]?.freeBytes),
  address: ({ addresses = [] }) => addresses.join(" "),
  cloud: ({ cloud }) => cloud,
  hostname: ({ hostname }) => hostname,
  version: ({ agentVersion }) => agentVersion,
};

/** The names of the facts that every agent tells. */
export const knownFacts: readonly string[] = Object.keys(known);

/** `undefined`: the host has no such label or fact. */
export function factValue({ labels, facts }: Described, key: string): string | undefined {
  if (Object.hasOwn(labels, key)) return labels[key];
  if (key.startsWith("label.")) {
    const label = key.slice("label.".length);
    return Object.hasOwn(labels, label) ? labels[label] : undefined;
  }
  if (facts === undefined) return undefined;
  if (key.startsWith("fact.")) {
    const name = key.slice("fact.".length);
    const { custom = {} } = facts;
    return Object.hasOwn(custom, name) ? String(custom[name]) : undefined;
  }
  const value = Object.hasOwn(known, key) ? known[key]!(facts) : undefined;
  return value === "" ? undefined : value;
}

/** Whether a key means something on a host that has no label of that name. */
export function isFactKey(key: string): boolean {
  return Object.hasOwn(known, key) || key.startsWith("fact.") || key.startsWith("label.");
}

/** In binary units, as target expressions are written: `mem>=8GiB`. */
export function sizeText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 9.95 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]!}`;
}

function sizeOf(bytes: number | undefined): string | undefined {
  return bytes === undefined ? undefined : sizeText(bytes);
}
