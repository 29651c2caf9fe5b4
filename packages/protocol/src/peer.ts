/**
 * One end of a connection: requests, notifications, cancellation and streams over a `MessageSocket`.
 * It owns what belongs to the connection and nothing that outlives it; whoever wants to go on after a cut makes a new
 * peer and asks again from its offsets.
 *
 *     greeting ──▶ open ──▶ closed
 *         └───────────────────▲
 *
 * An acceptor is `greeting` until it has answered `hello`; everything else is refused until then. A dialer's first
 * request MUST be `hello`.
 */
import * as v from "valibot";
import { systemClock, type Clock } from "./clock.ts";
import { decode, encode } from "./codec.ts";
import { ErrorCode, OutpostError } from "./errors.ts";
import {
  FrameType,
  type Frame,
  type RequestFrame,
  type ResponseFrame,
  type NotificationFrame,
} from "./frame.ts";
import { Heartbeat } from "./heartbeat.ts";
import { helloTimeoutMs, maxOpenRequests, maxOpenStreams } from "./limits.ts";
import type { EventOf, MethodMap, NotificationMethod, Params, RequestMethod, Result } from "./methods.ts";
import type { MessageSocket } from "./socket.ts";
import {
  type IncomingStart,
  IncomingStream,
  OutgoingStream,
  type StreamLink,
  type StreamReceiver,
} from "./stream.ts";
import { WriteGate } from "./write-gate.ts";

/** What a handler knows of the request that it answers. */
export interface Call<M extends MethodMap = MethodMap, K extends keyof M = keyof M> {
  /** Aborts when the caller cancels or the connection closes. */
  readonly signal: AbortSignal;
  /** Sends an event of this request. After the connection closed it does nothing. */
  emit<E extends EventOf<M, K>["event"]>(
    event: E,
    params: Extract<EventOf<M, K>, { event: E }>["params"],
  ): void;
}

/** The methods that this side answers. A handler runs synchronously up to its first `await`, in the order of arrival. */
export type Handlers<M extends MethodMap> = {
  readonly [K in Exclude<keyof M & string, "ping">]: (
    params: Params<M, K>,
    call: Call<M, K>,
  ) => Promise<Result<M, K>> | Result<M, K>;
};

export interface PeerOptions<Local extends MethodMap, Remote extends MethodMap> {
  readonly local: Local;
  readonly remote: Remote;
  readonly handlers: Handlers<Local>;
  /** Default `systemClock`. */
  readonly clock?: Clock;
  /** Told of faults in handlers and listeners: errors that are not an `OutpostError`. A handler's reaches the caller
   * as `internal`; a listener's (of events, of a stream) ends the connection. `method` is `message` or `stream` then. */
  readonly fault?: (error: unknown, method: string) => void;
  /** How long the other side may take to say hello, in milliseconds; then the connection ends. Default
   * `limits.helloTimeoutMs`. */
  readonly helloTimeoutMs?: number;
}

export interface RequestOptions<M extends MethodMap, K extends keyof M> {
  readonly signal?: AbortSignal;
  /** Fails with `timeout` after this many milliseconds. Default: waits as long as the connection lives. */
  readonly timeoutMs?: number;
  /** Called synchronously for each event, before any later frame is looked at. */
  readonly onEvent?: (event: EventOf<M, K>) => void;
}

/** A request written once, to be sent to many peers. */
export interface PackedRequest<M extends MethodMap, K extends keyof M> {
  readonly id: number;
  readonly methods: M;
  readonly method: K;
  readonly bytes: Uint8Array;
}

// Request ids are unique in the process, not only on the connection, so that one packed request fits every peer.
let lastRequestId = 0;

/** Packs a request once for `Peer.requestPacked`. @throws OutpostError `limit_exceeded` */
export function packRequest<M extends MethodMap, K extends RequestMethod<M>>(
  methods: M,
  method: K,
  params: v.InferInput<M[K]["params"]>,
): PackedRequest<M, K> {
  const id = ++lastRequestId;
  return { id, methods, method, bytes: encode([FrameType.request, id, method, params]) };
}

interface PendingRequest {
  readonly method: string;
  settle(error: OutpostError | undefined, result?: unknown): void;
  event(name: string, params: unknown): void;
}

function firstIssue(issues: readonly v.BaseIssue<unknown>[]): string {
  const issue = issues[0]!;
  const path = v.getDotPath(issue);
  return path === null ? issue.message : `${path}: ${issue.message}`;
}

/** Ends of a connection of which the other side hears the reason. */
const explained: ReadonlySet<ErrorCode> = new Set([
  ErrorCode.protocolError,
  ErrorCode.versionMismatch,
  ErrorCode.denied,
]);

export class Peer<Local extends MethodMap, Remote extends MethodMap> {
  readonly #socket: MessageSocket;
  readonly #options: PeerOptions<Local, Remote>;
  readonly #clock: Clock;
  readonly #heartbeat: Heartbeat;
  readonly #pending = new Map<number, PendingRequest>();
  readonly #answering = new Map<number, AbortController>();
  readonly #outgoing = new Map<number, OutgoingStream>();
  readonly #incoming = new Map<number, IncomingStream>();
  readonly #link: StreamLink;
  readonly #closed = Promise.withResolvers<OutpostError>();
  readonly #gate: WriteGate;
  readonly #cancelGreeting: () => void;
  #state: "greeting" | "open" | "closed";
  #lastStream = 0;
  #closeReason: OutpostError | undefined;
  #greeted = false;

  constructor(socket: MessageSocket, options: PeerOptions<Local, Remote>) {
    this.#socket = socket;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#state = "hello" in options.local ? "greeting" : "open";
    this.#cancelGreeting =
      this.#state === "greeting"
        ? this.#clock.after(options.helloTimeoutMs ?? helloTimeoutMs, () =>
            this.abort(new OutpostError(ErrorCode.timeout, "no hello came in time")),
          )
        : () => {};
    this.#heartbeat = new Heartbeat(this.#clock, {
      probe: () => void this.#request("ping", {}, {}).catch(() => {}),
      dead: () => this.abort(new OutpostError(ErrorCode.disconnected, "the other side went silent")),
      hasUnsent: () => this.#socket.bufferedBytes > 0,
      stuck: () => this.abort(new OutpostError(ErrorCode.disconnected, "the other side does not read")),
    });
    this.#gate = new WriteGate(() => socket.bufferedBytes);
    this.#link = {
      sendChunk: (stream, offset, bytes, size) =>
        this.#send(
          size === undefined
            ? [FrameType.chunk, stream, offset, bytes]
            : [FrameType.chunk, stream, offset, bytes, size],
        ),
      sendCredit: (stream, upTo) => this.#send([FrameType.credit, stream, upTo]),
      sendEnd: (stream, error) => {
        this.#outgoing.delete(stream);
        this.#send([FrameType.end, stream, error?.toWire() ?? null]);
      },
      writable: (signal) => this.writable(signal),
    };
    socket.start({
      message: (bytes) => this.#onMessage(bytes),
      heard: () => this.#heartbeat.heard(),
      drained: () => {
        this.#heartbeat.sent();
        this.#gate.drained();
      },
      closed: (reason) => this.#onClosed(reason),
    });
  }

  /** Resolves with the reason when the connection has ended. Never rejects. */
  get closed(): Promise<OutpostError> {
    return this.#closed.promise;
  }

  get isOpen(): boolean {
    return this.#state !== "closed";
  }

  /** Bytes queued on the socket. */
  get bufferedBytes(): number {
    return this.#socket.bufferedBytes;
  }

  /** How many of the other side's requests are being answered. */
  get openCalls(): number {
    return this.#answering.size;
  }

  /**
   * Asks the other side and waits for its answer.
   * @throws OutpostError the other side's; `timeout`; `cancelled`; `disconnected` when the connection ends first (the
   * request may or may not have been carried out); `protocol_error` when the answer does not fit its schema
   */
  request<K extends RequestMethod<Remote>>(
    method: K,
    params: v.InferInput<Remote[K]["params"]>,
    options: RequestOptions<Remote, K> = {},
  ): Promise<Result<Remote, K>> {
    return this.#request(method, params, options) as Promise<Result<Remote, K>>;
  }

  /** As `request`, with a request that was packed before. One packed request may be sent once to each peer. */
  requestPacked<K extends RequestMethod<Remote>>(
    packed: PackedRequest<Remote, K>,
    options: RequestOptions<Remote, K> = {},
  ): Promise<Result<Remote, K>> {
    return this.#ask(packed.id, packed.method, () => this.#sendBytes(packed.bytes), options) as Promise<
      Result<Remote, K>
    >;
  }

  /** Tells the other side something that needs no answer. Dropped when the connection has ended. */
  notify<K extends NotificationMethod<Remote>>(method: K, params: v.InferInput<Remote[K]["params"]>): void {
    this.#send([FrameType.notification, method, params]);
  }

  /** Makes a stream to send on. Announce its number, then call `begin`. @throws OutpostError `limit_exceeded` */
  openStream(): OutgoingStream {
    if (this.#outgoing.size >= maxOpenStreams) {
      throw new OutpostError(ErrorCode.limitExceeded, `more than ${String(maxOpenStreams)} open streams`);
    }
    const stream = new OutgoingStream(++this.#lastStream, this.#link);
    if (this.#closeReason === undefined) this.#outgoing.set(stream.number, stream);
    else stream.disconnected(this.#closeReason);
    return stream;
  }

  /**
   * Takes a stream that the other side has announced. MUST be called synchronously in the handler or listener that
   * got the announcement: the first chunk may be the next frame.
   * @param start the announced first offset, and the window that the sender may assume, in bytes
   */
  acceptStream(number: number, start: IncomingStart, receiver: StreamReceiver): IncomingStream {
    const stream = new IncomingStream(number, this.#link, start, receiver);
    if (this.#closeReason !== undefined) {
      stream.finished(this.#closeReason);
    } else if (this.#incoming.has(number) || this.#incoming.size >= maxOpenStreams) {
      const error = new OutpostError(ErrorCode.protocolError, `stream ${String(number)} cannot be opened`);
      this.abort(error);
      stream.finished(error);
    } else {
      this.#incoming.set(number, stream);
    }
    return stream;
  }

  /**
   * Resolves when the socket's queue is below `socketHighWaterBytes` and it is this caller's turn to send up to
   * `maxChunkBytes`.
   * @throws OutpostError when the connection ends; the signal's reason when it aborts
   */
  writable(signal?: AbortSignal): Promise<void> {
    return this.#gate.pass(signal);
  }

  /** Ends gracefully: what is queued is sent, then the socket closes with `reason`. */
  async close(reason: string): Promise<void> {
    this.#socket.close(reason);
    await this.#closed.promise;
  }

  /** Ends now: nothing more is taken in or answered. Everything open on this connection fails with `error`. The other
   * side is told why when it did something wrong, or may not be here (any more). */
  abort(error: OutpostError): void {
    if (this.#state === "closed") return;
    this.#closeReason ??= error;
    if (explained.has(error.code)) {
      this.#socket.close(error.message);
    } else {
      this.#socket.abort();
    }
    this.#teardown(error);
  }

  #request(method: string, params: unknown, options: RequestOptions<MethodMap, string>): Promise<unknown> {
    const id = ++lastRequestId;
    return this.#ask(id, method, () => this.#send([FrameType.request, id, method, params]), options);
  }

  #ask(
    id: number,
    method: string,
    send: () => void,
    options: RequestOptions<MethodMap, string>,
  ): Promise<unknown> {
    if (this.#closeReason !== undefined) return Promise.reject(this.#closeReason);
    if (this.#pending.size >= maxOpenRequests) {
      return Promise.reject(
        new OutpostError(ErrorCode.limitExceeded, `more than ${String(maxOpenRequests)} open requests`),
      );
    }
    if (this.#pending.has(id)) {
      return Promise.reject(
        new OutpostError(ErrorCode.internal, `request ${String(id)} was sent on this connection already`),
      );
    }
    const { signal, timeoutMs, onEvent } = options;
    if (signal?.aborted === true)
      return Promise.reject(OutpostError.from(signal.reason, ErrorCode.cancelled));
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const settle = (error: OutpostError | undefined, result?: unknown): void => {
      if (!this.#pending.delete(id)) return;
      cancelTimeout?.();
      signal?.removeEventListener("abort", onAbort);
      if (error === undefined) resolve(result);
      else reject(error);
    };
    const withdraw = (error: OutpostError): void => {
      this.#send([FrameType.cancel, id]);
      settle(error);
    };
    const onAbort = (): void => withdraw(OutpostError.from(signal?.reason, ErrorCode.cancelled));
    const cancelTimeout =
      timeoutMs === undefined
        ? undefined
        : this.#clock.after(timeoutMs, () =>
            withdraw(
              new OutpostError(ErrorCode.timeout, `no answer to ${method} within ${String(timeoutMs)} ms`),
            ),
          );
    signal?.addEventListener("abort", onAbort);
    this.#pending.set(id, {
      method,
      settle,
      event: (name, params) => onEvent?.({ event: name, params } as never),
    });
    try {
      send();
    } catch (error) {
      settle(OutpostError.from(error));
    }
    return promise;
  }

  #send(frame: Frame): void {
    this.#sendBytes(encode(frame));
  }

  #sendBytes(bytes: Uint8Array): void {
    if (this.#state !== "closed") this.#socket.send(bytes);
  }

  #onMessage(bytes: Uint8Array): void {
    if (this.#state === "closed") return;
    this.#heartbeat.heard();
    try {
      this.#onFrame(decode(bytes));
    } catch (error) {
      // A fault in a listener of ours: whoever waited for what it dropped must not wait for ever.
      if (!(error instanceof OutpostError)) this.#options.fault?.(error, "message");
      this.abort(OutpostError.from(error));
    }
  }

  #onFrame(frame: Frame): void {
    if (this.#state === "greeting" && !(frame[0] === FrameType.request && frame[2] === "hello")) {
      throw new OutpostError(ErrorCode.protocolError, "the first frame must be a hello request");
    }
    if (frame[0] === FrameType.request) this.#admit(frame);
    switch (frame[0]) {
      case FrameType.request:
        void this.#onRequest(frame);
        break;
      case FrameType.response:
        this.#onResponse(frame);
        break;
      case FrameType.notification:
        this.#onNotification(frame);
        break;
      case FrameType.chunk:
        // A stream that we do not know was cancelled by us a moment ago.
        this.#incoming.get(frame[1])?.arrived(frame[2], frame[3], frame[4]);
        break;
      case FrameType.credit:
        this.#outgoing.get(frame[1])?.credited(frame[2]);
        break;
      case FrameType.end: {
        const stream = this.#incoming.get(frame[1]);
        this.#incoming.delete(frame[1]);
        stream?.finished(frame[2] === null ? undefined : OutpostError.fromWire(frame[2]));
        break;
      }
      case FrameType.cancel:
        this.#answering
          .get(frame[1])
          ?.abort(new OutpostError(ErrorCode.cancelled, "the caller cancelled the request"));
        break;
      default:
        frame satisfies never;
    }
  }

  /** Refuses requests that break the connection, as against those that are answered with an error. */
  #admit([, id, method]: RequestFrame): void {
    if (this.#answering.has(id))
      throw new OutpostError(ErrorCode.protocolError, `request ${String(id)} is open already`);
    if (method !== "hello" || !("hello" in this.#options.local)) return;
    if (this.#greeted) throw new OutpostError(ErrorCode.protocolError, "hello was said already");
    this.#greeted = true;
  }

  async #onRequest([, id, method, params]: RequestFrame): Promise<void> {
    const controller = new AbortController();
    try {
      const definition = this.#definition(method);
      if (this.#answering.size >= maxOpenRequests) {
        throw new OutpostError(ErrorCode.limitExceeded, `more than ${String(maxOpenRequests)} open requests`);
      }
      this.#answering.set(id, controller);
      const result = await this.#answer(id, method, definition.params, params, controller.signal);
      if (this.#state === "greeting" && method === "hello") {
        this.#state = "open";
        this.#cancelGreeting();
      }
      this.#send([FrameType.response, id, null, result]);
    } catch (reason) {
      this.#refuse(id, method, reason);
    } finally {
      if (this.#answering.get(id) === controller) this.#answering.delete(id);
    }
  }

  #refuse(id: number, method: string, reason: unknown): void {
    if (!(reason instanceof OutpostError)) this.#options.fault?.(reason, method);
    const error = OutpostError.from(reason);
    try {
      this.#send([FrameType.response, id, error.toWire(), null]);
    } catch (unsendable) {
      // Its data is no plain data, or too large. The caller still gets its answer.
      this.#options.fault?.(unsendable, method);
      this.#send([FrameType.response, id, { code: error.code, message: error.message.slice(0, 1000) }, null]);
    }
    // A dialer whose hello was refused has nothing else to do here.
    if (this.#state === "greeting") this.#socket.close(error.message);
  }

  #definition(method: string): MethodMap[string] {
    const definition = Object.hasOwn(this.#options.local, method) ? this.#options.local[method] : undefined;
    if (definition === undefined)
      throw new OutpostError(ErrorCode.methodNotFound, `unknown method ${method}`);
    return definition;
  }

  async #answer(
    id: number,
    method: string,
    schema: v.GenericSchema,
    params: unknown,
    signal: AbortSignal,
  ): Promise<unknown> {
    const parsed = v.safeParse(schema, params);
    if (!parsed.success) {
      throw new OutpostError(ErrorCode.invalidArgument, `${method}: ${firstIssue(parsed.issues)}`);
    }
    if (method === "ping") return {};
    const call: Call = {
      signal,
      emit: (event, eventParams) =>
        this.#send([FrameType.notification, event, { ...(eventParams as object), request: id }]),
    };
    const handler = this.#options.handlers[method as keyof Handlers<Local>] as unknown as (
      params: unknown,
      call: Call,
    ) => unknown;
    return (await handler.call(this.#options.handlers, parsed.output, call)) ?? {};
  }

  #onResponse([, id, error, result]: ResponseFrame): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    if (error !== null) {
      pending.settle(OutpostError.fromWire(error));
      return;
    }
    const schema = this.#options.remote[pending.method]?.result;
    const parsed = schema === undefined || schema === null ? undefined : v.safeParse(schema, result);
    if (parsed?.success === true) {
      pending.settle(undefined, parsed.output);
      return;
    }
    const what = parsed === undefined ? "is not a request" : firstIssue(parsed.issues);
    const failure = new OutpostError(
      ErrorCode.protocolError,
      `the answer to ${pending.method} is malformed: ${what}`,
    );
    pending.settle(failure);
    throw failure;
  }

  #onNotification([, name, params]: NotificationFrame): void {
    const request = (params as { request?: unknown } | null)?.request;
    if (typeof request === "number") {
      this.#onEvent(request, name, params);
      return;
    }
    const definition = Object.hasOwn(this.#options.local, name) ? this.#options.local[name] : undefined;
    // A newer peer may tell us things that we do not know.
    if (definition?.result !== null) return;
    const parsed = v.safeParse(definition.params, params);
    if (!parsed.success) {
      throw new OutpostError(ErrorCode.protocolError, `${name} is malformed: ${firstIssue(parsed.issues)}`);
    }
    const handler = this.#options.handlers[name as keyof Handlers<Local>] as unknown as (
      params: unknown,
      call: undefined,
    ) => unknown;
    // As Promise.try, which Node 22 does not have.
    const told = async (): Promise<unknown> => handler.call(this.#options.handlers, parsed.output, undefined);
    told().catch((error: unknown) => this.#options.fault?.(error, name));
  }

  #onEvent(request: number, name: string, params: unknown): void {
    const pending = this.#pending.get(request);
    if (pending === undefined) return;
    const schema = this.#options.remote[pending.method]?.events?.[name];
    if (schema === undefined) return;
    const parsed = v.safeParse(schema, params);
    if (!parsed.success) {
      throw new OutpostError(ErrorCode.protocolError, `${name} is malformed: ${firstIssue(parsed.issues)}`);
    }
    pending.event(name, parsed.output);
  }

  #onClosed(reason: string): void {
    this.#closeReason ??= new OutpostError(ErrorCode.disconnected, reason);
    this.#teardown(this.#closeReason);
    this.#closed.resolve(this.#closeReason);
  }

  #teardown(error: OutpostError): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#cancelGreeting();
    this.#heartbeat.stop();
    for (const pending of this.#pending.values()) pending.settle(error);
    for (const controller of this.#answering.values()) controller.abort(error);
    for (const stream of this.#outgoing.values()) stream.disconnected(error);
    for (const stream of this.#incoming.values()) this.#guard("stream", () => stream.finished(error));
    this.#outgoing.clear();
    this.#incoming.clear();
    this.#gate.close(error);
  }

  /** Reports what `action` throws, so that one fault keeps nothing else from being told. */
  #guard(what: string, action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#options.fault?.(error, what);
    }
  }
}
