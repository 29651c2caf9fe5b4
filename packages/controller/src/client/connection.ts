/**
 * The client's connection to its controller. It is made when first needed and made again after a cut, for whoever asks
 * next; requests that may be asked twice are.
 *
 *     idle ──▶ dialing ──▶ open ──cut──▶ idle        dispose ──▶ closed
 *                 └─fails─▶ waiting ─▶ dialing       until `reconnectForMs` has passed
 */
import { type Signer, signRequest, type SignOptions } from "@outpost/access/signing";
import {
  type Authorization,
  type Clock,
  controllerOperatorMethods,
  ErrorCode,
  type HelloResult,
  limits,
  type MessageSocket,
  operatorMethods,
  OutpostError,
  Peer,
  type Params,
  type RequestMethod,
  type RequestOptions,
  type Result,
  supportedVersions,
  systemClock,
} from "@outpost/protocol";
import { Backoff } from "./backoff.ts";
import { software } from "./version.ts";

type Methods = typeof controllerOperatorMethods;
export type ControllerPeer = Peer<typeof operatorMethods, Methods>;

export interface ConnectionOptions {
  /** Makes a socket. @throws OutpostError */
  readonly dial: (signal?: AbortSignal) => Promise<MessageSocket>;
  /** With whose key requests to hosts are signed. */
  readonly signer: Signer;
  /** How long to go on trying after a cut, in milliseconds. */
  readonly reconnectForMs: number;
  /** Default `systemClock`. */
  readonly clock?: Clock;
  /** Uniform in [0, 1), for the jitter. Default `Math.random`. */
  readonly random?: () => number;
}

/** How long the other side may take to answer a close, in milliseconds: whoever leaves because the network is gone does not
 * wait for it. */
const closingMs = 1_000;

const passing: ReadonlySet<ErrorCode> = new Set([
  ErrorCode.controllerUnreachable,
  ErrorCode.disconnected,
  ErrorCode.busy,
  ErrorCode.timeout,
]);

/** Whether another attempt may mend it: a controller that restarts is there again soon. Any other failure is final. */
export function isPassing({ code }: OutpostError): boolean {
  return passing.has(code);
}

export class Connection implements AsyncDisposable {
  readonly #options: ConnectionOptions;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #listeners = new Set<(state: "reconnecting" | "reconnected") => void>();
  #open:
    | { readonly peer: ControllerPeer; readonly hello: HelloResult; readonly clockOffsetMs: number }
    | undefined;
  #dialing: Promise<ControllerPeer> | undefined;
  #wasOpen = false;
  #retryAfterMs = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** What the controller said of itself, once it was connected. */
  get hello(): HelloResult | undefined {
    return this.#open?.hello;
  }

  /** How far the controller's clock is ahead of ours, in milliseconds, as of its hello; exact to half of that's round trip. */
  get clockOffsetMs(): number | undefined {
    return this.#open?.clockOffsetMs;
  }

  /** @param what came with that version, in words. @throws OutpostError `version_mismatch` when the controller speaks an older one */
  async needs(version: number, what: string): Promise<void> {
    await this.peer();
    const spoken = this.hello?.version;
    if (spoken === undefined || spoken >= version) return;
    throw new OutpostError(
      ErrorCode.versionMismatch,
      `the controller speaks protocol version ${String(spoken)} and knows nothing of ${what}; upgrade it`,
      { data: { version: spoken, needed: version } },
    );
  }

  /** Calls back when a cut connection is being made again, and when it is back. Returns what takes the listener away. */
  onState(listener: (state: "reconnecting" | "reconnected") => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Signs a request for its hosts. What is sent again is signed again: a host takes each signature once. */
  authorize(options: SignOptions): Authorization {
    return signRequest(this.#options.signer, options, this.#clock);
  }

  /**
   * A peer that is open now. Whoever waits for it keeps the process alive. The first connection is tried once: a person waits for it, and a wrong address does not
   * heal. A later one is tried until `reconnectForMs` has passed.
   * @param signal ends this caller's waiting; others wait on
   * @throws OutpostError `controller_unreachable`, `denied`, `version_mismatch`, `cancelled`
   */
  async peer(signal?: AbortSignal): Promise<ControllerPeer> {
    if (this.#open?.peer.isOpen === true) return this.#open.peer;
    this.#dialing ??= this.#connect().finally(() => (this.#dialing = undefined));
    return waitFor(this.#dialing, signal);
  }

  /**
   * As `Peer.request`, and asks again on a new connection when the old one is cut. For requests that mean the same when
   * they are asked twice.
   * @param params a function is called each time that the request is sent
   */
  async request<K extends RequestMethod<Methods>>(
    method: K,
    params: Params<Methods, K> | (() => Params<Methods, K>),
    options: RequestOptions<Methods, K> = {},
  ): Promise<Result<Methods, K>> {
    for (;;) {
      const peer = await this.peer(options.signal);
      try {
        return await peer.request(method, current(params), options);
      } catch (error) {
        const { code } = OutpostError.from(error);
        if (code !== ErrorCode.disconnected || this.#closing.signal.aborted) throw error;
      }
    }
  }

  /** Closes gracefully, if the other side answers soon. Jobs and sessions do not mind. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new OutpostError(ErrorCode.cancelled, "the client was closed"));
    const peer = this.#open?.peer;
    if (peer === undefined) return;
    const late = new OutpostError(ErrorCode.disconnected, "the other side did not answer the close");
    const cancel = this.#clock.after(closingMs, () => peer.abort(late));
    await peer.close("the client was closed");
    cancel();
  }

  async #connect(): Promise<ControllerPeer> {
    if (!this.#wasOpen) return this.#dial();
    this.#tell("reconnecting");
    const deadlineMs = this.#clock.monotonicMs() + this.#options.reconnectForMs;
    const backoff = new Backoff(this.#options.random);
    for (;;) {
      await backoff.sleep(this.#clock, this.#closing.signal, this.#retryAfterMs);
      this.#retryAfterMs = 0;
      try {
        const peer = await this.#dial();
        this.#tell("reconnected");
        return peer;
      } catch (reason) {
        const error = OutpostError.from(reason);
        if (!isPassing(error) || this.#clock.monotonicMs() >= deadlineMs) throw error;
        const asked = error.data["retryAfterMs"];
        if (typeof asked === "number") this.#retryAfterMs = asked;
      }
    }
  }

  async #dial(): Promise<ControllerPeer> {
    const { signal } = this.#closing;
    signal.throwIfAborted();
    const socket = await this.#options.dial(signal);
    const peer: ControllerPeer = new Peer(socket, {
      local: operatorMethods,
      remote: controllerOperatorMethods,
      handlers: { goodbye: ({ retryAfterMs }) => void (this.#retryAfterMs = retryAfterMs) },
      clock: this.#clock,
    });
    try {
      const askedAt = this.#clock.now();
      const hello = await peer.request(
        "hello",
        { versions: supportedVersions, software, maxMessageBytes: limits.maxMessageBytes },
        { timeoutMs: limits.helloTimeoutMs, signal },
      );
      const clockOffsetMs = hello.time - (askedAt + this.#clock.now()) / 2;
      this.#open = { peer, hello, clockOffsetMs };
      this.#wasOpen = true;
      return peer;
    } catch (error) {
      peer.abort(OutpostError.from(error));
      throw error;
    }
  }

  #tell(state: "reconnecting" | "reconnected"): void {
    for (const listener of this.#listeners) listener(state);
  }
}

/** Longer than any timer may be. */
const longMs = 2 ** 31 - 1;

/** As `promise`, as long as the signal allows. The process does not end meanwhile, as it would with nothing but a clock's
 * timers before it. @throws OutpostError the promise's, or the signal's reason */
async function waitFor<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(OutpostError.from(signal?.reason, ErrorCode.cancelled));
  if (signal?.aborted === true) onAbort();
  signal?.addEventListener("abort", onAbort);
  const keepAlive = setInterval(() => {}, longMs);
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    clearInterval(keepAlive);
    signal?.removeEventListener("abort", onAbort);
  }
}

function current<P extends object>(params: P | (() => P)): P {
  return typeof params === "function" ? params() : params;
}
