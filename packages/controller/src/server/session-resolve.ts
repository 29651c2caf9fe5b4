/** Which session somebody means: by its id, its name, or the beginning of its id. */
import { ErrorCode, OutpostError, type SessionId } from "@outpost/protocol";
import type { HostSession } from "./session.ts";
import type { Sessions } from "./sessions.ts";

const maxNamed = 5;

/**
 * The sessions of one id, on all of their hosts. A whole id counts before a name, and a name before the beginning of an
 * id; where several ids fit, the live ones count before those that have ended.
 * @param mayList what the asker may see; where several fit, only these count
 * @throws OutpostError `not_found`; `conflict` naming the ids when several fit
 */
export function resolveSession(
  sessions: Sessions,
  reference: string,
  mayList: (session: HostSession) => boolean,
): HostSession[] {
  const exact = sessions.of(reference as SessionId);
  if (exact.length > 0) return exact;
  const all = [...sessions.all()];
  const named = all.filter(({ status }) => status.name === reference);
  const fitting = named.length > 0 ? named : all.filter(({ id }) => id.startsWith(reference));
  const visible = fitting.filter(mayList);
  // A name that only others' sessions have is refused with the reason. The beginning of an id is not: so all ids could be had.
  if (visible.length === 0 && named.length === 0) throw unknownSession(reference);
  const ids = visible.length > 0 ? preferred(visible) : preferred(fitting).slice(0, 1);
  if (ids.length === 0) throw unknownSession(reference);
  if (ids.length > 1) {
    const some = ids.slice(0, maxNamed);
    throw new OutpostError(
      ErrorCode.conflict,
      `${reference} fits several sessions (${some.join(", ")}${ids.length > maxNamed ? ", …" : ""}); give a whole id`,
      { data: { sessions: some } },
    );
  }
  return sessions.of(ids[0]!);
}

export function unknownSession(reference: string): OutpostError {
  return new OutpostError(
    ErrorCode.notFound,
    `there is no session ${reference}; \`outpost session list\` shows the sessions`,
    { data: { session: reference } },
  );
}

function preferred(fitting: readonly HostSession[]): SessionId[] {
  const live = fitting.filter((session) => !session.isEnded);
  return [...new Set((live.length > 0 ? live : fitting).map(({ id }) => id))];
}
