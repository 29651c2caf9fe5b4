/** One connection's worth of an attachment: the request, its streams both ways, and what its events become. */
import {
  type controllerOperatorMethods,
  type EventOf,
  limits,
  OutpostError,
  ErrorCode,
  type IncomingStream,
  type SessionAttachResult,
  type SessionsAttachParams,
} from "@outpost/protocol";
import type { ControllerPeer } from "./connection.ts";
import type { Keystrokes } from "./keystrokes.ts";
import { type TerminalOutput, windowBytes } from "./terminal-output.ts";

type Event = EventOf<typeof controllerOperatorMethods, "session.attach">;
type Announced<E extends Event["event"]> = Extract<Event, { event: E }>["params"];

export interface AttemptOptions {
  readonly peer: ControllerPeer;
  /** What is asked; window and input stream are added here. */
  readonly params: Omit<SessionsAttachParams, "window" | "input">;
  readonly output: TerminalOutput;
  readonly keystrokes: Keystrokes;
  readonly signal: AbortSignal;
  /** The first of an attempt, and what may come at any time. */
  readonly opened: (params: Announced<"attach.opened">) => void;
  readonly changed: (params: Announced<"attach.changed">) => void;
  readonly waiting: (params: Announced<"attach.waiting">) => void;
}

/** Attaches, and resolves with how it ended. @throws OutpostError when it did not end but was cut, refused or cancelled */
export async function attachOnce(options: AttemptOptions): Promise<SessionAttachResult> {
  const { peer, params, output, keystrokes, signal } = options;
  const over = new AbortController();
  const input = peer.openStream();
  let incoming: IncomingStream | undefined;
  // The first time a whole window. Again, the least: what came before may still wait, and the cursor grants what is free.
  const window = output.position === undefined ? windowBytes : limits.minWindowBytes;

  const onEvent = (event: Event): void => {
    switch (event.event) {
      case "attach.opened": {
        const { stream, offset } = event.params;
        incoming = peer.acceptStream(
          stream,
          { offset, window },
          // The answer says how it ended, or the request's failure.
          { chunk: (at, bytes) => output.chunk(at, bytes), end: () => {} },
        );
        options.opened(event.params);
        output.opened(incoming, params.from);
        break;
      }
      case "input.ready": {
        const { offset, window: inputWindow } = event.params;
        keystrokes.resume(offset);
        input.begin(offset, inputWindow);
        // The host grants a window beyond what it has taken.
        input.onCredit((upTo) => keystrokes.taken(upTo - inputWindow));
        // It ends with the attempt, whose answer or failure says why.
        keystrokes.sendOn(input, over.signal).catch(() => {});
        break;
      }
      case "attach.gap":
        output.gap(event.params.gap);
        break;
      case "attach.repaint":
        output.repaint(event.params);
        break;
      case "attach.changed":
        options.changed(event.params);
        break;
      case "attach.waiting":
        options.waiting(event.params);
        break;
      default:
        event satisfies never;
    }
  };

  try {
    return await peer.request(
      "session.attach",
      { ...params, window, input: input.number },
      { signal, onEvent },
    );
  } finally {
    over.abort(new OutpostError(ErrorCode.cancelled, "the attachment was answered"));
    incoming?.ignore();
    input.end();
  }
}
