/** Which sessions, on which hosts, an operator's request is about, and whose they are: what the guard asks before anything is done. */
import {
  ErrorCode,
  type HostName,
  OutpostError,
  type SessionId,
  type SessionStatus,
  type ViewerId,
} from "@outpost/protocol";
import { notAllowed, type Touched } from "../authorisation.ts";
import type { Host } from "../presence.ts";
import type { Services } from "../services.ts";
import { unknownSession } from "../session-resolve.ts";
import type { HostSession } from "../session.ts";
import { hostNamed, touchedHost } from "../target-hosts.ts";
import type { Asker, Selection } from "./guard.ts";

/** A viewer of a session on one host. */
interface ViewerParams {
  readonly host: HostName;
  readonly session: SessionId;
  readonly viewer: ViewerId;
}

export interface SessionSelection {
  /** What the asker may see in a list. */
  readonly mayList: (asker: Asker) => (session: HostSession) => boolean;
  /** Sessions of one id as they are known, on hosts that may be there no more. */
  readonly known: (id: SessionId, found: HostSession[]) => Selection<HostSession[]>;
  /** A session on one host that is there, whether it holds it or not. @throws OutpostError `not_found` */
  readonly oneHost: (params: { host: HostName; session: SessionId }) => Selection<Host>;
  /** The same on those hosts, or on all that are known to hold it. @throws OutpostError `not_found` */
  readonly someHosts: (id: SessionId, names: readonly HostName[] | undefined) => Selection<Host[]>;
  /** A viewer as its host has told of it. */
  readonly viewerOf: (params: ViewerParams) => SessionStatus["viewers"][number] | undefined;
  /** As `oneHost`, of whoever the terminal belongs to. @throws OutpostError `denied` to everybody else */
  readonly ownViewer: (params: ViewerParams, asker: Asker) => Selection<Host>;
  /** @throws OutpostError `not_found` when there is none, or none on one of these hosts */
  readonly sessionsOn: (id: SessionId, names: readonly HostName[] | undefined) => HostSession[];
  /** @throws OutpostError `conflict`, `denied` when somebody else's session has this id */
  readonly refuseTakenId: (id: SessionId, asker: Asker) => void;
}

export function sessionSelection({
  presence,
  sessions,
}: Pick<Services, "presence" | "sessions">): SessionSelection {
  const mayList =
    (asker: Asker) =>
    (session: HostSession): boolean =>
      asker.may("session.list", touchedHost(presence, session, session.status.operator));
  /** A session on hosts that are there, whether they hold it or not. */
  const onHosts = (id: SessionId, hosts: Host[]): Selection<Host[]> => {
    const owners = hosts.map((host) => sessions.ownerOf(id, host.id));
    const touched = hosts.map(({ name, labels }, index): Touched => ({ name, labels, owner: owners[index] }));
    return { subject: hosts, hosts: touched, about: id, title: title(id, owners) };
  };
  const known = (id: SessionId, found: HostSession[]): Selection<HostSession[]> => {
    const hosts = found.map((each) => touchedHost(presence, each, each.status.operator));
    const owners = found.map(({ status }) => status.operator);
    return { subject: found, hosts, about: id, title: title(id, owners) };
  };
  const oneHost = ({ host: name, session }: { host: HostName; session: SessionId }): Selection<Host> => {
    const host = hostNamed(name, presence);
    return { ...onHosts(session, [host]), subject: host };
  };
  const someHosts = (id: SessionId, names: readonly HostName[] | undefined): Selection<Host[]> =>
    onHosts(
      id,
      names === undefined
        ? sessions.of(id).flatMap(({ host }) => presence.host(host) ?? [])
        : names.map((name) => hostNamed(name, presence)),
    );
  const viewerOf = ({ host, session, viewer }: ViewerParams) => {
    const found = sessions.find(session, hostNamed(host, presence).id);
    return found?.status.viewers.find((each) => each.viewer === viewer);
  };
  /** A terminal is its operator's: what it may, and how large it is, nobody else says. */
  const ownViewer = (params: ViewerParams, asker: Asker): Selection<Host> => {
    const selected = oneHost(params);
    const whose = viewerOf(params)?.operator ?? asker.operator;
    if (whose === asker.operator) return selected;
    throw notAllowed({
      operator: asker.operator,
      action: "session.control",
      hosts: [params.host],
      title: selected.title,
      rule: "owner",
      reason: `that terminal is ${whose}'s`,
    });
  };
  const sessionsOn = (id: SessionId, names: readonly HostName[] | undefined): HostSession[] => {
    const all = sessions.of(id);
    if (all.length === 0) throw unknownSession(id);
    if (names === undefined) return all;
    return names.map((name) => {
      const session = all.find(({ hostName }) => hostName === name);
      if (session !== undefined) return session;
      throw new OutpostError(ErrorCode.notFound, `the session ${id} is not on ${name}`, {
        data: { session: id, host: name },
      });
    });
  };
  /** The sessions of one id are one operator's: what is asked of the id is asked of all of them. */
  const refuseTakenId = (id: SessionId, asker: Asker): void => {
    const others = sessions.of(id).filter(({ status }) => status.operator !== asker.operator);
    if (others.length === 0) return;
    const whose = title(
      id,
      others.map(({ status }) => status.operator),
    );
    if (others.every(mayList(asker))) {
      throw new OutpostError(
        ErrorCode.conflict,
        `there is ${whose} already; a new session needs an id of its own`,
        { data: { session: id } },
      );
    }
    throw notAllowed({
      operator: asker.operator,
      action: "session.open",
      hosts: others.map(({ hostName }) => hostName),
      title: whose,
      rule: "owner",
      reason: "somebody else's session has this id",
    });
  };
  return { mayList, known, oneHost, someHosts, viewerOf, ownViewer, sessionsOn, refuseTakenId };
}

/** For people: the session with whose it is. */
function title(id: SessionId, owners: readonly (string | undefined)[]): string {
  const whose = [...new Set(owners.filter((owner) => owner !== undefined))];
  return whose.length === 0 ? `the session ${id}` : `the session ${id} of ${whose.join(" and ")}`;
}
