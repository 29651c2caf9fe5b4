/**
 * `session.open`: one session under one id on each of some hosts. Each host for itself; what went wrong on one is told
 * beside what went well on the others. The caller made the id, so that asking again opens nothing twice.
 */
import {
  agentMethods,
  type Clock,
  ErrorCode,
  OutpostError,
  type PackedRequest,
  packRequest,
  type SessionInfo,
  type SessionOutcome,
  type SessionsOpenParams,
} from "@outpost/protocol";
import { agentTooOld } from "./agent-version.ts";
import type { Bus, HostLink } from "./bus.ts";
import { hostUnreachable, nextLink } from "./reach.ts";
import { outcomes } from "./session-outcomes.ts";
import { type SessionHost, sessionInfo } from "./session.ts";
import type { Sessions } from "./sessions.ts";
import type { ControllerSettings } from "./settings.ts";

export interface SessionOpenServices {
  readonly bus: Bus;
  readonly sessions: Sessions;
  readonly clock: Clock;
  readonly settings: ControllerSettings;
}

type PackedOpen = PackedRequest<typeof agentMethods, "session.open">;

/**
 * Takes no signal: what was asked of the hosts goes on when the operator's connection is cut, and the operator asks
 * again with the same id.
 * @throws OutpostError `conflict` when a live session of that name is on one of the hosts, `limit_exceeded` when the
 * request is too large for a message; nothing was sent then
 */
export async function openSessions(
  services: SessionOpenServices,
  params: SessionsOpenParams,
  operator: string,
  hosts: readonly SessionHost[],
): Promise<SessionOutcome[]> {
  refuseTakenName(services.sessions, params, hosts);
  const { session, targets, spec, authorization } = params;
  const packed = packRequest(agentMethods, "session.open", { session, spec, operator, authorization });
  return outcomes(hosts, (host) => {
    const tooOld = agentTooOld(services.bus, host, { ...spec, targets });
    return tooOld === undefined ? openOn(services, host, packed) : Promise.reject(tooOld);
  });
}

/** The hosts would refuse it, too; here it is refused before any of them has opened anything. */
function refuseTakenName(
  sessions: Sessions,
  { session: id, spec: { name } }: SessionsOpenParams,
  hosts: readonly SessionHost[],
): void {
  if (name === undefined) return;
  for (const host of hosts) {
    const holder = sessions
      .on(host.id)
      .find((session) => session.status.name === name && session.id !== id && !session.isEnded);
    if (holder === undefined) continue;
    throw new OutpostError(
      ErrorCode.conflict,
      `there is a session called ${name} on ${host.name} already (${holder.id}); enter that one, or choose another name`,
      { data: { session: holder.id, host: host.name } },
    );
  }
}

async function openOn(
  services: SessionOpenServices,
  host: SessionHost,
  packed: PackedOpen,
): Promise<SessionInfo> {
  const { bus, clock, settings } = services;
  const deadline = clock.monotonicMs() + settings.sessionAnswerMs;
  const link = bus.link(host.id);
  if (link === undefined) throw hostUnreachable(bus, host);
  try {
    return await askOpen(services, host, link, packed, deadline);
  } catch (error) {
    if (link.isOpen) throw error;
  }
  // Cut: it may be open or not. Asked again, the host says.
  const timeoutMs = deadline - clock.monotonicMs();
  const again = await nextLink(bus, clock, host, { timeoutMs }).catch(() => undefined);
  if (again === undefined) throw unknownOutcome(bus, host);
  try {
    return await askOpen(services, host, again, packed, deadline);
  } catch (error) {
    throw again.isOpen ? error : unknownOutcome(bus, host);
  }
}

async function askOpen(
  { bus, sessions, clock }: SessionOpenServices,
  host: SessionHost,
  link: HostLink,
  packed: PackedOpen,
  deadline: number,
): Promise<SessionInfo> {
  const timeoutMs = Math.max(1, deadline - clock.monotonicMs());
  const { status } = await link.requestPacked(packed, { timeoutMs });
  sessions.answered(host, status, link);
  return sessionInfo(bus, host, status);
}

function unknownOutcome(bus: Bus, host: SessionHost): OutpostError {
  return hostUnreachable(
    bus,
    host,
    `the connection of ${host.name} was cut while the session was opened there; it may be open: \`outpost session list\` shows it when the host is back`,
  );
}
