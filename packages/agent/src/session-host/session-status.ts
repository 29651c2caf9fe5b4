/** What is said about sessions in words. */
import type { Exit, SessionEnd } from "@outpost/protocol";

export function exited(exit: Exit): SessionEnd {
  const how = "code" in exit ? `exited with code ${String(exit.code)}` : `was ended by ${exit.signal}`;
  return { code: "exited", message: `its shell ${how}` };
}

export function removedBy(operator: string): SessionEnd {
  return { code: "removed", message: `${operator} removed it`, by: operator };
}

export function idledOut(idleTimeoutMs: number): SessionEnd {
  return {
    code: "idle_timeout",
    message: `it was disconnected and idle for its idle time, ${duration(idleTimeoutMs)}`,
  };
}

export function lastedTooLong(timeMs: number): SessionEnd {
  return {
    code: "time_limit",
    message: `it had lasted as long as its configuration lets sessions last, ${duration(timeMs)}`,
  };
}

/** A session that nobody has seen end. */
export function brokenBy(rebooted: boolean): SessionEnd {
  return rebooted
    ? { code: "host_rebooted", message: "the host was restarted; output and recording are still there" }
    : {
        code: "session_host_died",
        message: "the session host process died, and its shell with it; output and recording are still there",
      };
}

const units = [
  [24 * 60 * 60 * 1000, "day"],
  [60 * 60 * 1000, "hour"],
  [60 * 1000, "minute"],
  [1000, "second"],
] as const;

/** In the largest unit that it is a whole number of. */
export function duration(ms: number): string {
  const unit = units.find(([size]) => ms >= size && ms % size === 0);
  if (unit === undefined) return `${String(ms)} milliseconds`;
  const count = ms / unit[0];
  return `${String(count)} ${unit[1]}${count === 1 ? "" : "s"}`;
}
