/** Asks hosts how their live sessions stand, so that a list is true and not as of the last change: output is not told byte by byte. */
import type { Bus } from "./bus.ts";
import type { HostSession, SessionHost } from "./session.ts";
import type { Sessions } from "./sessions.ts";

/** Resolves when every connected host of a live session has answered, or after `timeoutMs`. Never throws. */
export async function refreshSessions(
  sessions: Sessions,
  bus: Bus,
  among: Iterable<HostSession>,
  timeoutMs: number,
): Promise<void> {
  const hosts = new Map<string, SessionHost>();
  for (const session of among) {
    if (!session.isEnded) hosts.set(session.host, { id: session.host, name: session.hostName });
  }
  await Promise.all([...hosts.values()].map((host) => ask(sessions, bus, host, timeoutMs)));
}

async function ask(sessions: Sessions, bus: Bus, host: SessionHost, timeoutMs: number): Promise<void> {
  const link = bus.link(host.id);
  if (link === undefined) return;
  try {
    const answer = await link.request("session.list", {}, { timeoutMs });
    for (const status of answer.sessions) sessions.answered(host, status, link);
  } catch {
    // A slow or lost host leaves what it said last.
  }
}
