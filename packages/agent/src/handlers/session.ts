/** `session.*`: what the controller asks of sessions is asked of the session host, which owns them. */
import type { Handlers, sessionMethods } from "@outpost/protocol";
import { relayAttach } from "../sessions/attach-relay.ts";
import { relayRead } from "../sessions/read-relay.ts";
import type { AgentPeer, HeldSessions } from "./context.ts";

export interface SessionHandlerContext {
  readonly sessions: HeldSessions;
  readonly peer: () => AgentPeer;
}

export function sessionHandlers({ sessions, peer }: SessionHandlerContext): Handlers<typeof sessionMethods> {
  return {
    "session.open": async (params) => ({ status: await sessions.open(params) }),
    "session.list": async () => {
      await sessions.ready();
      return { sessions: [...(sessions.list() ?? [])] };
    },
    "session.attach": async (params, call) => {
      const host = await sessions.connection(params.session);
      call.signal.throwIfAborted();
      return relayAttach(host, peer(), params, call);
    },
    "session.resize": async (params) => {
      await sessions.resize(params);
      return {};
    },
    "session.role": async (params) => {
      await sessions.setRole(params);
      return {};
    },
    "session.acknowledge": async (params) => {
      await sessions.acknowledge(params);
      return {};
    },
    "session.read": async (params, call) => {
      const host = await sessions.connection(params.session);
      call.signal.throwIfAborted();
      return relayRead(host, peer(), params, call);
    },
    "session.disconnect": async (params) => ({ status: await sessions.disconnect(params) }),
    "session.remove": async (params) => {
      await sessions.remove(params);
      return {};
    },
  };
}
