/** Plays a recording at the pace at which it was made, or another. */
import { setTimeout } from "node:timers/promises";
import { isatty } from "node:tty";
import { type AsciicastEvent, ExitCode, readAsciicast, type Session } from "../client/index.ts";
import { onInterrupt } from "./interrupts.ts";
import { say, stdout } from "./render/sink.ts";
import { restoreModes } from "./terminal/sequences.ts";

export interface ReplayOptions {
  readonly host: string | undefined;
  /** How many times as fast. */
  readonly speed: number;
  /** Longer pauses are shortened to this, in milliseconds. */
  readonly maxPauseMs: number;
}

/** @returns the exit code. @throws OutpostError `not_found` when there is no recording */
export async function replaySession(session: Session, options: ReplayOptions): Promise<number> {
  const { host, ...pace } = options;
  const ending = new AbortController();
  const { signal } = ending;
  using _interrupts = onInterrupt(() => ending.abort());
  const pause = pauses(pace);
  try {
    for await (const line of readAsciicast(session.recording({ host, signal }))) {
      if ("version" in line) await sayMisfit(line.width, line.height);
      else await play(line, pause, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    return ExitCode.interrupted;
  } finally {
    // It may have ended in the middle of anything.
    if (isatty(1)) await stdout.write(restoreModes);
  }
  return ExitCode.succeeded;
}

type Pauses = (atMs: number) => number;

/** How long to wait for the event at that time, in milliseconds: called for each, in order. */
export function pauses({ speed, maxPauseMs }: Pick<ReplayOptions, "speed" | "maxPauseMs">): Pauses {
  let before = 0;
  return (atMs) => {
    const passedMs = Math.max(0, atMs - before);
    before = Math.max(before, atMs);
    return Math.min(passedMs / speed, maxPauseMs);
  };
}

async function play({ atMs, code, data }: AsciicastEvent, pause: Pauses, signal: AbortSignal): Promise<void> {
  const pauseMs = pause(atMs);
  if (pauseMs > 0) await setTimeout(pauseMs, undefined, { signal });
  if (code === "o") await stdout.write(data);
}

async function sayMisfit(width: number, height: number): Promise<void> {
  if (!isatty(1)) return;
  const { columns, rows } = process.stdout;
  if (columns === width && rows === height) return;
  const sizes = `${String(width)}×${String(height)}, this terminal ${String(columns)}×${String(rows)}`;
  await say(`it was recorded at ${sizes}: it may look wrong`);
}
