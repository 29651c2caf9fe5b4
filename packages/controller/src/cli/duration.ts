/** Durations as people write them: `300ms 30s 5m 1h 2d`. */

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
type Unit = keyof typeof unitMs;

/** Milliseconds. The number may have a fraction. @throws Error saying what a duration looks like */
export function parseDuration(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  const ms = amount === undefined ? Number.NaN : Math.round(Number(amount) * unitMs[unit as Unit]);
  if (!Number.isSafeInteger(ms)) throw new Error("is not a duration, e.g. 300ms, 30s, 5m, 1h or 2d");
  return ms;
}

/** In the largest unit of which there is one, and the next where it matters: `850 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function durationText(ms: number): string {
  const whole = Math.max(0, ms);
  if (whole < 1_000) return `${String(Math.round(whole))} ms`;
  const seconds = Math.floor(whole / 1_000);
  if (seconds < 60) return `${String(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return two(minutes, "min", seconds % 60, "s");
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return two(hours, "h", minutes % 60, "min");
  return two(Math.floor(hours / 24), "d", hours % 24, "h");
}

function two(large: number, largeUnit: string, small: number, smallUnit: string): string {
  const rest = small === 0 ? "" : ` ${String(small)} ${smallUnit}`;
  return `${String(large)} ${largeUnit}${rest}`;
}

/** How long ago, in words: `now`, `12 s ago`, `3 min ago`, `2 h ago`, `5 d ago`. */
export function ageText(time: number, now: number): string {
  const seconds = Math.floor((now - time) / 1_000);
  if (seconds < 2) return "now";
  if (seconds < 60) return `${String(seconds)} s ago`;
  if (seconds < 3_600) return `${String(Math.floor(seconds / 60))} min ago`;
  if (seconds < 86_400) return `${String(Math.floor(seconds / 3_600))} h ago`;
  return `${String(Math.floor(seconds / 86_400))} d ago`;
}
