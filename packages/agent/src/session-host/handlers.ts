/** What the session host answers: each handler takes parsed params, calls the sessions, and answers. */
import {
  answerHello,
  type Call,
  type Clock,
  type Handlers,
  type IncomingStream,
  limits,
  type OutgoingStream,
  type Peer,
  type SessionAttachParams,
  type SessionAttachResult,
  type sessionHostAgentMethods,
  type sessionHostMethods,
  type SessionReadParams,
} from "@outpost/protocol";
import { agentVersion } from "../version.ts";
import type { ReadingSink } from "./reading.ts";
import type { Session } from "./session.ts";
import type { Sessions } from "./sessions.ts";
import type { ViewerWire } from "./viewer.ts";

/** The connection as the session host sees it. */
export type AgentPeer = Peer<typeof sessionHostMethods, typeof sessionHostAgentMethods>;

export interface HandlerContext {
  readonly sessions: Sessions;
  readonly hostName: string;
  readonly clock: Clock;
  /** The connection that the requests come from. A function: the handlers exist before their peer. */
  readonly peer: () => AgentPeer;
  /** Something was asked. @throws OutpostError when nothing is done any more */
  readonly used: () => void;
}

const software = `outpost-session-host ${agentVersion}`;
const mismatchAdvice =
  "the session host is of the agent that started it: remove its sessions, and it ends and is started anew";

export function createHandlers(context: HandlerContext): Handlers<typeof sessionHostMethods> {
  const { sessions, hostName, clock, peer, used } = context;
  const find = (id: Parameters<Sessions["get"]>[0]): Session => {
    used();
    return sessions.get(id);
  };
  return {
    hello: (params) =>
      answerHello(params, { software, name: hostName, time: clock.now(), advice: mismatchAdvice }),
    "session.open": async (params) => {
      used();
      return { status: await sessions.open(params) };
    },
    "session.list": () => ({ sessions: sessions.list() }),
    "session.attach": (params, call) => attach(find(params.session), peer(), clock, params, call),
    "session.resize": ({ session, viewer, columns, rows }) => {
      find(session).resize(viewer, columns, rows);
      return {};
    },
    "session.role": ({ session, viewer, role }) => {
      find(session).setRole(viewer, role);
      return {};
    },
    "session.acknowledge": (params) => {
      find(params.session).acknowledge(params);
      return {};
    },
    "session.read": (params, call) => read(find(params.session), peer(), params, call),
    "session.disconnect": (params) => {
      sessions.checkIdleTimeout(params.idleTimeoutMs);
      return { status: find(params.session).disconnect(params) };
    },
    "session.remove": async (params) => {
      used();
      await sessions.remove(params);
      return {};
    },
    "session.run": (params, call) =>
      find(params.session).run(params, (started) => call.emit("run.started", started), call.signal),
    "session.stopRun": ({ session, job, signal }) => {
      find(session).stopRun(job, signal);
      return {};
    },
  };
}

/** How much a viewer may type before the terminal has taken it, in bytes. */
const inputWindowBytes = limits.defaultWindowBytes;

/** How long what was taken may stay untold, in milliseconds. A credit for each key would be on its way with each echo. */
const creditDelayMs = 100;

/** Tells a viewer what the terminal has taken of what it typed: in steps of a quarter of the window, or after a while. */
class InputCredit {
  readonly #typed: IncomingStream;
  readonly #clock: Clock;
  #taken: number;
  #granted: number;
  #cancel: (() => void) | undefined;

  constructor(typed: IncomingStream, clock: Clock, offset: number) {
    this.#typed = typed;
    this.#clock = clock;
    this.#taken = offset;
    this.#granted = offset;
  }

  taken(upTo: number): void {
    this.#taken = upTo;
    if (upTo - this.#granted >= inputWindowBytes / 4) this.#grant();
    else this.#cancel ??= this.#clock.after(creditDelayMs, () => this.#grant());
  }

  dispose(): void {
    this.#cancel?.();
  }

  #grant(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#granted = this.#taken;
    this.#typed.grant(this.#taken + inputWindowBytes);
  }
}

function attach(
  session: Session,
  peer: AgentPeer,
  clock: Clock,
  params: SessionAttachParams,
  call: Call<typeof sessionHostMethods, "session.attach">,
): Promise<SessionAttachResult> {
  call.signal.throwIfAborted();
  let stream!: OutgoingStream;
  const { status, input, start, result } = session.attach(params, (offset): ViewerWire => {
    stream = peer.openStream();
    stream.begin(offset, params.window);
    return {
      stream,
      signal: call.signal,
      hasRoom: () => peer.bufferedBytes < limits.socketHighWaterBytes,
      gap: (gap) => call.emit("attach.gap", { gap }),
      repaint: (repaint) => call.emit("attach.repaint", repaint),
      changed: (changed) => call.emit("attach.changed", changed),
    };
  });
  call.emit("attach.opened", { stream: stream.number, offset: stream.offset, role: params.role, status });
  const begin = { offset: input.offset, window: inputWindowBytes };
  const typed: IncomingStream = peer.acceptStream(params.input, begin, {
    chunk(offset, bytes) {
      const end = offset + bytes.byteLength;
      input.take(offset, bytes, () => credit.taken(end));
    },
    // The viewer says by cancelling that it leaves; that it will type no more says nothing.
    end: () => {},
  });
  const credit = new InputCredit(typed, clock, begin.offset);
  call.emit("input.ready", begin);
  start();
  const over = (): void => {
    credit.dispose();
    typed.ignore();
  };
  result.then(over, over);
  return result;
}

async function read(
  session: Session,
  peer: AgentPeer,
  params: SessionReadParams,
  call: Call<typeof sessionHostMethods, "session.read">,
): Promise<{ status: ReturnType<Session["status"]> }> {
  let opened: OutgoingStream | undefined;
  const sink: ReadingSink = {
    open(offset) {
      const stream = peer.openStream();
      opened = stream;
      call.emit("read.opened", { stream: stream.number, offset });
      stream.begin(offset, params.window);
      return stream;
    },
    gap: (gap) => call.emit("read.gap", { gap }),
  };
  try {
    return { status: await session.read(params, sink, call.signal) };
  } finally {
    opened?.end();
  }
}
