/**
 * Ctrl-C for a run, until it has arrived. A SIGINT that reaches a process between its fork and its exec can be lost: the
 * shell's handler takes it, and is gone. Then the text would go on with its next line as soon as SIGTERM has ended the
 * command. So it is sent again to what is still there and has no handler of its own, and once to whatever the shell has
 * begun meanwhile; never twice to a program that handles it, for which a second one may mean "now".
 */
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import type { Clock } from "@outpost/protocol";
import { interrupt } from "./interrupt.ts";

/** How often it is looked again, in milliseconds, and how many times: less than whoever stops a job waits before SIGTERM. */
const lookEveryMs = 100;
const looks = 10;

export interface InterruptingOptions {
  readonly clock: Clock;
  /** The shell's pid. */
  readonly shell: number;
  /** The terminal's foreground process group. */
  readonly foregroundGroup: () => number | undefined;
  readonly isOver: () => boolean;
}

/** Interrupts now, and looks after it for a second. */
export function interruptUntilHeeded(options: InterruptingOptions): void {
  const { clock, shell, foregroundGroup, isOver } = options;
  const told = new Set<number>();
  const tell = (group: number | undefined): void => {
    if (group !== undefined) told.add(group);
    interrupt(shell, group, "SIGINT");
  };
  const look = (left: number): void => {
    if (isOver()) return;
    const group = foregroundGroup();
    // Not the shell itself: it may be about to show its prompt, and must not be interrupted in that.
    const isCommand = group !== undefined && group !== shell;
    if (isCommand && (!told.has(group) || !handlesInterrupt(group))) tell(group);
    if (left > 0) clock.after(lookEveryMs, () => look(left - 1));
  };
  tell(foregroundGroup());
  clock.after(lookEveryMs, () => look(looks));
}

/** Whether a process has a handler for SIGINT (`SigCgt` in proc_pid_status(5)); true where it cannot be known. */
function handlesInterrupt(pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${String(pid)}/status`, "latin1");
    const caught = /^SigCgt:\s*([0-9a-f]+)/m.exec(status)?.[1];
    return (
      caught === undefined || (BigInt(`0x${caught}`) & (1n << BigInt(constants.signals.SIGINT - 1))) !== 0n
    );
  } catch {
    return true;
  }
}
