/** A controller and a host with one session, in memory, for tests of the client: what is written and typed is exact, and the
 * connection can be cut at any moment. */
import {
  type Call,
  type FanOutStartParams,
  controllerOperatorMethods,
  ErrorCode,
  type Handlers,
  HostName,
  newSessionId,
  operatorMethods,
  OutpostError,
  Peer,
  type SessionAttachResult,
  type SessionInfo,
  SessionName,
  type SessionsAttachParams,
  type SessionsReadParams,
  type Params,
  type SessionStatus,
  type ViewerId,
  type ViewerRole,
} from "@outpost/protocol";
import { memoryLink, type MemoryLink } from "@outpost/protocol/memory";
import * as v from "valibot";
import { Client } from "../client.ts";
import { Connection } from "../connection.ts";
import { testOperator } from "./operator.ts";

type Methods = typeof controllerOperatorMethods;
type OperatorPeer = Peer<Methods, typeof operatorMethods>;
type AttachCall = Call<Methods, "session.attach">;

const operator = await testOperator();

interface ScriptedViewer {
  /** How much of its input the host has taken. */
  taken: number;
  role: ViewerRole;
  call: AttachCall | undefined;
}

export class ScriptedHost {
  readonly host = v.parse(HostName, "web1");
  readonly id = newSessionId();
  readonly name = v.parse(SessionName, "work");
  /** Everything that the session wrote, and everything that it read. */
  output = Buffer.alloc(0);
  input = Buffer.alloc(0);
  readonly acknowledged: { from: number; to: number }[] = [];
  readonly attaches: SessionsAttachParams[] = [];
  readonly reads: SessionsReadParams[] = [];
  readonly sizes: [number, number][] = [];
  readonly removed: string[] = [];
  readonly opened: string[] = [];
  readonly viewers = new Map<ViewerId, ScriptedViewer>();
  /** The window of the input streams, in bytes. */
  inputWindow = 1_000;
  /** How much of one chunk of input is taken. */
  takes = true;
  /** Who else controls the session. */
  controlledBy: string | undefined;
  /** Sessions that `session.list` tells of; default the one. */
  infos: SessionInfo[] | undefined;
  readonly roles: Params<Methods, "session.role">[] = [];
  /** The operators' authority of its operator, PEM. */
  readonly operators = operator.context.operators;
  /** Told of each start. */
  starting: (params: FanOutStartParams) => void = () => {};
  /** What `session.open` does before it answers. */
  opening: () => Promise<void> = () => Promise.resolve();
  link: MemoryLink | undefined;
  dials = 0;
  highestCredit = 0;
  /** For tests that announce gaps themselves. */
  skipTo = 0;
  #failure: OutpostError | undefined;
  #failures = 0;
  #result: SessionAttachResult | undefined;
  readonly #wakers = new Set<() => void>();

  get status(): SessionStatus {
    return {
      session: this.id,
      name: this.name,
      operator: "me",
      state: this.#result === undefined ? "opened" : "closed",
      availability: "available",
      shell: "/bin/bash",
      integration: "bash",
      createdAt: 0,
      activeAt: 0,
      idleTimeoutMs: 7_200_000,
      buffering: "spill",
      temporary: false,
      recorded: true,
      columns: 80,
      rows: 24,
      viewers: [],
      runs: [],
      output: { written: this.output.length, unread: 0 },
      ...(this.#result === undefined ? {} : { exit: { code: 7 } }),
    };
  }

  get info(): SessionInfo {
    return { host: this.host, status: this.status };
  }

  write(bytes: Uint8Array): void {
    this.output = Buffer.concat([this.output, bytes]);
    this.#wake();
  }

  end(reason: SessionAttachResult["reason"] = "ended"): void {
    this.#result = { reason, status: this.status };
    this.#result.status = this.status;
    this.#wake();
  }

  /** The attach that is open fails, and so do the next `count - 1`. */
  failAttached(error: OutpostError, count: number): void {
    this.#failure = error;
    this.#failures = count;
    this.#wake();
  }

  cut(): void {
    this.link?.cut();
  }

  client(): Client {
    return new Client(this.connection(), operator.context);
  }

  connection(): Connection {
    const dial = (): Promise<MemoryLink["sockets"][1]> => {
      const link = memoryLink();
      this.link = link;
      this.dials++;
      const peer: OperatorPeer = new Peer(link.sockets[0], {
        local: controllerOperatorMethods,
        remote: operatorMethods,
        handlers: this.#handlers(() => peer),
      });
      return Promise.resolve(link.sockets[1]);
    };
    return new Connection({ dial, signer: operator.signer, reconnectForMs: 10_000, random: () => 0 });
  }

  #handlers(peer: () => OperatorPeer): Handlers<Methods> {
    const handlers: Partial<Handlers<Methods>> = {
      hello: () => ({ version: 1, software: "scripted", maxMessageBytes: 1 << 20, name: "me", time: 0 }),
      "session.list": ({ session }) => {
        const infos = this.infos ?? [this.info];
        const sessions = infos.filter(
          ({ status }) =>
            session === undefined || status.session.startsWith(session) || status.name === session,
        );
        if (sessions.length > 0) return { sessions };
        throw new OutpostError(ErrorCode.notFound, `there is no session ${session ?? ""}`, {
          data: { session },
        });
      },
      "session.open": async ({ session }) => {
        await this.opening();
        this.opened.push(session);
        return { hosts: [{ host: this.host, info: this.info }] };
      },
      "session.attach": (params, call) => this.#attach(peer(), params, call),
      "session.read": (params, call) => this.#read(peer(), params, call),
      "session.resize": ({ columns, rows }) => {
        this.sizes.push([columns, rows]);
        return {};
      },
      "session.role": (params) => {
        const { viewer, role } = params;
        this.roles.push(params);
        const found = this.viewers.get(viewer);
        if (found === undefined) throw new OutpostError(ErrorCode.notFound, "no such viewer");
        found.role = role;
        found.call?.emit("attach.changed", { role, columns: 80, rows: 24 });
        return {};
      },
      "fanout.start": (params) => {
        this.starting(params);
        const { job, mode } = params;
        const about = { operator: "me", command: "", createdAt: 0, counts: {}, hosts: 1, unreadBytes: 0 };
        return {
          fanout: { job, mode, state: "pending", ...about },
          hosts: [{ host: this.host, state: "connected" }],
        };
      },
      "session.acknowledge": ({ from, to }) => {
        this.acknowledged.push({ from, to });
        return {};
      },
      "session.remove": ({ session, hosts = [] }) => {
        this.removed.push(session);
        return { hosts: hosts.map((host) => ({ host })) };
      },
    };
    return handlers as Handlers<Methods>;
  }

  async #attach(
    peer: OperatorPeer,
    params: SessionsAttachParams,
    call: AttachCall,
  ): Promise<SessionAttachResult> {
    this.attaches.push(params);
    this.#failIfTold();
    const isKnown = this.infos === undefined || this.opened.includes(params.session);
    if (!isKnown) throw new OutpostError(ErrorCode.notFound, "there is no such session");
    if (this.controlledBy !== undefined && params.role === "control" && !params.takeOver) {
      throw new OutpostError(ErrorCode.busy, `${this.controlledBy} controls it`, {
        data: { operator: this.controlledBy },
      });
    }
    const known = this.viewers.get(params.viewer);
    const viewer: ScriptedViewer = { taken: known?.taken ?? 0, role: params.role, call };
    this.viewers.set(params.viewer, viewer);
    const stream = peer.openStream();
    const offset = params.from ?? this.output.length;
    call.emit("attach.opened", { stream: stream.number, offset, role: params.role, status: this.status });
    stream.begin(offset, params.window);
    stream.onCredit((upTo) => (this.highestCredit = Math.max(this.highestCredit, upTo)));
    this.#takeInput(peer, params, viewer, call);
    const paintAt = this.output.length;
    let isPainted = !params.repaint;
    for (;;) {
      const upTo = isPainted ? this.output.length : paintAt;
      if (stream.offset < upTo) {
        const room = Math.min(await stream.ready(call.signal), 777, upTo - stream.offset);
        stream.send(this.output.subarray(stream.offset, stream.offset + room));
      } else if (!isPainted) {
        isPainted = true;
        const bytes = Buffer.from(`screen at ${String(paintAt)}`);
        call.emit("attach.repaint", { offset: paintAt, columns: 80, rows: 24, bytes });
      } else if (this.#result === undefined) {
        await this.#changed(call.signal);
        this.#failIfTold();
      } else {
        stream.end();
        return this.#result;
      }
    }
  }

  #failIfTold(): void {
    if (this.#failures === 0) return;
    this.#failures--;
    throw this.#failure!;
  }

  #takeInput(
    peer: OperatorPeer,
    { input }: SessionsAttachParams,
    viewer: ScriptedViewer,
    call: AttachCall,
  ): void {
    const window = this.inputWindow;
    const start = { offset: viewer.taken, window };
    const incoming = peer.acceptStream(input, start, {
      chunk: (_offset, bytes) => {
        if (!this.takes) return;
        if (viewer.role === "control") this.input = Buffer.concat([this.input, bytes]);
        viewer.taken += bytes.length;
        incoming.grant(viewer.taken + window);
      },
      end: () => {},
    });
    call.emit("input.ready", start);
  }

  async #read(
    peer: OperatorPeer,
    params: SessionsReadParams,
    call: Call<Methods, "session.read">,
  ): Promise<{ status: SessionStatus }> {
    this.reads.push(params);
    const stream = peer.openStream();
    const seen = this.acknowledged.reduce((most, { to }) => Math.max(most, to), 0);
    const offset = params.from ?? seen;
    call.emit("read.opened", { stream: stream.number, offset });
    stream.begin(offset, params.window);
    for (;;) {
      if (stream.offset < this.output.length) {
        const room = Math.min(await stream.ready(call.signal), 777, this.output.length - stream.offset);
        stream.send(this.output.subarray(stream.offset, stream.offset + room));
      } else if (params.follow && this.#result === undefined) {
        await this.#changed(call.signal);
      } else {
        stream.end();
        return { status: this.status };
      }
    }
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        signal.removeEventListener("abort", onAbort);
        this.#wakers.delete(done);
        resolve();
      };
      const onAbort = (): void => {
        this.#wakers.delete(done);
        reject(OutpostError.from(signal.reason));
      };
      if (signal.aborted) onAbort();
      signal.addEventListener("abort", onAbort);
      this.#wakers.add(done);
    });
  }

  #wake(): void {
    for (const wake of this.#wakers) wake();
  }
}
