/** What the controller answers to an operator about sessions: `select` says which hosts, `run` passes it on to them. */
import {
  type agentMethods,
  ErrorCode,
  type Handlers,
  type HostName,
  OutpostError,
  type Params,
  type Result,
  type SessionId,
  type SessionInfo,
} from "@outpost/protocol";
import { evaluate, parse } from "../../targets/index.ts";
import type { Host } from "../presence.ts";
import { askHost } from "../reach.ts";
import type { Services } from "../services.ts";
import { openSessions } from "../session-open.ts";
import { outcomes } from "../session-outcomes.ts";
import { refreshSessions } from "../session-refresh.ts";
import { relayAttach, relayRead } from "../session-relay.ts";
import { resolveSession, unknownSession } from "../session-resolve.ts";
import { byHostName, type HostSession, sessionInfo } from "../session.ts";
import { waitForSessions } from "../session-wait.ts";
import type { Guard, OperatorMethods } from "./guard.ts";

type SessionOperation = Extract<keyof OperatorMethods, `session.${string}`>;

interface Selected<S> {
  readonly subject: S;
  readonly hosts: HostName[];
}

export function sessionOperations(
  services: Services,
  guard: Guard,
): Pick<Handlers<OperatorMethods>, SessionOperation> {
  const { presence, sessions, bus, clock, settings } = services;
  const timeoutMs = settings.sessionAnswerMs;

  const hostNamed = (name: HostName): Host => {
    const host = presence.hostNamed(name);
    if (host !== undefined) return host;
    throw new OutpostError(
      ErrorCode.notFound,
      `there is no host called ${name}; \`outpost host list\` shows the hosts`,
      { data: { host: name } },
    );
  };
  const oneHost = ({ host: name }: { host: HostName }): Selected<Host> => ({
    subject: hostNamed(name),
    hosts: [name],
  });
  const someHosts = (id: SessionId, names: readonly HostName[] | undefined): Selected<Host[]> => {
    const hosts = (names ?? sessions.of(id).map(({ hostName }) => hostName)).map(hostNamed);
    return { subject: hosts, hosts: hosts.map(({ name }) => name) };
  };
  /** What the host answers and needs nothing of us. The casts join what TypeScript keeps apart: `K` is one method. */
  const passOn = <K extends "session.resize" | "session.role" | "session.acknowledge">(method: K) =>
    guard<K, Host>(method, {
      select: oneHost,
      async run(host, { host: _host, ...params }) {
        const asked = params as unknown as Params<typeof agentMethods, K>;
        await askHost(bus, host, (link) => link.request<K>(method, asked, { timeoutMs }));
        return {} as Result<OperatorMethods, K>;
      },
    });
  const sessionsOn = (id: SessionId, names: readonly HostName[] | undefined): HostSession[] => {
    const known = sessions.of(id);
    if (known.length === 0) throw unknownSession(id);
    if (names === undefined) return known;
    return names.map((name) => {
      const session = known.find(({ hostName }) => hostName === name);
      if (session !== undefined) return session;
      throw new OutpostError(ErrorCode.notFound, `the session ${id} is not on ${name}`, {
        data: { session: id, host: name },
      });
    });
  };
  const infos = (selected: readonly HostSession[]): SessionInfo[] =>
    selected.map((session) => session.info(bus));

  return {
    "session.open": guard<"session.open", Host[]>("session.open", {
      select({ targets }) {
        const hosts = evaluate(parse(targets), presence.hosts());
        return { subject: hosts, hosts: hosts.map(({ name }) => name) };
      },
      run: async (hosts, params, { operator }) => ({
        hosts: await openSessions(services, params, operator.name, hosts),
      }),
    }),

    "session.list": guard<"session.list", HostSession[]>("session.list", {
      select({ targets, session }) {
        const among =
          targets === undefined
            ? undefined
            : new Set(evaluate(parse(targets), presence.hosts()).map(({ id }) => id));
        const all = session === undefined ? [...sessions.all()] : resolveSession(sessions, session);
        const found = all.filter(({ host }) => among?.has(host) ?? true);
        return { subject: found, hosts: [...new Set(found.map(({ hostName }) => hostName))] };
      },
      async run(found, { states }) {
        await refreshSessions(sessions, bus, found, settings.statusTimeoutMs);
        const shown = found.filter(
          (session) => !session.isGone && (states?.includes(session.status.state) ?? true),
        );
        return { sessions: infos(newestFirst(shown)) };
      },
    }),

    "session.attach": guard<"session.attach", Host>("session.attach", {
      select(params) {
        const selected = oneHost(params);
        // A host that is there knows better than we do; one that is not is waited for, so the name had better be right.
        // Whoever says where the output goes on has been there before, perhaps a moment before we were killed.
        const isAway = bus.link(selected.subject.id) === undefined;
        if (isAway && params.from === undefined) sessionsOn(params.session, [params.host]);
        return selected;
      },
      run: (host, params, { operator, peer }, call) =>
        relayAttach({ bus, clock, host, operator: peer() }, { ...params, operator: operator.name }, call),
    }),

    "session.read": guard<"session.read", Host>("session.read", {
      select: oneHost,
      run: (host, params, { peer }, call) => relayRead({ bus, clock, host, operator: peer() }, params, call),
    }),

    "session.resize": passOn("session.resize"),
    "session.role": passOn("session.role"),
    "session.acknowledge": passOn("session.acknowledge"),

    "session.disconnect": guard<"session.disconnect", Host[]>("session.disconnect", {
      select({ session, hosts }) {
        if (hosts === undefined) sessionsOn(session, hosts);
        return someHosts(session, hosts);
      },
      run: async (hosts, { hosts: _hosts, ...params }, { operator }) => ({
        hosts: await outcomes(hosts, (host) =>
          askHost(bus, host, async (link) => {
            const asked = { ...params, operator: operator.name };
            const { status } = await link.request("session.disconnect", asked, { timeoutMs });
            sessions.answered(host, status, link);
            return sessionInfo(bus, host, status);
          }),
        ),
      }),
    }),

    "session.remove": guard<"session.remove", Host[]>("session.remove", {
      // One that nobody knows has been removed.
      select: ({ session, hosts }) => someHosts(session, hosts),
      run: async (hosts, { session }, { operator }) => ({
        hosts: await outcomes(hosts, async (host) => {
          const asked = { session, operator: operator.name };
          await askHost(bus, host, (link) => link.request("session.remove", asked, { timeoutMs }));
          sessions.gone(host, session);
          return undefined;
        }),
      }),
    }),

    "session.wait": guard<"session.wait", HostSession[]>("session.wait", {
      select({ session, hosts }) {
        const awaited = sessionsOn(session, hosts);
        return { subject: awaited, hosts: awaited.map(({ hostName }) => hostName) };
      },
      async run(awaited, { until, timeoutMs: atMostMs }, _connection, { signal }) {
        const options = { until, timeoutMs: atMostMs, signal, clock, bus };
        const reached = await waitForSessions(sessions, awaited, options);
        return { reached, sessions: infos(awaited) };
      },
    }),
  };
}

/** Sessions that were opened together stay together, their hosts in order. */
function newestFirst(found: readonly HostSession[]): HostSession[] {
  const openedAt = new Map<SessionId, number>();
  for (const { id, status } of found) openedAt.set(id, Math.max(openedAt.get(id) ?? 0, status.createdAt));
  return [...found].sort(
    (left, right) =>
      openedAt.get(right.id)! - openedAt.get(left.id)! ||
      (left.id < right.id ? -1 : left.id > right.id ? 1 : 0) ||
      byHostName(left, right),
  );
}
