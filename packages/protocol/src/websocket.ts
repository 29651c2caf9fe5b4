/**
 * Message sockets over WebSocket (RFC 6455), binary messages only, always over TLS. The only importer of `ws`.
 */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { SecureContextOptions } from "node:tls";
import { WebSocket, WebSocketServer } from "ws";
import { chainHeader, chainHeaderOf } from "./certificate-chain.ts";
import { dialError, refusalError } from "./dial-error.ts";
import { ErrorCode, OutpostError } from "./errors.ts";
import { maxMessageBytes } from "./limits.ts";
import { type MessageSocket, shortenReason, type SocketEvents } from "./socket.ts";

/** Named at the upgrade, so that a server that speaks something else refuses early. */
const subprotocol = "outpost";

/** Close codes of RFC 6455, section 7.4.1. */
const normalClosure = 1000;
const unsupportedData = 1003;

const closeTimeoutMs = 5_000;

const wsOptions = {
  maxPayload: maxMessageBytes,
  perMessageDeflate: false,
  // Pieces count as well as bytes: a message of ours is one fragment.
  maxFragments: 64,
  // Text is refused whatever it holds.
  skipUTF8Validation: true,
  // How long the other side may take to answer a close, what is queued included.
  closeTimeout: closeTimeoutMs,
} as const;

/** What the close codes that a WebSocket library sends on its own say, for closes without a reason. */
const closeReasons = new Map([
  [1000, "the other side closed the connection"],
  [1001, "the other side is going away"],
  [1002, "the other side saw a WebSocket protocol error"],
  [1003, "the other side refused a message that is not binary"],
  [1008, "the other side refused a message with too many fragments"],
  [1009, "the other side refused a message that is too large"],
  [1011, "the other side failed"],
]);

class WebSocketSocket implements MessageSocket {
  readonly #ws: WebSocket;
  readonly #stream: Duplex;
  #events: SocketEvents | undefined;
  #corked = false;
  /** What went wrong on this side: a broken frame, a text message. Nothing more is delivered after it. */
  #failure: string | undefined;
  /** The reason, once the socket has ended: it may end before anybody has called `start`. */
  #ended: string | undefined;

  /** @param stream the connection below, to join the small messages of one turn in one write */
  constructor(ws: WebSocket, stream: Duplex) {
    this.#ws = ws;
    this.#stream = stream;
    // Nothing is read until somebody listens.
    ws.pause();
    ws.on("message", (data, isBinary) => this.#onMessage(data as Buffer, isBinary));
    ws.on("error", (error) => (this.#failure ??= error.message));
    ws.on("close", (code, reason) => {
      this.#ended =
        this.#failure ?? (reason.toString() || closeReasons.get(code) || "the connection was cut");
      this.#events?.closed(this.#ended);
    });
  }

  get bufferedBytes(): number {
    return this.#ws.bufferedAmount;
  }

  start(events: SocketEvents): void {
    this.#events = events;
    if (this.#ended !== undefined) {
      const reason = this.#ended;
      queueMicrotask(() => events.closed(reason));
      return;
    }
    this.#stream.on("data", () => events.heard?.());
    this.#ws.resume();
  }

  send(message: Uint8Array): void {
    if (this.#ws.readyState !== WebSocket.OPEN) return;
    if (!this.#corked) {
      this.#corked = true;
      this.#stream.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#stream.uncork();
      });
    }
    this.#ws.send(message, this.#onWritten);
  }

  close(reason: string): void {
    this.#ws.close(normalClosure, shortenReason(reason));
    // The close frame of the other side must be read to end in peace, also when nobody has called `start`.
    this.#ws.resume();
  }

  abort(): void {
    this.#ws.terminate();
  }

  /** Each message's write is done. The stream's own `drain` would come only when its queue is empty, which never
   * happens while somebody else keeps sending. */
  readonly #onWritten = (error?: Error | null): void => {
    if (error == null) this.#events?.drained();
  };

  #onMessage(data: Buffer, isBinary: boolean): void {
    if (this.#failure !== undefined) return;
    if (isBinary) {
      this.#events?.message(data);
      return;
    }
    this.#failure = "a message was not binary";
    this.#ws.close(unsupportedData, "binary messages only");
  }
}

export interface DialOptions {
  /** `wss://host:port/path`. */
  readonly url: string;
  readonly tls: SecureContextOptions & {
    /** False only for the first look at a controller whose CA is then checked by fingerprint. */
    readonly rejectUnauthorized?: boolean;
  };
  readonly signal?: AbortSignal;
  /** How long connecting may take, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
  /** How long the other side may take to answer once it has taken the TCP connection, in milliseconds: a controller to
   * which a thousand others come at the same time lets them in one after the other. Default: what is left of `timeoutMs`. */
  readonly answerTimeoutMs?: number;
}

function controllerUrl(text: string): URL {
  const url = URL.parse(text);
  if (url?.protocol === "wss:" && url.hash === "") return url;
  throw new OutpostError(
    ErrorCode.invalidArgument,
    `${text} is not a controller's address (wss://host:port)`,
  );
}

/**
 * Connects to a controller.
 * @throws OutpostError `controller_unreachable`, `denied`, `busy` (`data.retryAfterMs`), `timeout`, `cancelled`,
 * `invalid_argument` for an address that is no `wss:` URL
 */
export async function dialWebSocket(options: DialOptions): Promise<MessageSocket> {
  const { tls, signal, timeoutMs = 10_000, answerTimeoutMs } = options;
  const url = controllerUrl(options.url);
  if (signal?.aborted === true) throw OutpostError.from(signal.reason, ErrorCode.cancelled);
  const { promise, resolve, reject } = Promise.withResolvers<MessageSocket>();
  const ws = new WebSocket(url, subprotocol, {
    ...wsOptions,
    ...tls,
    headers: headersOf(tls),
    minVersion: "TLSv1.3",
    // The mask guards plaintext proxies against crafted payloads (RFC 6455, section 10.3). Below TLS there are none,
    // and a zero mask saves a pass over every byte: 660 instead of 367 MB/s.
    generateMask: (mask) => void mask.fill(0),
    finishRequest: (request) => {
      request.once("socket", (socket) => socket.once("connect", onConnect));
      request.end();
    },
  });
  const giveUp = (error: OutpostError): void => {
    reject(error);
    ws.terminate();
  };
  const onAbort = (): void => giveUp(OutpostError.from(signal?.reason, ErrorCode.cancelled));
  // Not ws's handshakeTimeout, which any byte from the other side restarts.
  const giveUpAfter = (ms: number): NodeJS.Timeout =>
    setTimeout(
      () => giveUp(new OutpostError(ErrorCode.timeout, `${url.host} did not answer within ${String(ms)} ms`)),
      ms,
    );
  let timer = giveUpAfter(timeoutMs);
  function onConnect(): void {
    if (answerTimeoutMs === undefined) return;
    clearTimeout(timer);
    timer = giveUpAfter(answerTimeoutMs);
  }
  let stream: Socket | undefined;
  const onError = (error: Error): void => reject(dialError(url, error));
  signal?.addEventListener("abort", onAbort);
  ws.on("error", onError);
  ws.on("unexpected-response", (_request, response) => giveUp(refusalError(url, response)));
  ws.on("upgrade", (response) => (stream = response.socket));
  ws.on("open", () => {
    resolve(new WebSocketSocket(ws, stream!));
    ws.off("error", onError);
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

function headersOf({ cert }: DialOptions["tls"]): Record<string, string> {
  const chain = typeof cert === "string" ? chainHeaderOf(cert) : undefined;
  return chain === undefined ? {} : { [chainHeader]: chain };
}

/** Turns HTTP upgrade requests into message sockets. */
export class WebSocketAcceptor {
  readonly #server: WebSocketServer;

  /** @param maxBytes the largest message that is taken, in bytes; a longer one ends the connection before it is read */
  constructor(maxBytes = maxMessageBytes) {
    this.#server = new WebSocketServer({
      ...wsOptions,
      maxPayload: maxBytes,
      noServer: true,
      clientTracking: false,
      handleProtocols: (protocols) => (protocols.has(subprotocol) ? subprotocol : false),
    });
  }

  /** Completes an upgrade. `ready` gets the socket; a request that is no WebSocket handshake is answered here.
   * Call it in the `upgrade` event itself: Node leaves the socket without an error listener there. */
  accept(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    ready: (socket: MessageSocket) => void,
  ): void {
    const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
    if (!offered.includes(subprotocol)) {
      refuseUpgrade(socket, 400, `the subprotocol ${subprotocol} is not offered`);
      return;
    }
    this.#server.handleUpgrade(request, socket, head, (ws) => ready(new WebSocketSocket(ws, socket)));
  }
}

/** Refuses an upgrade with a status that `dialWebSocket` understands on the other side. */
export function refuseUpgrade(
  socket: Duplex,
  status: 400 | 403 | 404 | 503,
  reason: string,
  retryAfterMs?: number,
): void {
  const retry =
    retryAfterMs === undefined ? "" : `Retry-After: ${String(Math.ceil(retryAfterMs / 1000))}\r\n`;
  // Header values are Latin-1 without controls.
  const text = reason.replace(/[^\x20-\x7e]/g, "?");
  // The client may be gone already. Unheard, that would be an uncaught exception.
  socket.on("error", () => socket.destroy());
  socket.once("finish", () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${String(status)} Refused\r\nX-Outpost-Reason: ${text}\r\n${retry}Connection: close\r\nContent-Length: 0\r\n\r\n`,
  );
}
