/**
 * Ends all that runs in a terminal: SIGHUP, as when a line is hung up, then SIGKILL to what is left after the grace.
 *
 *     hung up ──grace over──▶ killed ──▶ none left
 *        └─────none left────────────────────▲
 */
import type { Clock } from "@outpost/protocol";
import { signalProcess } from "../jobs/process-tree.ts";
import type { Platform, ProcessInfo } from "../platform/index.ts";
import { terminalSession } from "./foreground.ts";

const firstLookMs = 5;
const longestLookMs = 100;
/** How long processes may take to die of SIGKILL: they may wait for a disk. */
const killWaitMs = 5_000;

export interface TerminalEndOptions {
  readonly platform: Platform;
  readonly clock: Clock;
  /** The shell: leader of the terminal's session. Told from whoever has its pid later by its start time. */
  readonly leader: { readonly pid: number; readonly startTime: string };
  readonly graceMs: number;
}

/** Resolves when nothing of the terminal's session is left, or does not die. */
export async function endTerminal(options: TerminalEndOptions): Promise<void> {
  const { clock, graceMs } = options;
  const began = clock.monotonicMs();
  const signalled = new Map<number, NodeJS.Signals>();
  for (let waitMs = firstLookMs; ; waitMs = Math.min(waitMs * 2, longestLookMs)) {
    const members = membersOf(options);
    const passedMs = clock.monotonicMs() - began;
    if (members.length === 0 || passedMs > graceMs + killWaitMs) return;
    const signal = passedMs < graceMs ? "SIGHUP" : "SIGKILL";
    for (const { pid } of members) {
      if (signalled.get(pid) === signal) continue;
      signalled.set(pid, signal);
      signalProcess(pid, signal);
      // A stopped process (Ctrl-Z) has to go on to die of SIGHUP.
      if (signal === "SIGHUP") signalProcess(pid, "SIGCONT");
    }
    const untilKillMs = graceMs - passedMs;
    await wait(clock, untilKillMs > 0 ? Math.min(waitMs, untilKillMs) : waitMs);
  }
}

/** While anybody is left in a session, its number is nobody else's pid: the kernel sees to that. */
function membersOf({ platform, leader }: TerminalEndOptions): readonly ProcessInfo[] {
  const members = terminalSession(platform, leader.pid);
  const stranger = members.some(({ pid, startTime }) => pid === leader.pid && startTime !== leader.startTime);
  return stranger ? [] : members;
}

function wait(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}
