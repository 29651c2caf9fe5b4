/** Ctrl-C, counted. */

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
  process.kill(process.pid, "SIGINT");
}
