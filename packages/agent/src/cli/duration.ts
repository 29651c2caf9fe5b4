/** Durations as people write them, as `outpost` reads them: `300ms 30s 5m 1h 2d`. */

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds. The number may have a fraction. @throws Error naming the option and saying what a duration looks like */
export function parseDuration(option: string, text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  const ms =
    amount === undefined ? Number.NaN : Math.round(Number(amount) * unitMs[unit as keyof typeof unitMs]);
  if (Number.isSafeInteger(ms)) return ms;
  throw new Error(`--${option}: ${JSON.stringify(text)} is not a duration, e.g. 300ms, 30s, 5m, 1h or 2d`);
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
