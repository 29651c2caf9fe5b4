/** The orders in which sessions are listed. */
import type { SessionId, SessionsListParams } from "@outpost/protocol";
import { compareNames } from "@outpost/protocol/targets";
import { byHostName, type HostSession } from "./session.ts";

/** By host, and then by id: an order in which each keeps its place. */
export function byPlace(found: readonly HostSession[]): HostSession[] {
  return [...found].sort(
    (left, right) => compareNames(left.hostName, right.hostName) || compareIds(left.id, right.id),
  );
}

/** Those that come after that place; whoever had it need not be there any more. */
export function behind(found: HostSession[], after: SessionsListParams["after"]): HostSession[] {
  if (after === undefined) return found;
  const { host, session } = after;
  return found.filter(({ hostName, id }) => (compareNames(hostName, host) || compareIds(id, session)) > 0);
}

function compareIds(left: SessionId, right: SessionId): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Sessions that were opened together stay together, their hosts in order. */
export function newestFirst(found: readonly HostSession[]): HostSession[] {
  const openedAt = new Map<SessionId, number>();
  for (const { id, status } of found) openedAt.set(id, Math.max(openedAt.get(id) ?? 0, status.createdAt));
  return [...found].sort(
    (left, right) =>
      openedAt.get(right.id)! - openedAt.get(left.id)! ||
      compareIds(left.id, right.id) ||
      byHostName(left, right),
  );
}
