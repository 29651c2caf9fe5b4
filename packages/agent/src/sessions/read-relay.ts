/** `session.read` between the controller and the session host: a session's output as one stream, with its gaps. */
import {
  type agentMethods,
  type Call,
  ErrorCode,
  type IncomingStream,
  OutpostError,
  type OutgoingStream,
  relayGap,
  relayStream,
  type SessionReadParams,
  type SessionStatus,
} from "@outpost/protocol";
import type { AgentPeer } from "../handlers/context.ts";
import type { SentBytes } from "../handlers/sent-bytes.ts";
import { explainCut, type SessionHostPeer } from "./session-host-link.ts";

/** @param sent counts the output that goes out */
export async function relayRead(
  host: SessionHostPeer,
  controller: AgentPeer,
  params: SessionReadParams,
  call: Call<typeof agentMethods, "session.read">,
  sent: SentBytes,
): Promise<{ status: SessionStatus }> {
  let output: { readonly from: IncomingStream; readonly to: OutgoingStream } | undefined;
  try {
    return await host.request("session.read", params, {
      signal: call.signal,
      onEvent(told) {
        if (told.event === "read.gap") {
          call.emit("read.gap", told.params);
          if (output === undefined) return;
          relayGap(output.from, output.to, told.params.gap.to);
          sent.gap(told.params.gap);
          return;
        }
        const { stream, offset } = told.params;
        const to = controller.openStream();
        call.emit("read.opened", { stream: to.number, offset });
        to.begin(offset, params.window);
        sent.opened(to, offset);
        output = { from: relayStream(host, stream, { offset, window: params.window }, to), to };
      },
    });
  } catch (error) {
    const reason = explainCut(host, error);
    output?.to.end(OutpostError.from(reason, ErrorCode.internal));
    throw reason;
  } finally {
    output?.from.ignore();
    output?.to.end();
  }
}
