/**
 * Message sockets over WebSocket (RFC 6455), binary messages only, always over TLS. The only importer of `ws`.
 */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { SecureContextOptions } from "node:tls";
import { WebSocket, WebSocketServer } from "ws";
import { ErrorCode, OutpostError } from "./errors.ts";
import { maxMessageBytes } from "./limits.ts";
import type { MessageSocket, SocketEvents } from "./socket.ts";

/** Named at the upgrade, so that a server that speaks something else refuses early. */
const subprotocol = "outpost";

/** Close codes of RFC 6455, section 7.4.1. */
const normalClosure = 1000;
const unsupportedData = 1003;

const maxReasonBytes = 120;
const closeTimeoutMs = 5_000;

const wsOptions = {
  maxPayload: maxMessageBytes,
  perMessageDeflate: false,
  // We send binary only, and decode refuses text.
  skipUTF8Validation: true,
} as const;

function shorten(reason: string): string {
  return new TextDecoder().decode(Buffer.from(reason).subarray(0, maxReasonBytes)).replace(/\uFFFD+$/, "");
}

class WebSocketSocket implements MessageSocket {
  readonly #ws: WebSocket;
  readonly #stream: Duplex;
  #corked = false;
  #failure: string | undefined;

  /** @param stream the connection below, to join the small messages of one turn in one write */
  constructor(ws: WebSocket, stream: Duplex) {
    this.#ws = ws;
    this.#stream = stream;
  }

  get bufferedBytes(): number {
    return this.#ws.bufferedAmount;
  }

  start(events: SocketEvents): void {
    this.#ws.on("message", (data, isBinary) => {
      if (isBinary) events.message(data as Buffer);
      else this.#ws.close(unsupportedData, "binary messages only");
    });
    this.#ws.on("error", (error) => (this.#failure = error.message));
    this.#ws.on("close", (_code, reason) => {
      events.closed(reason.toString() || this.#failure || "the connection was cut");
    });
    this.#stream.on("drain", () => events.drained());
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
    this.#ws.send(message);
  }

  close(reason: string): void {
    this.#ws.close(normalClosure, shorten(reason));
    const timer = setTimeout(() => this.#ws.terminate(), closeTimeoutMs);
    timer.unref();
    this.#ws.on("close", () => clearTimeout(timer));
  }

  abort(): void {
    this.#ws.terminate();
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
}

/** What is wrong when a connection could not be made, in words, with what to look at. */
function dialError(url: string, error: Error & { code?: string }): OutpostError {
  const host = new URL(url).host;
  const data = { url, ...(error.code === undefined ? {} : { cause: error.code }) };
  const say = (code: ErrorCode, message: string): OutpostError =>
    new OutpostError(code, message, { cause: error, data });
  switch (error.code) {
    case "ECONNREFUSED":
      return say(ErrorCode.controllerUnreachable, `nothing listens at ${host}; is the controller running?`);
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return say(ErrorCode.controllerUnreachable, `the name in ${host} cannot be resolved`);
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "CERT_SIGNATURE_FAILURE":
      return say(
        ErrorCode.denied,
        `the server at ${host} is not signed by the CA we trust; it is another controller, or one set up anew`,
      );
    case "CERT_HAS_EXPIRED":
      return say(ErrorCode.denied, `the certificate of the server at ${host} has expired`);
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return say(
        ErrorCode.denied,
        `the certificate of the server at ${host} is for another name; use a name it was made for`,
      );
    case "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED":
    case "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE":
    case "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA":
    case "ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED":
      return say(ErrorCode.denied, `${host} does not accept our certificate`);
    default:
      return say(ErrorCode.controllerUnreachable, `cannot connect to ${host}: ${error.message}`);
  }
}

/** The server answered the upgrade with something else than 101. */
function refusal(url: string, response: IncomingMessage): OutpostError {
  const host = new URL(url).host;
  const said = response.headers["x-outpost-reason"];
  const reason = typeof said === "string" ? said : `HTTP ${String(response.statusCode)}`;
  const retryAfter = Number(response.headers["retry-after"]);
  const data = Number.isFinite(retryAfter) ? { retryAfterMs: retryAfter * 1000 } : {};
  switch (response.statusCode) {
    case 401:
    case 403:
      return new OutpostError(ErrorCode.denied, `${host} refused the connection: ${reason}`, { data });
    case 503:
      return new OutpostError(ErrorCode.busy, `${host} asks to come back later: ${reason}`, { data });
    default:
      return new OutpostError(ErrorCode.controllerUnreachable, `${host} refused the connection: ${reason}`, {
        data,
      });
  }
}

/**
 * Connects to a controller.
 * @throws OutpostError `controller_unreachable`, `denied`, `busy` (`data.retryAfterMs`), `timeout`, `cancelled`
 */
export function dialWebSocket(options: DialOptions): Promise<MessageSocket> {
  const { url, tls, signal, timeoutMs = 10_000 } = options;
  const { promise, resolve, reject } = Promise.withResolvers<MessageSocket>();
  const ws = new WebSocket(url, subprotocol, {
    ...wsOptions,
    ...tls,
    minVersion: "TLSv1.3",
    handshakeTimeout: timeoutMs,
    // The mask guards plaintext proxies against crafted payloads (RFC 6455, section 10.3). Below TLS there are none,
    // and a zero mask saves a pass over every byte: 660 instead of 367 MB/s.
    generateMask: (mask) => void mask.fill(0),
  });
  let stream: Socket | undefined;
  const onAbort = (): void => {
    reject(OutpostError.from(signal?.reason, ErrorCode.cancelled));
    ws.terminate();
  };
  const onError = (error: Error): void => reject(dialError(url, error));
  signal?.addEventListener("abort", onAbort);
  ws.on("error", onError);
  ws.on("unexpected-response", (_request, response) => {
    reject(refusal(url, response));
    ws.terminate();
  });
  ws.on("upgrade", (response) => (stream = response.socket));
  ws.on("open", () => {
    signal?.removeEventListener("abort", onAbort);
    // Nothing is read until somebody listens.
    ws.pause();
    ws.off("error", onError);
    resolve(new WebSocketSocket(ws, stream!));
  });
  if (signal?.aborted === true) onAbort();
  return promise.finally(() => signal?.removeEventListener("abort", onAbort));
}

/** Turns HTTP upgrade requests into message sockets. */
export class WebSocketAcceptor {
  readonly #server = new WebSocketServer({
    ...wsOptions,
    noServer: true,
    clientTracking: false,
    handleProtocols: (protocols) => (protocols.has(subprotocol) ? subprotocol : false),
  });

  /** Completes an upgrade. `ready` gets the socket; a request that is no WebSocket handshake is answered here. */
  accept(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    ready: (socket: MessageSocket) => void,
  ): void {
    this.#server.handleUpgrade(request, socket, head, (ws) => {
      ws.pause();
      ready(new WebSocketSocket(ws, socket));
    });
  }
}

/** Refuses an upgrade with a status that `dialWebSocket` understands on the other side. */
export function refuseUpgrade(
  socket: Duplex,
  status: 403 | 404 | 503,
  reason: string,
  retryAfterMs?: number,
): void {
  const retry =
    retryAfterMs === undefined ? "" : `Retry-After: ${String(Math.ceil(retryAfterMs / 1000))}\r\n`;
  // Header values are Latin-1 without controls.
  const text = reason.replace(/[^\x20-\x7e]/g, "?");
  socket.end(
    `HTTP/1.1 ${String(status)} Refused\r\nX-Outpost-Reason: ${text}\r\n${retry}Connection: close\r\nContent-Length: 0\r\n\r\n`,
  );
}
