/** Opening sessions and finding them, for `Client`. */
import {
  type Buffering,
  ConfigurationName,
  ErrorCode,
  type HostName,
  newSessionId,
  OutpostError,
  type SessionId,
  type SessionInfo,
  SessionName,
  type SessionOutcome,
  type SessionSpec,
  UserName,
} from "@outpost/protocol";
import { signedOpen } from "./authorizing.ts";
import type { Connection } from "./connection.ts";
import { named } from "./named.ts";
import { Session } from "./session.ts";

/** What is wanted of a session. */
export interface SessionSettings {
  /** For people: 1 to 64 of A-Z a-z 0-9 . _ -. No two live sessions of a host have one. */
  readonly name?: string | undefined;
  /** A path, or a name on the hosts' PATH. Default: the login shell of the user that the agent runs as. */
  readonly shell?: string | undefined;
  /** Added to the session's environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Working directory to begin in, absolute. Default: the user's home. */
  readonly cwd?: string | undefined;
  /** Size of the terminal at first. Default 80 × 24. */
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  /** `TERM`. Default `xterm-256color`. */
  readonly term?: string | undefined;
  /** How long it may be disconnected and idle before it is closed, in milliseconds. Default and maximum: the host's. */
  readonly idleTimeoutMs?: number | undefined;
  /** What happens to output that nobody looks at. Default `spill`. */
  readonly buffering?: Buffering | undefined;
  /** True: the host keeps a recording. Default false. */
  readonly record?: boolean | undefined;
  /** The configuration of the hosts that it is opened under. Default `default`. */
  readonly configuration?: string | undefined;
  /** The user of the hosts that its shell runs as. Default: the configuration's. */
  readonly user?: string | undefined;
  /** What `exit` does: `end` (default) the session, or `leave` it as it is. */
  readonly onExit?: "end" | "leave" | undefined;
}

export interface OpenSessionOptions extends SessionSettings {
  /** A target expression: one session is opened on each of these hosts, all with one id. */
  readonly targets: string;
  /** True: it is forgotten as soon as it has ended and whoever controls it has seen that. Default false. */
  readonly temporary?: boolean | undefined;
  /** An id made before (`newSessionId`): opening twice with it opens one session. Default a new one. */
  readonly session?: SessionId | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface OpenedSession {
  /** On the hosts where it could be opened. */
  readonly session: Session;
  /** What became of it on each host. */
  readonly hosts: readonly SessionOutcome[];
}

/** @see Client.openSession */
export async function openSession(
  connection: Connection,
  options: OpenSessionOptions,
): Promise<OpenedSession> {
  const { targets, session: id = newSessionId(), signal } = options;
  const spec = specOf(options);
  const { hosts } = await connection.request(
    "session.open",
    signedOpen(connection, { session: id, targets, spec }),
    signal === undefined ? {} : { signal },
  );
  const opened = hosts.filter(({ error }) => error === undefined).map(({ host }) => host);
  if (opened.length === 0) throw nowhere(hosts);
  return { session: new Session({ connection, id, name: spec.name, hosts: opened }), hosts };
}

function specOf(options: SessionSettings & { readonly temporary?: boolean | undefined }): SessionSpec {
  const { name, shell, env = {}, cwd, columns = 80, rows = 24, term, idleTimeoutMs, buffering } = options;
  const { record = false, temporary = false, onExit = "end", configuration, user } = options;
  return {
    ...(name === undefined ? {} : { name: named(SessionName, name) }),
    ...(shell === undefined ? {} : { shell }),
    env: { ...env },
    ...(cwd === undefined ? {} : { cwd }),
    columns,
    rows,
    ...(term === undefined ? {} : { term }),
    ...(idleTimeoutMs === undefined ? {} : { idleTimeoutMs }),
    ...(buffering === undefined ? {} : { buffering }),
    record,
    temporary,
    ...(configuration === undefined ? {} : { configuration: named(ConfigurationName, configuration) }),
    ...(user === undefined ? {} : { user: named(UserName, user) }),
    onExit,
  };
}

/** One reason for one host; several are named. */
function nowhere(hosts: readonly SessionOutcome[]): OutpostError {
  const failures = hosts.flatMap(({ host, error }) => (error === undefined ? [] : [{ host, error }]));
  const [first, ...others] = failures;
  if (first === undefined) return new OutpostError(ErrorCode.internal, "the session was opened on no host");
  if (others.length === 0) {
    const error = OutpostError.fromWire(first.error);
    return new OutpostError(error.code, error.message, { data: { host: first.host, ...error.data } });
  }
  const message = failures.map(({ host, error }) => `${host}: ${error.message}`).join("; ");
  const { code } = OutpostError.fromWire(first.error);
  return new OutpostError(code, `the session was opened on no host: ${message}`, {
    data: { hosts: failures.map(({ host, error: { code: each } }) => ({ host, code: each })) },
  });
}

const ended: ReadonlySet<string> = new Set(["closed", "broken"]);

/** @see Client.session */
export async function findSession(
  connection: Connection,
  reference: string,
  host: string | undefined,
): Promise<Session> {
  const { sessions } = await connection.request("session.list", { session: reference });
  const there = host === undefined ? sessions : sessions.filter((info) => info.host === host);
  if (there.length === 0) {
    const hosts = sessions.map((info) => info.host).join(", ");
    throw new OutpostError(
      ErrorCode.notFound,
      `the session ${reference} is not on ${host ?? ""}; it is on ${hosts}`,
      {
        data: { session: reference, host },
      },
    );
  }
  // Names are taken again once their session has ended: the one that lives is meant.
  const live = there.filter(({ status }) => !ended.has(status.state));
  const [first, ...others] = byId(live.length > 0 ? live : there);
  if (first !== undefined && others.length === 0) return sessionOf(connection, first);
  throw ambiguous(reference, [first!, ...others]);
}

/** The ids of live sessions that are meant; one name may mean sessions on several hosts. @throws OutpostError `not_found`; `conflict` when they have ended */
export async function liveSessionIds(
  connection: Connection,
  references: readonly string[],
): Promise<SessionId[]> {
  const ids = await Promise.all(
    [...new Set(references)].map(async (reference) => {
      const { sessions } = await connection.request("session.list", { session: reference });
      const live = sessions.filter(({ status }) => !ended.has(status.state));
      if (live.length > 0) return live.map(({ status }) => status.session);
      const why = sessions[0]?.status.reason?.message;
      throw new OutpostError(
        ErrorCode.conflict,
        `the session ${reference} has ended${why === undefined ? "" : `: ${why}`}`,
        { data: { session: reference } },
      );
    }),
  );
  return [...new Set(ids.flat())];
}

function byId(infos: readonly SessionInfo[]): readonly (readonly SessionInfo[])[] {
  const groups = new Map<SessionId, SessionInfo[]>();
  for (const info of infos) {
    const group = groups.get(info.status.session);
    if (group === undefined) groups.set(info.status.session, [info]);
    else group.push(info);
  }
  return [...groups.values()];
}

function sessionOf(connection: Connection, infos: readonly SessionInfo[]): Session {
  const { session: id, name } = infos[0]!.status;
  const hosts: HostName[] = infos.map(({ host }) => host);
  return new Session({ connection, id, name, hosts });
}

function ambiguous(reference: string, groups: readonly (readonly SessionInfo[])[]): OutpostError {
  const each = groups.map(
    (infos) => `${infos[0]!.status.session} (${infos.map(({ host }) => host).join(", ")})`,
  );
  return new OutpostError(
    ErrorCode.conflict,
    `${reference} may mean several sessions: ${each.join(", ")}; say which by its id`,
    { data: { session: reference, sessions: groups.map((infos) => infos[0]!.status.session) } },
  );
}
