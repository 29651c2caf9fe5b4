/** Amounts as people write them in configurations: CPUs, bytes, durations. Each schema turns text into a number. */
import * as v from "valibot";

const byteUnits = { "": 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 } as const;
const durationUnits = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** One CPU at most that often: more than any host has. */
const maxCpus = 4_096;

/** A share of the host's CPUs: `50%`, `2`, `0.5`, `2 CPUs`. The number of CPUs. */
export const Cpus = v.pipe(
  v.union([v.number(), v.string()], "must be a number of CPUs, or text such as 50% or 2 CPUs"),
  v.transform((given) => (typeof given === "number" ? given : parseCpus(given))),
  v.check((cpus) => cpus > 0 && cpus <= maxCpus, "is not an amount of CPU, e.g. 50%, 2 or 2 CPUs"),
);

/** `512M`, `2G`, `1.5 GiB`, or a number of bytes; 1 K is 1,024. In bytes. */
export const ByteSize = v.pipe(
  v.union([v.number(), v.string()], "must be a number of bytes, or text such as 512M or 2G"),
  v.transform((given) => (typeof given === "number" ? given : parseBytes(given))),
  v.check((bytes) => Number.isSafeInteger(bytes) && bytes > 0, "is not a size, e.g. 512M or 2G"),
);

/** `30s`, `5m`, `2h`, `1d`. In milliseconds. */
export const Duration = v.pipe(
  v.string(),
  v.transform(parseDuration),
  v.check((ms) => Number.isSafeInteger(ms) && ms > 0, "is not a duration, e.g. 30s, 5m, 2h or 1d"),
);

export const Count = v.pipe(v.number(), v.check(isCount, "is not a number of at least 1"));

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}

function parseCpus(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?) *(%|CPUs?)?$/i.exec(text) ?? [];
  return unit === "%" ? Number(amount) / 100 : Number(amount);
}

function parseBytes(text: string): number {
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?) *(?:([KMGT])i?)?B?$/i.exec(text) ?? [];
  return Math.round(Number(amount) * byteUnits[unit.toUpperCase() as keyof typeof byteUnits]);
}

function parseDuration(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?) *(ms|s|m|h|d)$/.exec(text) ?? [];
  return Math.round(Number(amount) * durationUnits[unit as keyof typeof durationUnits]);
}

/** As it is written in a configuration. */
export function bytesText(bytes: number): string {
  const unit = (["T", "G", "M", "K"] as const).find((each) => bytes % byteUnits[each] === 0);
  return unit === undefined ? String(bytes) : `${String(bytes / byteUnits[unit])}${unit}`;
}

/** As it is written in a configuration. */
export function durationText(ms: number): string {
  const unit = (["d", "h", "m", "s"] as const).find((each) => ms % durationUnits[each] === 0);
  return unit === undefined ? `${String(ms)}ms` : `${String(ms / durationUnits[unit])}${unit}`;
}
