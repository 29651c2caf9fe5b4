/** Signals to what a run has in the foreground of the terminal; never to the shell in a way that could end it. */
import { hostPlatform } from "../../platform/index.ts";
import { signalProcess } from "../../jobs/process-tree.ts";

export type StopSignal = "SIGINT" | "SIGTERM" | "SIGKILL";

/** @param group the terminal's foreground process group, when there is one */
export function interrupt(shell: number, group: number | undefined, signal: StopSignal): void {
  if (group !== undefined && group !== shell) {
    signalProcess(-group, signal);
    return;
  }
  // A loop of the shell itself, or a $(…) whose processes are in the shell's own group. As Ctrl-C does: to all of it.
  // Shells heed SIGINT between two commands of theirs, and ignore SIGTERM at the prompt.
  signalProcess(-shell, "SIGINT");
  if (signal === "SIGINT") return;
  for (const { pid, group: its } of hostPlatform().processes()) {
    if (its === shell && pid !== shell) signalProcess(pid, signal);
  }
}
