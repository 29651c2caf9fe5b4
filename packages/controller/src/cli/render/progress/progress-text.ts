/** The status line of a job: `outpost  ━━━━╸────  613/1000  ok 590  failed 12  unreachable 11  running 387  212/s  ETA 2s`. */
import { type Style, styled } from "../color.ts";
import { printable } from "../printable.ts";
import type { Progress } from "./progress.ts";

export interface ProgressTextOptions {
  readonly columns: number;
  readonly color: boolean;
  /** False: ASCII only. */
  readonly unicode: boolean;
}

interface Part {
  readonly text: string;
  readonly style?: Style;
  /** The higher it is, the sooner it goes when there is too little room; 0 stays. */
  readonly goes: number;
}

const gap = "  ";

/** Never wider than `columns`: what there is no room for is left out, the least important first. */
export function progressText(progress: Progress, { columns, color, unicode }: ProgressTextOptions): string {
  const shares = `${String(progress.done)}/${String(progress.hosts)}`;
  const all: Part[] = [
    { text: "outpost", goes: 9 },
    { text: shares, style: "bold", goes: 0 },
    ...rolloutParts(progress),
    { text: `ok ${String(progress.count("succeeded"))}`, style: "green", goes: 4 },
    ...part(progress.failed, "failed", 1, "red"),
    ...part(progress.unreachable, "unreachable", 2, "yellow"),
    ...part(progress.count("skipped"), "skipped", 6),
    ...part(progress.running, "running", 3),
    ...rateParts(progress),
  ];
  const parts = fit(all, columns);
  if (parts.length === 0) return "";
  const shown = parts.map(({ text, style }) => styled(text, color ? style : undefined));
  const room = columns - widthOf(parts) - gap.length;
  // Numbers before pictures.
  if (room >= minBar && parts.length === all.length) {
    const share = progress.hosts === 0 ? 0 : progress.done / progress.hosts;
    shown.splice(1, 0, bar(share, Math.min(maxBar, room), { unicode, color }));
  }
  return shown.join(gap);
}

function part(count: number, name: string, goes: number, style?: Style): Part[] {
  if (count === 0) return [];
  return [{ text: `${name} ${String(count)}`, goes, ...(style === undefined ? {} : { style }) }];
}

/** `stage 2/5`, `paused`, `waiting (check)`. */
function rolloutParts({ rollout, toCome }: Progress): Part[] {
  if (rollout === undefined) return [];
  const { state, reason, by, stage, stages } = rollout;
  const why = reason === "operator" && by !== undefined ? `by ${printable(by)}` : reason?.replace("_", " ");
  const stands = why === undefined ? state : `${state}: ${why}`;
  return [
    ...(stages > 1 ? [{ text: `stage ${String(stage)}/${String(stages)}`, goes: 5 }] : []),
    ...(state === "running" || state === "done" ? [] : [{ text: stands, style: "yellow", goes: 1 } as const]),
    ...part(toCome, "to come", 6),
  ];
}

function rateParts(progress: Progress): Part[] {
  const { perSecond, leftMs } = progress;
  if (perSecond === 0 || progress.done === progress.hosts) return [];
  const rate = perSecond < 10 ? perSecond.toFixed(1) : perSecond.toFixed(0);
  const isSteady = leftMs !== undefined && progress.rollout?.state !== "paused";
  return [
    { text: `${rate}/s`, goes: 8 },
    ...(isSteady ? [{ text: `ETA ${leftText(leftMs)}`, goes: 7 }] : []),
  ];
}

/** `2s`, `3m05s`, `1h20m`: as short as a clock. */
function leftText(ms: number): string {
  const seconds = Math.ceil(ms / 1_000);
  const two = (count: number): string => String(count).padStart(2, "0");
  if (seconds < 60) return `${String(seconds)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${String(minutes)}m${two(seconds % 60)}s`;
  return `${String(Math.floor(minutes / 60))}h${two(minutes % 60)}m`;
}

function fit(all: readonly Part[], columns: number): readonly Part[] {
  let parts = all;
  while (widthOf(parts) > columns && parts.length > 0) {
    const first = Math.max(...parts.map(({ goes }) => goes));
    const at = parts.findLastIndex(({ goes }) => goes === first);
    parts = parts.filter((_part, index) => index !== at);
  }
  return parts;
}

function widthOf(parts: readonly Part[]): number {
  const texts = parts.reduce((sum, { text }) => sum + text.length, 0);
  return texts + gap.length * Math.max(0, parts.length - 1);
}

const minBar = 6;
const maxBar = 24;

function bar(
  share: number,
  columns: number,
  { unicode, color }: Pick<ProgressTextOptions, "unicode" | "color">,
): string {
  if (!unicode) {
    const done = Math.floor(share * (columns - 2));
    return `[${"#".repeat(done)}${".".repeat(columns - 2 - done)}]`;
  }
  const halves = Math.floor(share * columns * 2);
  const done = "━".repeat(Math.floor(halves / 2)) + (halves % 2 === 1 ? "╸" : "");
  const rest = "─".repeat(columns - done.length);
  return `${styled(done, color ? "green" : undefined)}${styled(rest, color ? "dim" : undefined)}`;
}

/** Whether the terminal's characters are UTF-8 (POSIX: the first of these that is not empty counts). */
export function isUnicode(env: NodeJS.ProcessEnv): boolean {
  const locale = [env["LC_ALL"], env["LC_CTYPE"], env["LANG"]].find(
    (each) => each !== undefined && each !== "",
  );
  return locale !== undefined && /utf-?8/i.test(locale);
}
