/** Which hosts a job runs on that is to run in sessions: those that hold them. */
import { ErrorCode, type JobSpec, OutpostError } from "@outpost/protocol";
import { sorted } from "@outpost/protocol/targets";
import type { Host } from "./presence.ts";
import { howItEnded } from "./session-status.ts";
import { unknownSession } from "./session-resolve.ts";
import type { HostSession } from "./session.ts";
import type { Sessions } from "./sessions.ts";
import { selectHosts } from "./target-hosts.ts";

export interface SessionTargetServices {
  readonly sessions: Sessions;
  readonly presence: { hosts(): Iterable<Host> };
}

/**
 * @param targets an expression that selects some of the sessions' hosts; default all of them
 * @throws OutpostError `invalid_argument` when the job wants an environment or directory of its own; `not_found` when
 * nobody knows one of the sessions, or a target holds none of them; `conflict` when a session has ended, or a host holds
 * several of them
 */
export function hostsOfSessions(
  { sessions, presence }: SessionTargetServices,
  { session, env, cwd }: JobSpec & { session: NonNullable<JobSpec["session"]> },
  targets: string | undefined,
): Host[] {
  if (Object.keys(env).length > 0 || cwd !== undefined) {
    throw new OutpostError(
      ErrorCode.invalidArgument,
      "a job in a session has the session's environment and working directory; set them in the command",
    );
  }
  const held = holders(sessions, session.ids);
  const hosts =
    targets === undefined
      ? sorted([...presence.hosts()].filter(({ id }) => held.has(id)))
      : selectHosts(targets, presence.hosts());
  for (const host of hosts) check(host, held.get(host.id) ?? []);
  return hosts;
}

/** The one of the sessions that is on a host which `hostsOfSessions` has found. */
export function sessionOn(
  sessions: Sessions,
  ids: readonly HostSession["id"][],
  host: Host["id"],
): HostSession {
  return ids.map((id) => sessions.find(id, host)).find((session) => session !== undefined)!;
}

function holders(sessions: Sessions, ids: Iterable<HostSession["id"]>): Map<string, HostSession[]> {
  const held = new Map<string, HostSession[]>();
  for (const id of new Set(ids)) {
    const found = sessions.of(id);
    if (found.length === 0) throw unknownSession(id);
    for (const session of found) held.set(session.host, [...(held.get(session.host) ?? []), session]);
  }
  return held;
}

function check({ name }: Host, held: readonly HostSession[]): void {
  const [session, other] = held;
  if (session === undefined) {
    throw new OutpostError(ErrorCode.notFound, `none of the sessions is on ${name}`, {
      data: { host: name },
    });
  }
  const ended = held.find(({ isEnded }) => isEnded);
  if (ended !== undefined) {
    throw new OutpostError(
      ErrorCode.conflict,
      `the session ${ended.status.name ?? ended.id} on ${name} has ended: ${howItEnded(ended.status)}`,
      { data: { host: name, session: ended.id } },
    );
  }
  if (other !== undefined) {
    throw new OutpostError(
      ErrorCode.conflict,
      `${name} holds two of the sessions (${session.id}, ${other.id}); a job runs in one of them`,
      { data: { host: name, sessions: held.map(({ id }) => id) } },
    );
  }
}
