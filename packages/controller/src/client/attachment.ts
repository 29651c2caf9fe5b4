/**
 * An attachment: one terminal that shows a session, or a program that stands for one. It goes on across every cut, be it
 * of the connection, the controller, the agent or the host: with the same viewer it attaches again, output from the
 * offset that has arrived, keystrokes from the offset that the host has taken.
 *
 *     attaching ──▶ attached ──▶ ended           the session's end, sent away, or left by `exit`
 *         ▲            │  └────▶ left            `leave`, dispose, or the signal
 *         └────cut─────┘
 *         └────────────────────▶ failed          refused; or it did not come back in time
 */
import {
  type Clock,
  ErrorCode,
  type HostName,
  newViewerId,
  OutpostError,
  type SessionAttachResult,
  type SessionId,
  type SessionName,
  type SessionStatus,
  systemClock,
  type ViewerId,
  type ViewerRole,
} from "@outpost/protocol";
import { attachOnce } from "./attach-attempt.ts";
import { signedAttach, signedRole } from "./authorizing.ts";
import { Backoff } from "./backoff.ts";
import type { Connection, ControllerPeer } from "./connection.ts";
import { EventQueue } from "./event-queue.ts";
import { Keystrokes } from "./keystrokes.ts";
import { SessionAcknowledger } from "./session-acknowledger.ts";
import type { AttachmentEvent } from "./session-events.ts";
import { TerminalOutput } from "./terminal-output.ts";

export interface AttachOptions {
  /** `control` (default): type, and set the terminal's size. `watch`: look. */
  readonly role?: ViewerRole | undefined;
  /** True: whoever controls the session now watches from here on. False (default): `busy` when somebody does. */
  readonly takeOver?: boolean | undefined;
  /** The terminal's size. Default 80 × 24. */
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  /** True (default): a `repaint` shows the screen at first, unless `from` is given, and again after each cut. */
  readonly repaint?: boolean | undefined;
  /** The offset at which output begins, instead of with a repaint at what is its end now. */
  readonly from?: number | undefined;
  /** How many bytes of output to be behind at most, at least 16 KiB: then a gap and a repaint. Default: no bound but
   * what the host keeps. */
  readonly maxLag?: number | undefined;
  /** How long to go on trying when the host cannot be reached, in milliseconds. Default no limit. For the controller it
   * is `ConnectOptions.reconnectForMs`. */
  readonly reconnectForMs?: number | undefined;
  /** Leaves, and ends the events with `cancelled`. */
  readonly signal?: AbortSignal | undefined;
}

/** What is attached to. For `Session` and `Client`. */
export interface AttachTarget {
  readonly connection: Connection;
  readonly session: SessionId;
  readonly host: HostName;
  /** The session is being opened, by a request that was sent before: resolves when it is. Its failure is ours. */
  readonly opening?: Promise<unknown>;
  /** Called when it ends before it was attached, although the session may have been opened. */
  readonly abandoned?: () => Promise<void>;
  readonly clock?: Clock;
}

/** How long what was typed last may take to get to the host when somebody leaves, in milliseconds. */
const lastKeysMs = 500;
/** How long the last acknowledgement may take, in milliseconds. Without it, what was seen last counts as unread. */
const partingMs = 1_000;

/** Why an attachment stops that was asked to: no error for whoever takes its events. */
const left = new OutpostError(ErrorCode.cancelled, "the session was left");

const lost: ReadonlySet<ErrorCode> = new Set([ErrorCode.disconnected, ErrorCode.hostUnreachable]);

export class Attachment implements AsyncDisposable, AsyncIterable<AttachmentEvent> {
  readonly session: SessionId;
  readonly host: HostName;
  /** Made here; the same after every cut. */
  readonly viewer: ViewerId = newViewerId();
  readonly #target: AttachTarget;
  readonly #options: AttachOptions;
  readonly #queue = new EventQueue<AttachmentEvent>();
  readonly #output: TerminalOutput;
  readonly #keystrokes = new Keystrokes();
  readonly #acknowledger: SessionAcknowledger;
  readonly #stopping = new AbortController();
  readonly #backoff = new Backoff();
  readonly #clock: Clock;
  readonly #running: Promise<void>;
  #opening: Promise<unknown> | undefined;
  #role: ViewerRole;
  #takeOver: boolean;
  #size: { readonly columns: number; readonly rows: number };
  /** The newest connection. */
  #peer: ControllerPeer | undefined;
  /** The connection on which the host has us attached. */
  #attachedTo: ControllerPeer | undefined;
  #status: SessionStatus | undefined;
  /** Somebody else controls since we were cut, and we had. */
  #demotion: { readonly by?: string } | undefined;
  #hostIsAway = false;
  #cancelLimit: (() => void) | undefined;
  #attempt = new AbortController();

  constructor(target: AttachTarget, options: AttachOptions) {
    const { session, host, connection, opening, clock = systemClock } = target;
    const { role = "control", takeOver = false, columns = 80, rows = 24, signal } = options;
    this.session = session;
    this.host = host;
    this.#target = target;
    this.#options = options;
    this.#clock = clock;
    this.#role = role;
    this.#takeOver = takeOver;
    this.#size = { columns, rows };
    this.#output = new TerminalOutput(host, this.#queue);
    const stopped = this.#stopping.signal;
    this.#acknowledger = new SessionAcknowledger({ connection, session, host, clock, signal: stopped });
    this.#opening = opening;
    const onAbort = (): void => this.#stopping.abort(OutpostError.from(signal?.reason, ErrorCode.cancelled));
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    this.#running = this.#run().finally(() => signal?.removeEventListener("abort", onAbort));
  }

  /** What we may do now. */
  get role(): ViewerRole {
    return this.#role;
  }

  /** What the session is called; known once it was attached. */
  get name(): SessionName | undefined {
    return this.#status?.name;
  }

  /** True while the host has this attachment; false while it is made for the first time, or again. */
  get isAttached(): boolean {
    return this.#attachedTo?.isOpen === true;
  }

  /**
   * The events, for one consumer, once. Pulled: credit for more output is granted as they are taken, so a slow consumer
   * holds no more than a window. Asking for the next event says that the last one was shown; it then no longer counts as
   * unread. Stopping to ask (`break`) leaves.
   * @throws OutpostError `busy` when somebody else controls the session; `not_found`; `cancelled`; `host_unreachable`,
   * `controller_unreachable` when they did not come back in time
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<AttachmentEvent, void, void> {
    try {
      for (;;) {
        const event = await this.#queue.next();
        if (event === undefined) return;
        yield event;
        if (event.type === "output" || event.type === "gap") this.#output.handled(event);
        if (event.type === "output") {
          this.#acknowledger.seen(event.offset, event.offset + event.bytes.byteLength);
        }
      }
    } finally {
      await this.leave();
    }
  }

  /**
   * Types. Resolves when the bytes are kept, which is at once unless a mebibyte waits for the host; from then on they get
   * there once, whatever is cut. Does nothing while watching.
   * @throws OutpostError `cancelled` when it has ended or was left
   */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#role === "control") await this.#keystrokes.write(bytes, this.#stopping.signal);
  }

  /** The terminal's size is another. The session's becomes so while this attachment controls it. */
  resize(columns: number, rows: number): void {
    if (this.#size.columns === columns && this.#size.rows === rows) return;
    this.#size = { columns, rows };
    this.#sendSize();
  }

  /** Takes control; whoever had it watches from here on. After a cut: as soon as it is attached again. */
  async takeControl(): Promise<void> {
    await this.#changeRole("control");
  }

  /** Gives control up, and only watches from here on. */
  async watch(): Promise<void> {
    await this.#changeRole("watch");
  }

  /** Asks for the whole screen again: a `repaint` comes. For terminals that were used for something else meanwhile. */
  repaint(): void {
    if (!this.isAttached) return;
    this.#attachedTo = undefined;
    this.#attempt.abort(new OutpostError(ErrorCode.cancelled, "the screen is asked for again"));
  }

  /** Leaves, and ends the events; the session goes on. What was typed before gets there, if the host can be reached. Idempotent. */
  async leave(): Promise<void> {
    if (this.isAttached && !this.#stopping.signal.aborted) {
      await this.#keystrokes.allTaken(AbortSignal.timeout(lastKeysMs)).catch(() => {});
    }
    this.#stopping.abort(left);
    await this.#running;
    // Not worth a new connection.
    if (this.#peer?.isOpen !== true) return;
    await this.#acknowledger.flush(AbortSignal.timeout(partingMs)).catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave();
  }

  // ------------------------------------------------------------------------------------------ across connections

  async #run(): Promise<void> {
    const forget = this.#target.connection.onState((state) => this.#controllerNotice(state));
    let isOpenable = true;
    this.#opening?.catch((error: unknown) => {
      isOpenable = false;
      if (this.#status === undefined) this.#stopping.abort(OutpostError.from(error));
    });
    try {
      this.#ended(await this.#attach());
    } catch (error) {
      const reason: unknown = this.#stopping.signal.aborted ? this.#stopping.signal.reason : error;
      this.#queue.end(reason === left ? undefined : reason);
      if (this.#status === undefined && isOpenable) await this.#target.abandoned?.().catch(() => {});
    } finally {
      forget();
      this.#cancelLimit?.();
      this.#attachedTo = undefined;
      this.#stopping.abort(new OutpostError(ErrorCode.cancelled, "the attachment has ended"));
    }
  }

  /** Until it ends for another reason than a cut. */
  async #attach(): Promise<SessionAttachResult> {
    for (;;) {
      this.#attempt = new AbortController();
      const again = this.#attempt.signal;
      const { signal } = this.#stopping;
      const peer = await this.#target.connection.peer(signal);
      this.#peer = peer;
      signal.throwIfAborted();
      try {
        return await this.#attachTo(peer, AbortSignal.any([signal, again]));
      } catch (reason) {
        this.#attachedTo = undefined;
        if (signal.aborted) throw reason;
        const error = OutpostError.from(reason);
        const isCut = error.code === ErrorCode.disconnected && !peer.isOpen;
        // Asked to paint again, or cut: from where we are.
        if (!again.aborted && !isCut) await this.#recover(error);
      }
    }
  }

  #attachTo(peer: ControllerPeer, signal: AbortSignal): Promise<SessionAttachResult> {
    const { repaint = true, from, maxLag } = this.#options;
    const position = this.#output.position;
    const wanted = position ?? from;
    const size = this.#size;
    return attachOnce({
      peer,
      params: signedAttach(this.#target.connection, {
        host: this.host,
        session: this.session,
        viewer: this.viewer,
        role: this.#role,
        takeOver: this.#takeOver,
        ...size,
        ...(wanted === undefined ? {} : { from: wanted }),
        repaint: repaint && (position !== undefined || from === undefined),
        ...(maxLag === undefined ? {} : { maxLag }),
      }),
      output: this.#output,
      keystrokes: this.#keystrokes,
      signal,
      opened: ({ offset, role, status }) => {
        this.#attachedTo = peer;
        this.#opened(offset, role, status);
        if (size !== this.#size) this.#sendSize();
      },
      changed: ({ role, columns, rows, by }) => {
        this.#role = role;
        const whose = by === undefined ? {} : { by };
        this.#queue.push({ type: "changed", host: this.host, role, columns, rows, ...whose });
      },
      waiting: ({ since }) => {
        // One that is being opened is not waited for: opening it says that the host is away.
        if (this.#target.opening === undefined || this.#status !== undefined) this.#hostNotice(since);
      },
    });
  }

  #opened(offset: number, role: ViewerRole, status: SessionStatus): void {
    const again = this.#status !== undefined;
    const { host } = this;
    this.#status = status;
    this.#role = role;
    // Who takes over meanwhile keeps it.
    this.#takeOver = false;
    this.#backoff.reset();
    this.#cancelLimit?.();
    this.#cancelLimit = undefined;
    if (this.#hostIsAway) {
      this.#hostIsAway = false;
      const message = `${host} is connected again`;
      this.#queue.push({ type: "notice", host, code: "host_reconnected", message });
    }
    this.#queue.push({ type: "opened", host, offset, role, again, status });
    if (this.#demotion === undefined) return;
    const { columns, rows } = status;
    this.#queue.push({ type: "changed", host, role, columns, rows, ...this.#demotion });
    this.#demotion = undefined;
  }

  /** After a failure on a connection that is open. @throws OutpostError when another attempt would fail as well */
  async #recover(error: OutpostError): Promise<void> {
    const { signal } = this.#stopping;
    if (lost.has(error.code)) {
      this.#hostNotice();
      await this.#backoff.sleep(this.#clock, signal);
    } else if (error.code === ErrorCode.denied && error.data["reason"] === "replay") {
      // The controller has passed it on twice, for the host was cut before it could answer. Signed anew it is another one.
      await this.#backoff.sleep(this.#clock, signal);
    } else if (error.code === ErrorCode.notFound && this.#opening !== undefined) {
      // It overtook the request that opens the session.
      const opening = this.#opening;
      this.#opening = undefined;
      await Promise.race([opening, aborted(signal)]);
    } else if (error.code === ErrorCode.busy && this.#status !== undefined && this.#role === "control") {
      const { operator: by } = error.data;
      this.#role = "watch";
      this.#demotion = typeof by === "string" ? { by } : {};
    } else {
      throw error;
    }
  }

  #ended({ reason, by, status }: SessionAttachResult): void {
    this.#status = status;
    this.#queue.push({ type: "end", host: this.host, reason, ...(by === undefined ? {} : { by }), status });
    this.#queue.end();
  }

  // ------------------------------------------------------------------------------------------------- notices

  #controllerNotice(state: "reconnecting" | "reconnected"): void {
    const { host } = this;
    this.#queue.push(
      state === "reconnecting"
        ? { type: "notice", host, code: "controller_reconnecting", message: "connection lost; reconnecting" }
        : { type: "notice", host, code: "controller_reconnected", message: "connected again" },
    );
  }

  /** Once for each time that the host is away. @param since when the controller lost it, in milliseconds since 1970 */
  #hostNotice(since?: number): void {
    if (this.#hostIsAway) return;
    this.#hostIsAway = true;
    const { host } = this;
    const message =
      since === undefined
        ? `the connection to ${host} was lost; reconnecting`
        : `${host} cannot be reached; waiting for it`;
    const timed = since === undefined ? {} : { since };
    this.#queue.push({ type: "notice", host, code: "host_unreachable", message, ...timed });
    const { reconnectForMs = Number.POSITIVE_INFINITY } = this.#options;
    if (reconnectForMs === Number.POSITIVE_INFINITY) return;
    this.#cancelLimit = this.#clock.after(reconnectForMs, () =>
      this.#stopping.abort(
        new OutpostError(ErrorCode.hostUnreachable, `${host} did not come back in time`, {
          data: { host },
        }),
      ),
    );
  }

  // ---------------------------------------------------------------------------------------------- size and role

  /** A failure does no harm: each attachment says the size anew. */
  #sendSize(): void {
    const peer = this.#attachedTo;
    if (peer?.isOpen !== true) return;
    const { host, session, viewer } = this;
    peer.request("session.resize", { host, session, viewer, ...this.#size }).catch(() => {});
  }

  async #changeRole(role: ViewerRole): Promise<void> {
    this.#stopping.signal.throwIfAborted();
    const peer = this.#attachedTo;
    if (peer?.isOpen === true) {
      const { host, session, viewer } = this;
      try {
        await peer.request(
          "session.role",
          signedRole(this.#target.connection, { host, session, viewer, role }),
        );
        this.#role = role;
        return;
      } catch (error) {
        if (!lost.has(OutpostError.from(error).code)) throw error;
      }
    }
    this.#role = role;
    this.#takeOver = role === "control";
  }
}

/** Rejects with the signal's reason. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const onAbort = (): void => reject(OutpostError.from(signal.reason));
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
}
