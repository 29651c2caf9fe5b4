/**
 * The sessions of a fake agent. There is no shell: tests write the output and read the keystrokes. A viewer has a stream
 * with credit, its keystrokes are counted by viewer id over cuts, and gaps and repaints come where a test puts them.
 */
import {
  type agentMethods,
  type AttachRepaint,
  type Call,
  type controllerAgentMethods,
  ErrorCode,
  type Handlers,
  OutpostError,
  type OutgoingStream,
  type Params,
  type Peer,
  type SessionAttachResult,
  type SessionGap,
  type SessionId,
  type SessionOpenParams,
  type SessionStatus,
  type ViewerId,
} from "@outpost/protocol";

type Methods = typeof agentMethods;
type FakePeer = Peer<Methods, typeof controllerAgentMethods>;
type SessionMethod = Extract<keyof Methods, `session.${string}`>;
type Counted = <T extends unknown[], R>(method: string, handler: (...args: T) => R) => (...args: T) => R;

/** What is put into the output at `at`: bytes left out up to `gap.to`, or a picture of the screen. */
type Insertion =
  | { readonly at: number; readonly gap: SessionGap }
  | { readonly at: number; readonly repaint: AttachRepaint };

const inputWindow = 16 * 1024;

/** A session on the fake host. */
export class FakeSession {
  readonly params: SessionOpenParams;
  output: Buffer = Buffer.alloc(0);
  readonly keys = new Map<ViewerId, Buffer>();
  readonly attached = new Map<ViewerId, Params<Methods, "session.attach">>();
  /** The stream of each viewer's output, as it was last attached. */
  readonly streams = new Map<ViewerId, OutgoingStream>();
  /** Gaps and repaints for every viewer that comes by, in order. */
  readonly insertions: Insertion[] = [];
  /** What viewers were told to leave with. */
  leave: Omit<SessionAttachResult, "status"> | undefined;
  status: SessionStatus;
  readonly #changed: (session: FakeSession) => void;

  constructor(params: SessionOpenParams, changed: (session: FakeSession) => void) {
    this.params = params;
    this.#changed = changed;
    const { name, columns, rows, temporary, record } = params.spec;
    this.status = {
      session: params.session,
      ...(name === undefined ? {} : { name }),
      operator: params.operator,
      state: "disconnected",
      availability: "available",
      shell: "/bin/bash",
      integration: "bash",
      createdAt: 1_000,
      activeAt: 1_000,
      idleTimeoutMs: params.spec.idleTimeoutMs ?? 7_200_000,
      buffering: params.spec.buffering ?? "spill",
      temporary,
      recorded: record,
      columns,
      rows,
      viewers: [],
      runs: [],
      output: { written: 0, unread: 0 },
    };
  }

  get isEnded(): boolean {
    return this.status.state === "closed" || this.status.state === "broken";
  }

  /** Not told to the controller, as on a real host: only changes are. */
  write(bytes: Uint8Array | string): void {
    this.output = Buffer.concat([this.output, Buffer.from(bytes)]);
    const { length } = this.output;
    this.status = { ...this.status, output: { written: length, unread: length } };
    this.wake();
  }

  change(change: Partial<SessionStatus>): void {
    this.status = { ...this.status, ...change };
    this.#changed(this);
    this.wake();
  }

  end(code = 0): void {
    this.change({
      state: "closed",
      availability: "none",
      endedAt: 2_000,
      exit: { code },
      reason: { code: "exited", message: `its shell exited with ${String(code)}` },
    });
  }

  /** Something is there for the viewers. */
  wake(): void {
    for (const wake of this.#sleeping) wake();
    this.#sleeping.clear();
  }
  readonly #sleeping = new Set<() => void>();

  next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#sleeping.add(resolve);
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });
  }
}

export class FakeSessions {
  readonly all = new Map<SessionId, FakeSession>();
  /** Waited for before an open is answered. */
  beforeOpened: (session: FakeSession) => Promise<void> = () => Promise.resolve();
  /** Waited for before an attach begins. */
  beforeAttached: () => Promise<void> = () => Promise.resolve();
  /** When set, opens are answered with this. */
  refuseOpen: OutpostError | undefined;
  /** Acknowledged ranges, in order. */
  readonly acknowledged: [number, number][] = [];
  /** Sizes and roles that viewers asked for. */
  readonly asked: unknown[] = [];
  peer: FakePeer | undefined;

  session(id: SessionId): FakeSession {
    const session = this.all.get(id);
    if (session === undefined) throw new OutpostError(ErrorCode.notFound, `no session ${id} here`);
    return session;
  }

  /** Names what it holds. */
  async connected(peer: FakePeer): Promise<void> {
    this.peer = peer;
    await peer.request("session.inventory", { sessions: this.#statuses() });
  }

  handlers(peer: () => FakePeer, counted: Counted): Pick<Handlers<Methods>, SessionMethod> {
    return {
      "session.open": counted("session.open", async (params) => {
        if (this.refuseOpen !== undefined) throw this.refuseOpen;
        const session =
          this.all.get(params.session) ??
          new FakeSession(params, ({ status }) => this.peer?.notify("session.changed", { status }));
        this.all.set(params.session, session);
        await this.beforeOpened(session);
        return { status: session.status };
      }),
      "session.list": counted("session.list", () => ({ sessions: this.#statuses() })),
      "session.attach": counted("session.attach", (params, call) => this.#attach(params, call, peer())),
      "session.read": counted("session.read", async (params, call) => {
        const session = this.session(params.session);
        const out = peer().openStream();
        const offset = params.from ?? 0;
        call.emit("read.opened", { stream: out.number, offset });
        out.begin(offset, params.window);
        const insert = ({ gap }: { gap?: SessionGap }): void => {
          if (gap !== undefined) call.emit("read.gap", { gap });
        };
        await send(session, out, call.signal, insert, () => session.isEnded || !params.follow);
        out.end();
        return { status: session.status };
      }),
      "session.resize": counted("session.resize", (params) => {
        this.asked.push(params);
        return {};
      }),
      "session.role": counted("session.role", (params) => {
        this.asked.push(params);
        return {};
      }),
      "session.acknowledge": counted("session.acknowledge", ({ from, to }) => {
        this.acknowledged.push([from, to]);
        return {};
      }),
      "session.disconnect": counted("session.disconnect", ({ session: id, operator }) => {
        const session = this.session(id);
        session.leave = { reason: "disconnected", by: operator };
        session.wake();
        return { status: session.status };
      }),
      "session.remove": counted("session.remove", ({ session: id }) => {
        const session = this.all.get(id);
        if (session === undefined) return {};
        this.all.delete(id);
        session.end();
        this.peer?.notify("session.gone", { session: id });
        return {};
      }),
    };
  }

  async #attach(
    params: Params<Methods, "session.attach">,
    call: Call<Methods, "session.attach">,
    peer: FakePeer,
  ): Promise<SessionAttachResult> {
    const session = this.session(params.session);
    const other = [...session.attached.values()].find(({ role }) => role === "control");
    if (
      params.role === "control" &&
      !params.takeOver &&
      other !== undefined &&
      other.viewer !== params.viewer
    ) {
      throw new OutpostError(ErrorCode.busy, `${other.operator} controls it`, {
        data: { operator: other.operator },
      });
    }
    await this.beforeAttached();
    call.signal.throwIfAborted();
    session.attached.set(params.viewer, params);
    session.leave = undefined;
    try {
      const out = peer.openStream();
      session.streams.set(params.viewer, out);
      const offset = params.from ?? session.output.length;
      call.emit("attach.opened", { stream: out.number, offset, role: params.role, status: session.status });
      out.begin(offset, params.window);
      this.#takeKeys(session, params, call, peer);
      await send(
        session,
        out,
        call.signal,
        ({ gap, repaint }) => {
          if (gap !== undefined) call.emit("attach.gap", { gap });
          if (repaint !== undefined) call.emit("attach.repaint", repaint);
        },
        () => session.isEnded || session.leave !== undefined,
      );
      out.end();
      return { ...(session.leave ?? { reason: "ended" }), status: session.status };
    } finally {
      session.attached.delete(params.viewer);
    }
  }

  #takeKeys(
    session: FakeSession,
    { viewer, input }: Params<Methods, "session.attach">,
    call: Call<Methods, "session.attach">,
    peer: FakePeer,
  ): void {
    const keys = (): Buffer => session.keys.get(viewer) ?? Buffer.alloc(0);
    const start = { offset: keys().length, window: inputWindow };
    const stream = peer.acceptStream(input, start, {
      chunk(_offset, bytes) {
        session.keys.set(viewer, Buffer.concat([keys(), bytes]));
        stream.grant(stream.offset + inputWindow);
      },
      end: () => {},
    });
    call.emit("input.ready", start);
  }

  #statuses(): SessionStatus[] {
    return [...this.all.values()].map(({ status }) => status);
  }
}

/** Sends the output as far as credit goes, with what is inserted, until it `isDone`. */
async function send(
  session: FakeSession,
  out: OutgoingStream,
  signal: AbortSignal,
  insert: (insertion: { gap?: SessionGap; repaint?: AttachRepaint }) => void,
  isDone: () => boolean,
): Promise<void> {
  const passed = new Set(session.insertions.filter(({ at }) => at < out.offset));
  for (;;) {
    const due = session.insertions.find((insertion) => !passed.has(insertion) && insertion.at === out.offset);
    if (due !== undefined) {
      passed.add(due);
      insert(due);
      if ("gap" in due) out.skipTo(due.gap.to);
      continue;
    }
    const nextAt = session.insertions.find((insertion) => !passed.has(insertion))?.at ?? Infinity;
    const left = Math.min(session.output.length, nextAt) - out.offset;
    if (left > 0) {
      const room = Math.min(await out.ready(signal), left, 8_000);
      out.send(session.output.subarray(out.offset, out.offset + room));
    } else if (isDone()) {
      return;
    } else {
      await session.next(signal);
    }
  }
}
