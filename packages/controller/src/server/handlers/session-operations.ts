/**
 * What the controller answers to an operator about sessions: `select` says which hosts, `run` passes it on to them. Whose a
 * session is may differ from host to host: who opened it there is what counts.
 */
import type {
  agentMethods,
  Handlers,
  Params,
  Result,
  SessionInfo,
  SessionOutcome,
  ViewerRole,
} from "@outpost/protocol";
import { firstPage } from "../page.ts";
import type { Host } from "../presence.ts";
import { askHost } from "../reach.ts";
import type { Services } from "../services.ts";
import { openSessions } from "../session-open.ts";
import { behind, byPlace, newestFirst } from "../session-order.ts";
import { outcomes } from "../session-outcomes.ts";
import { refreshSessions } from "../session-refresh.ts";
import { relayAttach, relayRead } from "../session-relay.ts";
import { resolveSession } from "../session-resolve.ts";
import { type HostSession, sessionInfo } from "../session.ts";
import { waitForSessions } from "../session-wait.ts";
import { selectHosts } from "../target-hosts.ts";
import type { Guard, OperatorMethods, Trail } from "./guard.ts";
import { sessionSelection } from "./session-selection.ts";

type SessionOperation = Extract<keyof OperatorMethods, `session.${string}`>;

export function sessionOperations(
  services: Services,
  guard: Guard,
): Pick<Handlers<OperatorMethods>, SessionOperation> {
  const { presence, sessions, bus, observer, clock, settings } = services;
  const timeoutMs = settings.sessionAnswerMs;

  const { mayList, known, oneHost, someHosts, viewerOf, ownViewer, sessionsOn, refuseTakenId } =
    sessionSelection(services);
  /** What the host answers and needs nothing of us. The casts join what TypeScript keeps apart: `K` is one method. */
  const passOn =
    <K extends "session.resize" | "session.role" | "session.acknowledge">(method: K) =>
    async (host: Host, { host: _host, ...params }: Params<OperatorMethods, K>) => {
      const asked = params as unknown as Params<typeof agentMethods, K>;
      await askHost(bus, host, (link) => link.request<K>(method, asked, { timeoutMs }));
      return {} as Result<OperatorMethods, K>;
    };
  const infos = (selected: readonly HostSession[]): SessionInfo[] =>
    selected.map((session) => session.info(bus));

  return {
    "session.open": guard<"session.open", Host[]>("session.open", {
      action: "session.open",
      audit: "outcome",
      select({ targets, session, spec: { configuration, user, name, shell } }, asker) {
        refuseTakenId(session, asker);
        const hosts = selectHosts(targets, presence.hosts());
        return {
          subject: hosts,
          hosts: hosts.map((host) => ({ name: host.name, labels: host.labels, configuration, user })),
          about: session,
          what: [name, shell].filter((text) => text !== undefined).join(" ") || undefined,
        };
      },
      run: async (hosts, params, { operator }, _call, trail) => ({
        hosts: noted(await openSessions(services, params, operator.name, hosts), trail),
      }),
    }),

    "session.list": guard<"session.list", HostSession[]>("session.list", {
      action: "session.list",
      // The pages of one list are one request of a person; the first is written each time.
      audit: ({ after }) => (after === undefined ? undefined : "once"),
      select({ targets, session }, asker) {
        const among =
          targets === undefined
            ? undefined
            : new Set(selectHosts(targets, presence.hosts()).map(({ id }) => id));
        const isWanted = ({ host }: HostSession): boolean => among?.has(host) ?? true;
        if (session === undefined) {
          return { subject: [...sessions.all()].filter(isWanted).filter(mayList(asker)), hosts: "filtered" };
        }
        const found = resolveSession(sessions, session, mayList(asker)).filter(isWanted);
        const visible = found.filter(mayList(asker));
        // Where there is one and none may be seen, that is said.
        return visible.length > 0 || found.length === 0
          ? { subject: visible, hosts: "filtered", about: found[0]?.id }
          : known(found[0]!.id, found);
      },
      async run(found, { states, limit, after }) {
        const asked = limit === undefined ? found : behind(byPlace(found), after).slice(0, limit + 1);
        const page = asked.slice(0, limit);
        await refreshSessions(sessions, bus, page, settings.statusTimeoutMs);
        const shown = page.filter(
          (session) => !session.isGone && (states?.includes(session.status.state) ?? true),
        );
        if (limit === undefined) return { sessions: infos(newestFirst(shown)) };
        const { entries, more } = firstPage(shown, limit, (session) => session.info(bus));
        // What a page had no room for comes with the next, and so does what nobody has looked at yet.
        const last = more ? shown[entries.length - 1] : asked.length > page.length ? page.at(-1) : undefined;
        return {
          sessions: entries,
          ...(last === undefined ? {} : { next: { host: last.hostName, session: last.id } }),
        };
      },
    }),

    "session.attach": guard<"session.attach", Host>("session.attach", {
      action: (_host, { role }) => actionOf(role),
      audit: "outcome",
      select(params, asker) {
        const selected = ownViewer(params, asker);
        // A host that is there knows better than we do; one that is not is waited for, so the name had better be right.
        // Whoever says where the output goes on has been there before, perhaps a moment before we were killed.
        const isAway = bus.link(selected.subject.id) === undefined;
        if (isAway && params.from === undefined) sessionsOn(params.session, [params.host]);
        return { ...selected, what: params.role === "control" ? "enter" : "look on" };
      },
      run: (host, params, { operator, peer }, call, trail) =>
        relayAttach(
          { bus, clock, host, observer, operator: peer(), relayed: (bytes) => count(trail, bytes) },
          { ...params, operator: operator.name },
          call,
        ),
    }),

    "session.read": guard<"session.read", Host>("session.read", {
      action: "session.watch",
      audit: "outcome",
      select: (params) => ({ ...oneHost(params), what: `read its ${params.what}` }),
      run: (host, params, { peer }, call, trail) =>
        relayRead(
          { bus, clock, host, observer, operator: peer(), relayed: (bytes) => count(trail, bytes) },
          params,
          call,
        ),
    }),

    "session.resize": guard<"session.resize", Host>("session.resize", {
      // Of a terminal that only looks on, a size changes nothing. One that the host has not told us of yet nobody else knows.
      action: (_host, params) => actionOf(viewerOf(params)?.role ?? "watch"),
      audit: "once",
      select: (params, asker) => ({ ...ownViewer(params, asker), what: "size of the terminal" }),
      run: passOn("session.resize"),
    }),

    "session.role": guard<"session.role", Host>("session.role", {
      action: (_host, { role }) => actionOf(role),
      audit: "outcome",
      select: (params, asker) => ({
        ...ownViewer(params, asker),
        what: params.role === "control" ? "take over" : "only look on",
      }),
      run: passOn("session.role"),
    }),

    "session.acknowledge": guard<"session.acknowledge", Host>("session.acknowledge", {
      action: "session.watch",
      audit: "once",
      select: (params) => ({ ...oneHost(params), what: "acknowledge its output" }),
      run: passOn("session.acknowledge"),
    }),

    "session.disconnect": guard<"session.disconnect", Host[]>("session.disconnect", {
      action: "session.control",
      audit: "outcome",
      select({ session, hosts }) {
        if (hosts === undefined) sessionsOn(session, hosts);
        return { ...someHosts(session, hosts), what: "send its viewers away" };
      },
      run: async (hosts, { hosts: _hosts, ...params }, { operator }, _call, trail) => ({
        hosts: noted(
          await outcomes(hosts, (host) =>
            askHost(bus, host, async (link) => {
              const asked = { ...params, operator: operator.name };
              const { status } = await link.request("session.disconnect", asked, { timeoutMs });
              sessions.answered(host, status, link);
              return sessionInfo(bus, host, status);
            }),
          ),
          trail,
        ),
      }),
    }),

    "session.remove": guard<"session.remove", Host[]>("session.remove", {
      // One that nobody knows has been removed, and nothing is done.
      action: (hosts) => (hosts.length === 0 ? undefined : "session.remove"),
      audit: "outcome",
      select: ({ session, hosts }) => someHosts(session, hosts),
      run: async (hosts, { session, authorization }, { operator }, _call, trail) => ({
        hosts: noted(
          await outcomes(hosts, async (host) => {
            const asked = { session, operator: operator.name, authorization };
            await askHost(bus, host, (link) => link.request("session.remove", asked, { timeoutMs }));
            sessions.gone(host, session);
            return undefined;
          }),
          trail,
        ),
      }),
    }),

    "session.wait": guard<"session.wait", HostSession[]>("session.wait", {
      action: "session.list",
      select({ session, hosts }) {
        // Of no host is of all: what comes back tells of the session.
        const awaited = sessionsOn(session, hosts?.length === 0 ? undefined : hosts);
        return { ...known(session, awaited), what: "wait" };
      },
      async run(awaited, { until, timeoutMs: atMostMs }, _connection, { signal }) {
        const options = { until, timeoutMs: atMostMs, signal, clock, bus };
        const reached = await waitForSessions(sessions, awaited, options);
        return { reached, sessions: infos(awaited) };
      },
    }),
  };
}

function actionOf(role: ViewerRole): "session.control" | "session.watch" {
  return role === "control" ? "session.control" : "session.watch";
}

/** Tells the trail which hosts have failed. */
function noted(hosts: SessionOutcome[], trail: Trail): SessionOutcome[] {
  for (const { host, error } of hosts) {
    if (error !== undefined) trail.failed(host, error);
  }
  return hosts;
}

function count(trail: Trail, bytes: number): void {
  trail.bytes = (trail.bytes ?? 0) + bytes;
}
