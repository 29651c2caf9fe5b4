/**
 * Keeps V8 from growing while the agent loads. Loading is a burst that an idle agent never sees again: resolving some
 * hundred module paths makes Node's path functions hot for a moment, and optimizing them pages in 5 MB of compiler;
 * the young generation doubles for garbage that is gone at once, and stays that large. Together 7 of the 75 MB that
 * the agent would have otherwise. (Node 24, Linux, /proc/PID/smaps_rollup.)
 */
import { setFlagsFromString } from "node:v8";

/** Returns what gives V8 its usual settings back: what runs from then on is worth it. */
export function startLean(): () => void {
  setFlagsFromString("--no-opt");
  setFlagsFromString("--semi-space-growth-factor=1");
  return () => {
    setFlagsFromString("--opt");
    setFlagsFromString("--semi-space-growth-factor=2");
  };
}
