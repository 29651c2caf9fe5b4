/**
 * `session.attach` between the controller and the session host: output one way, keystrokes the other, events passed on
 * in order. Nothing is kept: each chunk and each credit goes on in the turn in which it came.
 *
 *     controller ◀── attach.* events, output ◀── session host
 *     controller ──▶        keystrokes       ──▶ session host
 *
 * When either connection ends the attach ends, and whoever is attached attaches again from its offsets.
 */
import {
  type agentMethods,
  type Call,
  ErrorCode,
  type IncomingStream,
  OutpostError,
  type OutgoingStream,
  relayGap,
  relayStream,
  type SessionAttachParams,
  type SessionAttachResult,
} from "@outpost/protocol";
import type { AgentPeer } from "../handlers/context.ts";
import type { SentBytes } from "../handlers/sent-bytes.ts";
import { explainCut, type SessionHostPeer } from "./session-host-link.ts";

/** @param sent counts the output that goes out */
export async function relayAttach(
  host: SessionHostPeer,
  controller: AgentPeer,
  params: SessionAttachParams,
  call: Call<typeof agentMethods, "session.attach">,
  sent: SentBytes,
): Promise<SessionAttachResult> {
  const input = host.openStream();
  let keystrokes: IncomingStream | undefined;
  let output: { readonly from: IncomingStream; readonly to: OutgoingStream } | undefined;
  const asked = { ...params, input: input.number };
  try {
    return await host.request("session.attach", asked, {
      signal: call.signal,
      onEvent(told) {
        switch (told.event) {
          case "attach.opened": {
            const { stream, offset } = told.params;
            const to = controller.openStream();
            call.emit("attach.opened", { ...told.params, stream: to.number });
            to.begin(offset, params.window);
            sent.opened(to, offset);
            output = { from: relayStream(host, stream, { offset, window: params.window }, to), to };
            break;
          }
          case "input.ready": {
            input.begin(told.params.offset, told.params.window);
            // First ready to take them, then telling so.
            keystrokes = relayStream(controller, params.input, told.params, input);
            call.emit("input.ready", told.params);
            break;
          }
          case "attach.gap":
            call.emit("attach.gap", told.params);
            if (output === undefined) break;
            relayGap(output.from, output.to, told.params.gap.to);
            sent.gap(told.params.gap);
            break;
          case "attach.repaint":
            call.emit("attach.repaint", told.params);
            break;
          case "attach.changed":
            call.emit("attach.changed", told.params);
            break;
          default:
            told satisfies never;
        }
      },
    });
  } catch (error) {
    const reason = explainCut(host, error);
    // A stream that just stops would look like one that is slow.
    output?.to.end(OutpostError.from(reason, ErrorCode.internal));
    throw reason;
  } finally {
    output?.from.ignore();
    output?.to.end();
    keystrokes?.ignore();
    input.end();
  }
}
