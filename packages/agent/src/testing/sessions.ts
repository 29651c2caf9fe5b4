/** Sessions in memory: a session host that does what a test tells it to, and the agent's side of one. */
import {
  type Clock,
  ErrorCode,
  type Handlers,
  type MessageSocket,
  newSessionId,
  OutpostError,
  Peer,
  sessionHostAgentMethods,
  sessionHostMethods,
  type SessionId,
  type SessionStatus,
  systemClock,
} from "@outpost/protocol";
import { memoryLink, type MemoryLink } from "@outpost/protocol/memory";
import { pino } from "pino";
import { agentPaths } from "../directory.ts";
import { Sessions } from "../sessions/sessions.ts";
import { helloResult } from "./session.ts";

export function openedSession(
  session: SessionId = newSessionId(),
  more: Partial<SessionStatus> = {},
): SessionStatus {
  return {
    session,
    operator: "ada",
    state: "opened",
    availability: "available",
    shell: "/bin/bash",
    integration: "bash",
    createdAt: 1_000,
    activeAt: 1_000,
    idleTimeoutMs: 7_200_000,
    buffering: "spill",
    temporary: false,
    recorded: false,
    columns: 80,
    rows: 24,
    viewers: [],
    runs: [],
    output: { written: 0, unread: 0 },
    ...more,
  };
}

type HostHandlers = Handlers<typeof sessionHostMethods>;
type HostPeer = Peer<typeof sessionHostMethods, typeof sessionHostAgentMethods>;

/** Handlers that a test did not give are answered with `internal`. */
const unanswered = (): never => {
  throw new OutpostError(ErrorCode.internal, "the test did not expect this");
};

export class FakeSessionHost {
  readonly held = new Map<SessionId, SessionStatus>();
  readonly calls: unknown[] = [];
  /** What is answered otherwise than by the defaults. */
  handlers: Partial<HostHandlers> = {};
  /** While set, dialing fails with it. */
  refusal: OutpostError | undefined;
  dials = 0;
  readonly #clock: Clock;
  #peer: HostPeer | undefined;
  #link: MemoryLink | undefined;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** The newest connection's end here. */
  get peer(): HostPeer {
    return this.#peer!;
  }

  /** Sets a session's status and tells the agent. */
  change(status: SessionStatus): void {
    this.held.set(status.session, status);
    this.#peer?.notify("session.changed", { status });
  }

  forget(session: SessionId): void {
    this.held.delete(session);
    this.#peer?.notify("session.gone", { session });
  }

  cut(): void {
    this.#link?.cut();
  }

  readonly dial = async (): Promise<MessageSocket> => {
    this.dials++;
    if (this.refusal !== undefined) throw this.refusal;
    const link = memoryLink();
    this.#link = link;
    this.#peer = new Peer(link.sockets[1], {
      local: sessionHostMethods,
      remote: sessionHostAgentMethods,
      clock: this.#clock,
      handlers: this.#answers(),
    });
    return link.sockets[0];
  };

  #answers(): HostHandlers {
    const noted = (params: unknown): Record<string, never> => {
      this.calls.push(params);
      return {};
    };
    return {
      hello: () => helloResult("web1"),
      "session.open": ({ session }) => {
        const status = openedSession(session);
        this.change(status);
        return { status };
      },
      "session.list": () => ({ sessions: [...this.held.values()] }),
      "session.attach": unanswered,
      "session.resize": noted,
      "session.role": noted,
      "session.acknowledge": noted,
      "session.read": unanswered,
      "session.disconnect": (params) => {
        noted(params);
        return { status: this.held.get(params.session)! };
      },
      "session.remove": ({ session }) => {
        this.forget(session);
        return {};
      },
      "session.run": unanswered,
      "session.stopRun": noted,
      ...this.handlers,
    };
  }
}

/** The agent's side. @param directory an agent directory; default: one that is not there, and so holds no sessions */
export function openSessions(
  dial: (signal: AbortSignal) => Promise<MessageSocket>,
  { directory = "/nonexistent", clock = systemClock }: { directory?: string; clock?: Clock } = {},
): Sessions {
  return new Sessions({ paths: agentPaths(directory), clock, log: pino({ level: "silent" }), dial });
}
