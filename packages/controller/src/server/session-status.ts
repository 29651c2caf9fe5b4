/** How what is known about one session on one host changes. Pure. */
import type { HostName, SessionState, SessionStatus } from "@outpost/protocol";

const rank: Record<SessionState, number> = { opening: 0, opened: 1, disconnected: 1, closed: 2, broken: 2 };

export function hasEnded({ state }: SessionStatus): boolean {
  return rank[state] === 2;
}

/**
 * What is known after a host's answer to a request. An answer is looked at a moment after it came, and what the host
 * told in that moment is newer: such an answer adds nothing. What is told without being asked comes in order and needs no
 * such care.
 */
export function mergeAnswer(known: SessionStatus, answered: SessionStatus): SessionStatus {
  const isOlder = rank[answered.state] < rank[known.state] || answered.output.written < known.output.written;
  // Our own conclusion is worth less than any word of the host.
  return isOlder && known.reason?.code !== "forgotten" ? known : answered;
}

/** The host does not name it any more, and nobody told us how it ended. */
export function forgotten(known: SessionStatus, host: HostName, now: number): SessionStatus {
  return {
    ...endedNow(known, now),
    state: "broken",
    reason: { code: "forgotten", message: `${host} no longer knows this session` },
  };
}

/** The host has forgotten it, as after a removal. What had ended before keeps its own end. */
export function gone(known: SessionStatus, now: number): SessionStatus {
  if (hasEnded(known)) return known;
  return {
    ...endedNow(known, now),
    state: "closed",
    reason: { code: "removed", message: "the session was removed" },
  };
}

function endedNow(known: SessionStatus, now: number): SessionStatus {
  const { command: _command, expiresAt: _expiresAt, ...rest } = known;
  return { ...rest, availability: "none", viewers: [], runs: [], endedAt: now };
}

/** How an ended session ended, as half a sentence for people. */
export function howItEnded({ reason, exit }: SessionStatus): string {
  if (reason !== undefined) return reason.message;
  if (exit === undefined) return "nobody saw how";
  return "code" in exit
    ? `its shell exited with ${String(exit.code)}`
    : `its shell was ended by ${exit.signal}`;
}
