/** Ctrl-C, counted. */
import { setTimeout } from "node:timers/promises";
import { hideFooter } from "./render/sink.ts";

/** How long the status line may take to go, in milliseconds: a terminal that is stopped never lets it. */
const footerMs = 100;

/** Calls back at each SIGINT, with how many there were. `using` it puts the usual behaviour back. */
export function onInterrupt(callback: (count: number) => void): Disposable {
  let count = 0;
  const listener = (): void => callback(++count);
  process.on("SIGINT", listener);
  return { [Symbol.dispose]: () => void process.off("SIGINT", listener) };
}

/**
 * Dies of SIGINT, as programs that were interrupted do. Not `process.exit`: that would wait for a write that a stopped
 * reader does not take.
 */
export function dieOfInterrupt(): void {
  process.removeAllListeners("SIGINT");
  void Promise.race([hideFooter(), setTimeout(footerMs)]).then(() => process.kill(process.pid, "SIGINT"));
}

/** Calls back when this process is to end for another reason: its terminal is gone, or somebody has sent SIGTERM. The second
 * time it ends at once. */
export function onTermination(callback: (signal: NodeJS.Signals) => void): Disposable {
  const signals = ["SIGTERM", "SIGHUP"] as const;
  const forget = (): void => {
    for (const signal of signals) process.off(signal, listener);
  };
  const listener = (signal: NodeJS.Signals): void => {
    forget();
    callback(signal);
  };
  for (const signal of signals) process.on(signal, listener);
  return { [Symbol.dispose]: forget };
}
