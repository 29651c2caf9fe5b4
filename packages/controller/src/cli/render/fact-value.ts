/** What a host is by a key, for people: the same keys as in target expressions. */
import type { HostInfo } from "@outpost/protocol";
import { isFact, valuesOf } from "@outpost/protocol/targets";

/** Those that are numbers of bytes. */
const sizes: ReadonlySet<string> = new Set(["mem", "disk", "disk.free"]);

/** `undefined`: the host has no such label or fact. */
export function factValue(host: Pick<HostInfo, "labels" | "facts">, key: string): string | undefined {
  const values = valuesOf(key, host);
  if (values.length === 0) return undefined;
  return values
    .map((value) => (typeof value === "number" && sizes.has(key) ? sizeText(value) : String(value)))
    .join(" ");
}

/** Whether a key means something on a host that has no label of that name. */
export function isFactKey(key: string): boolean {
  return isFact(key) || key.startsWith("label.");
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
