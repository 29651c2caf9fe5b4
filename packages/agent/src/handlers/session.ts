/** `session.*`: what the controller asks of sessions is asked of the session host, which owns them. */
import type { agentMethods, Handlers, Params, sessionMethods } from "@outpost/protocol";
import type { Admission } from "../access/admission.ts";
import type { SignedMethod } from "../access/asked.ts";
import type { Gate } from "../access/gate.ts";
import { relayAttach } from "../sessions/attach-relay.ts";
import { relayRead } from "../sessions/read-relay.ts";
import type { AgentPeer, HeldSessions } from "./context.ts";
import { SentBytes } from "./sent-bytes.ts";
import { unsigned } from "./unsigned.ts";

export interface SessionHandlerContext {
  readonly sessions: HeldSessions;
  readonly gate: Pick<Gate, "admit">;
  readonly peer: () => AgentPeer;
}

export function sessionHandlers(context: SessionHandlerContext): Handlers<typeof sessionMethods> {
  const { sessions, peer } = context;
  return {
    "session.open": async (params) => {
      const admission = await admitted(context, "session.open", params);
      const status = await admission.carryOut(() => sessions.open(unsigned(params)));
      return { status };
    },
    "session.list": async () => {
      await sessions.ready();
      return { sessions: [...(sessions.list() ?? [])] };
    },
    "session.attach": async (params, call) => {
      const admission = await admitted(context, "session.attach", params);
      const sent = new SentBytes();
      const attach = async () => {
        const host = await sessions.connection(params.session);
        call.signal.throwIfAborted();
        return relayAttach(host, peer(), unsigned(params), call, sent);
      };
      return admission.carryOut(attach, () => sent.bytes);
    },
    "session.resize": async (params) => {
      await sessions.resize(params);
      return {};
    },
    "session.role": async (params) => {
      const admission = await admitted(context, "session.role", params);
      await admission.carryOut(() => sessions.setRole(unsigned(params)));
      return {};
    },
    "session.acknowledge": async (params) => {
      await sessions.acknowledge(params);
      return {};
    },
    "session.read": async (params, call) => {
      const admission = await admitted(context, "session.read", params);
      const sent = new SentBytes();
      const read = async () => {
        const host = await sessions.connection(params.session);
        call.signal.throwIfAborted();
        return relayRead(host, peer(), unsigned(params), call, sent);
      };
      return admission.carryOut(read, () => sent.bytes);
    },
    "session.disconnect": async (params) => {
      const admission = await admitted(context, "session.disconnect", params);
      const status = await admission.carryOut(() => sessions.disconnect(unsigned(params)));
      return { status };
    },
    "session.remove": async (params) => {
      const admission = await admitted(context, "session.remove", params);
      await admission.carryOut(() => sessions.remove(unsigned(params)));
      return {};
    },
  };
}

/** Asks the gate, once it is known which sessions there are and whose. */
async function admitted<M extends SignedMethod>(
  { sessions, gate }: SessionHandlerContext,
  method: M,
  params: Params<typeof agentMethods, M>,
): Promise<Admission> {
  if (sessions.list() === undefined) await sessions.ready();
  return gate.admit(method, params);
}
