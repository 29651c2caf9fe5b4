/** Lists that may be longer than a message: of hosts and of sessions, asked for page by page. */
import type {
  HostInfo,
  HostName,
  SessionId,
  SessionInfo,
  SessionsListParams,
  SessionsListResult,
  SessionState,
} from "@outpost/protocol";
import { compareNames } from "@outpost/protocol/targets";
import type { Connection } from "./connection.ts";

/** A controller of an older version does not know pages, and answers with all there are. */
const pagedVersion = 3;

/** How many entries a page has at the most: some hundred kilobytes. */
const pageEntries = 500;

/** @see Client.hosts */
export async function listHosts(connection: Connection, targets: string | undefined): Promise<HostInfo[]> {
  const all: HostInfo[] = [];
  for (;;) {
    await connection.peer();
    const after = all.at(-1)?.name;
    const isPaged = (connection.hello?.version ?? pagedVersion) >= pagedVersion;
    const { hosts, more = false } = await connection.request("host.list", {
      ...(targets === undefined ? {} : { targets }),
      ...(isPaged ? { limit: pageEntries } : {}),
      ...(after === undefined ? {} : { after }),
    });
    // After a cut an older controller may be there: it tells everything once more.
    if (!isPaged) return hosts;
    all.push(...hosts);
    if (!more || hosts.length === 0) return all;
  }
}

export interface SessionFilter {
  readonly targets?: string | undefined;
  readonly states?: readonly SessionState[] | undefined;
}

/** @see Client.sessions */
export async function listSessions(
  connection: Connection,
  { targets, states }: SessionFilter,
): Promise<SessionInfo[]> {
  const all: SessionInfo[] = [];
  let after: SessionsListParams["after"];
  for (;;) {
    await connection.peer();
    const isPaged = (connection.hello?.version ?? pagedVersion) >= pagedVersion;
    const page: SessionsListResult = await connection.request("session.list", {
      ...(targets === undefined ? {} : { targets }),
      ...(states === undefined ? {} : { states: [...states] }),
      ...(isPaged ? { limit: pageEntries } : {}),
      ...(after === undefined ? {} : { after }),
    });
    if (!isPaged) return page.sessions;
    all.push(...page.sessions);
    after = page.next;
    if (after === undefined) return newestFirst(all);
  }
}

/** Sessions that were opened together stay together, their hosts in order: as a controller puts them that is asked for all. */
function newestFirst(found: readonly SessionInfo[]): SessionInfo[] {
  const openedAt = new Map<SessionId, number>();
  for (const { status } of found) {
    openedAt.set(status.session, Math.max(openedAt.get(status.session) ?? 0, status.createdAt));
  }
  const ids = (left: SessionId, right: SessionId): number => (left < right ? -1 : left > right ? 1 : 0);
  const names = (left: HostName, right: HostName): number => compareNames(left, right);
  return [...found].sort(
    ({ host: left, status: one }, { host: right, status: other }) =>
      openedAt.get(other.session)! - openedAt.get(one.session)! ||
      ids(one.session, other.session) ||
      names(left, right),
  );
}
