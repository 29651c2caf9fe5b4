/** What the tests of the session host share: a host in a directory of its own, agents that connect to it, viewers as the client library has them. */
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type AttachChanged,
  type AttachOpened,
  type AttachRepaint,
  type Clock,
  type IncomingStream,
  limits,
  type MessageSocket,
  newSessionId,
  newViewerId,
  type OutgoingStream,
  OutpostError,
  Peer,
  type SessionAttachParams,
  type SessionAttachResult,
  type SessionGap,
  sessionHostAgentMethods,
  sessionHostMethods,
  type SessionId,
  type SessionReadParams,
  type SessionSpec,
  type SessionStatus,
  supportedVersions,
  systemClock,
} from "@outpost/protocol";
import { memoryLink } from "@outpost/protocol/memory";
import { pino } from "pino";
import { hostPlatform } from "../platform/index.ts";
import { SessionHost } from "../session-host/session-host.ts";
import { defaultSessionSettings, type SessionSettings } from "../session-host/settings.ts";

export type HostPeer = Peer<typeof sessionHostAgentMethods, typeof sessionHostMethods>;

export interface TestHost extends AsyncDisposable {
  readonly host: SessionHost;
  readonly directory: string;
  /** An agent, which has said hello. */
  connect(): Promise<TestAgent>;
}

export interface TestHostOptions {
  readonly settings?: Partial<SessionSettings>;
  readonly clock?: Clock;
  /** Default: one of its own, removed with the host. */
  readonly directory?: string;
}

export function temporaryAgentDirectory(): string {
  return mkdtempSync(join(realpathSync(tmpdir()), "outpost-sessions-"));
}

export async function startHost(options: TestHostOptions = {}): Promise<TestHost> {
  const directory = options.directory ?? temporaryAgentDirectory();
  const host = await SessionHost.start({
    directory,
    clock: options.clock ?? systemClock,
    log: pino({ level: "silent" }),
    platform: hostPlatform(),
    hostName: "web1",
    settings: { ...defaultSessionSettings, killGraceMs: 200, ...options.settings },
  });
  const agents: TestAgent[] = [];
  return {
    host,
    directory,
    async connect() {
      const link = memoryLink();
      host.serve(link.sockets[1]);
      const agent = await TestAgent.greet(link.sockets[0], () => link.cut());
      agents.push(agent);
      return agent;
    },
    async [Symbol.asyncDispose]() {
      for (const agent of agents) agent.cut();
      await host[Symbol.asyncDispose]();
      if (options.directory === undefined) rmSync(directory, { recursive: true, force: true });
    },
  };
}

export class TestAgent {
  readonly peer: HostPeer;
  readonly changes: SessionStatus[] = [];
  readonly gone: SessionId[] = [];
  readonly cut: () => void;

  private constructor(socket: MessageSocket, cut: () => void) {
    this.cut = cut;
    this.peer = new Peer(socket, {
      local: sessionHostAgentMethods,
      remote: sessionHostMethods,
      handlers: {
        "session.changed": ({ status }) => void this.changes.push(status),
        "session.gone": ({ session }) => void this.gone.push(session),
      },
    });
  }

  static async greet(socket: MessageSocket, cut: () => void): Promise<TestAgent> {
    const agent = new TestAgent(socket, cut);
    await agent.peer.request("hello", {
      versions: supportedVersions,
      software: "outpost-agent test",
      maxMessageBytes: limits.maxMessageBytes,
    });
    return agent;
  }

  async open(spec: Partial<SessionSpec> = {}, session = newSessionId()): Promise<SessionStatus> {
    // What tests type is nobody's history, and nobody's start-up files are in their way.
    const wanted = { ...bareSpec, ...spec, env: { HISTFILE: "/dev/null", HOME: tmpdir(), ...spec.env } };
    return (await this.peer.request("session.open", { session, spec: wanted, operator: "ada" })).status;
  }

  async status(session: SessionId): Promise<SessionStatus | undefined> {
    const { sessions } = await this.peer.request("session.list", {});
    return sessions.find((status) => status.session === session);
  }

  /** Reads output or recording to its end. */
  async read(params: Partial<SessionReadParams> & { session: SessionId }): Promise<TestReading> {
    const reading: TestReading = { text: "", gaps: [], offset: 0, status: undefined! };
    const chunks: Buffer[] = [];
    let stream: IncomingStream | undefined;
    const window = limits.defaultWindowBytes;
    const asked = { what: "output" as const, seen: false, follow: false, window, ...params };
    const { status } = await this.peer.request("session.read", asked, {
      onEvent: ({ event, params: told }) => {
        if (event === "read.opened") {
          reading.offset = told.offset;
          stream = this.peer.acceptStream(
            told.stream,
            { offset: told.offset, window },
            {
              chunk(offset, bytes) {
                chunks.push(Buffer.from(bytes));
                stream!.grant(offset + bytes.byteLength + window);
              },
              end() {},
            },
          );
        } else {
          reading.gaps.push(told.gap);
          stream!.skipTo(told.gap.to);
          stream!.grant(told.gap.to + window);
        }
      },
    });
    return { ...reading, text: Buffer.concat(chunks).toString(), status };
  }
}

export interface TestReading {
  readonly text: string;
  readonly gaps: SessionGap[];
  offset: number;
  readonly status: SessionStatus;
}

/** A small shell without start-up files. */
const bareSpec: SessionSpec = {
  shell: "/bin/sh",
  env: {},
  cwd: "/",
  columns: 80,
  rows: 24,
  record: false,
  temporary: false,
  onExit: "end",
};

export interface TestViewerOptions extends Partial<SessionAttachParams> {
  /** Gives no credit beyond its window until told to `read`. */
  readonly stalled?: boolean;
  /** Does not acknowledge. */
  readonly silent?: boolean;
}

/** A terminal that shows a session: keeps its position, and what it has typed until it was taken, across connections. */
export class TestViewer {
  readonly id = newViewerId();
  readonly session: SessionId;
  readonly options: TestViewerOptions;
  readonly gaps: SessionGap[] = [];
  readonly repaints: AttachRepaint[] = [];
  readonly changes: AttachChanged[] = [];
  /** All that came, in order; where something was left out, nothing. */
  readonly chunks: Buffer[] = [];
  opened: AttachOpened | undefined;
  result: Promise<SessionAttachResult> | undefined;
  /** The offset of the next byte to come. */
  position: number | undefined;
  #agent: TestAgent | undefined;
  #incoming: IncomingStream | undefined;
  #outgoing: OutgoingStream | undefined;
  #stalled: boolean;
  readonly #leaving = { controller: new AbortController() };
  /** Everything that was ever typed. */
  #typed = Buffer.alloc(0);

  constructor(session: SessionId, options: TestViewerOptions = {}) {
    this.session = session;
    this.options = options;
    this.#stalled = options.stalled === true;
  }

  /** Attaches, for the first time or again. Resolves when input is ready. */
  async attach(agent: TestAgent, params: Partial<SessionAttachParams> = {}): Promise<this> {
    const { stalled: _, silent, ...options } = this.options;
    const { peer } = agent;
    const input = peer.openStream();
    const ready = Promise.withResolvers<void>();
    this.#agent = agent;
    this.#leaving.controller = new AbortController();
    const asked = {
      session: this.session,
      viewer: this.id,
      operator: "ada",
      role: "control" as const,
      takeOver: false,
      columns: 80,
      rows: 24,
      repaint: true,
      window: limits.defaultWindowBytes,
      input: input.number,
      ...(this.position === undefined ? {} : { from: this.position }),
      ...options,
      ...params,
    };
    this.result = peer.request("session.attach", asked, {
      signal: this.#leaving.controller.signal,
      onEvent: (told) => {
        switch (told.event) {
          case "attach.opened": {
            this.opened = told.params;
            const { offset, stream } = told.params;
            this.position = offset;
            const start = { offset, window: asked.window };
            this.#incoming = peer.acceptStream(stream, start, {
              chunk: (at, bytes) => this.#arrived(at, bytes, asked.window, silent === true),
              end() {},
            });
            break;
          }
          case "input.ready":
            input.begin(told.params.offset, told.params.window);
            this.#outgoing = input;
            input.onCredit(() => this.#flush(input));
            this.#flush(input);
            ready.resolve();
            break;
          case "attach.gap":
            this.gaps.push(told.params.gap);
            this.position = told.params.gap.to;
            this.#incoming!.skipTo(this.position);
            if (!this.#stalled) this.#incoming!.grant(this.position + asked.window);
            break;
          case "attach.repaint":
            this.repaints.push(told.params);
            break;
          case "attach.changed":
            this.changes.push(told.params);
            break;
          default:
            told satisfies never;
        }
      },
    });
    this.result
      .finally(() => input.end())
      .then(
        () => ready.resolve(),
        (error: unknown) => ready.reject(OutpostError.from(error)),
      );
    await ready.promise;
    return this;
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  type(text: string | Uint8Array): void {
    this.#typed = Buffer.concat([this.#typed, Buffer.from(text)]);
    if (this.#outgoing !== undefined && this.#agent?.peer.isOpen === true) this.#flush(this.#outgoing);
  }

  /** A stalled viewer reads on, or one that reads stalls. */
  stall(stalled: boolean): void {
    this.#stalled = stalled;
    if (!stalled) this.#incoming?.grant(this.position! + limits.defaultWindowBytes);
  }

  leave(): void {
    this.#leaving.controller.abort();
  }

  #flush(input: OutgoingStream): void {
    if (input.ended) return;
    const bytes = this.#typed.subarray(input.offset, input.offset + input.sendable);
    if (bytes.byteLength > 0) input.send(bytes);
  }

  #arrived(offset: number, bytes: Uint8Array, window: number, silent: boolean): void {
    this.chunks.push(Buffer.from(bytes));
    this.position = offset + bytes.byteLength;
    if (!silent) {
      const seen = { session: this.session, from: offset, to: this.position };
      this.#agent!.peer.request("session.acknowledge", seen).catch(() => {});
    }
    if (!this.#stalled) this.#incoming!.grant(this.position + window);
  }
}
