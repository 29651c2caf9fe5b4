/**
 * The one port: HTTPS with TLS 1.3, every connection a WebSocket. Which path a client may take is decided at the upgrade
 * (`doors.ts`), where a refusal can say why.
 *
 *     TCP ──▶ (a place is free) ──▶ TLS handshake ──▶ upgrade request ──▶ WebSocket ──▶ hello
 *     └─ waiting-room.ts ─────┘ └─ arrivalTimeoutMs, maxHandshakes ─┘             └─ the peer's business
 */
import { constants, type X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server as TcpServer,
  type Socket,
} from "node:net";
import type { Duplex } from "node:stream";
import type { SecureContextOptions, TLSSocket } from "node:tls";
import type { Credentials } from "@outpost/access";
import { chainHeader, ErrorCode, type MessageSocket, OutpostError } from "@outpost/protocol";
import { refuseUpgrade, WebSocketAcceptor } from "@outpost/protocol/websocket";
import type { Admission } from "./admission.ts";
import type { Caller, Visitor } from "./doors.ts";
import { noObserver, type Observer, type RefusedFor } from "./observer.ts";
import { WaitingRoom, type WaitingRoomOptions } from "./waiting-room.ts";

/** All suites of TLS 1.3, the one with the least work first: output is most of what we carry, and 128 bits are enough. */
const ciphers = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

/** What a host that enrols may say at once, in bytes: its hello and its request are a few kilobytes. Who has no
 * certificate yet MUST NOT make us hold more. */
const maxNewcomerMessageBytes = 64 * 1024;

/** The server's certificate, and whom it believes. */
export interface ServerTrust {
  readonly credentials: Credentials;
  /** The CA that has signed it, PEM; shown beside it, so that a host that enrols compares it with its token. */
  readonly authority: string;
  /** From which authorities certificates of clients may come, PEM. */
  readonly authorities: readonly string[];
}

export interface ServerOptions {
  readonly trust: ServerTrust;
  readonly admission: Admission;
  readonly waiting: Pick<WaitingRoomOptions, "maxWaiting" | "maxWaitingPerNetwork" | "waitTimeoutMs">;
  /** How long a connection may take to its upgrade request, in milliseconds. */
  readonly arrivalTimeoutMs: number;
  /** Lets a caller in. @throws OutpostError `denied`, `not_found` */
  readonly admit: (caller: Caller) => Visitor;
  /** A visitor has come in. `greeted` gives its place among those who arrive back; the socket's end does, too. */
  readonly accept: (visitor: Visitor, socket: MessageSocket, greeted: () => void) => void;
  /** Told of faults of ours while somebody was let in. */
  readonly fault: (error: unknown) => void;
  /** Answers a request that is no upgrade; `undefined`: there is nothing at that path. */
  readonly page?: (caller: Caller) => Promise<Page | undefined>;
  /** Default: nobody. */
  readonly observer?: Observer;
}

/** What a plain HTTPS request gets. */
export interface Page {
  readonly status: 200 | 403 | 404 | 503;
  readonly type: string;
  readonly text: string;
}

/** A connection that has not asked for its upgrade yet. */
interface Arrival {
  readonly socket: Socket;
  /** It has asked, or is gone. */
  readonly end: () => void;
}

export class ControllerServer {
  readonly #options: ServerOptions;
  readonly #observer: Observer;
  /** What listens: TLS begins when a connection has a place. */
  readonly #listener: TcpServer;
  readonly #server: Server;
  readonly #waiting: WaitingRoom;
  readonly #acceptor = new WebSocketAcceptor();
  readonly #newcomerAcceptor = new WebSocketAcceptor(maxNewcomerMessageBytes);
  readonly #sockets = new Set<Socket>();
  /** By the address and port of the other side: what TLS hands out is another socket than the one that came. */
  readonly #arrivals = new Map<string, Arrival>();

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#observer = options.observer ?? noObserver;
    this.#server = createServer(
      {
        ...secureContext(options.trust),
        requestCert: true,
        // Decided at the upgrade, where the refusal can say why.
        rejectUnauthorized: false,
        // Both of these start anew with every byte that comes; the timer of an arrival does not.
        handshakeTimeout: options.arrivalTimeoutMs,
        requestTimeout: options.arrivalTimeoutMs,
        headersTimeout: options.arrivalTimeoutMs,
        maxHeaderSize: 8 * 1024,
      },
      (request, response) => void this.#onRequest(request, response),
    );
    this.#listener = createTcpServer({ pauseOnConnect: true, noDelay: true }, (socket) =>
      this.#onConnection(socket),
    );
    this.#waiting = new WaitingRoom({
      ...options.waiting,
      enter: (socket) => this.#begin(socket),
      expired: (socket) => {
        this.#observer.refused("timeout");
        socket.destroy();
      },
    });
    this.#server.on("tlsClientError", ({ code }: NodeJS.ErrnoException) => {
      // Who goes away in mid-handshake was not refused, and neither was who we cut off: that is counted where it is done.
      if (code !== "ECONNRESET") this.#observer.refused("tls");
    });
    this.#server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.#onUpgrade(request, socket, head),
    );
  }

  /** Shows another certificate, and believes others, from the next connection on. Those that are there go on. */
  renew(trust: ServerTrust): void {
    this.#server.setSecureContext(secureContext(trust));
  }

  /** Resolves with the port. @throws OutpostError `conflict` when the port is in use, `denied` when it may not be used */
  async listen(host: string, port: number): Promise<number> {
    this.#listener.listen(port, host);
    try {
      await once(this.#listener, "listening");
    } catch (error) {
      throw listenError(host, port, error as NodeJS.ErrnoException);
    }
    return (this.#listener.address() as AddressInfo).port;
  }

  /** Takes no more connections. Those that are upgraded are their peers' to close. */
  stop(): void {
    this.#listener.close();
    this.#waiting.clear();
  }

  /** Ends what is left: handshakes that hang. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #onConnection(socket: Socket): void {
    // Whoever waits has waited longer; but of one network the newest comes first anyhow.
    if (this.#begin(socket) || this.#waiting.take(socket)) return;
    this.#observer.refused("handshakes");
    socket.destroy();
  }

  /** Begins the handshake, if there is a place for it. */
  #begin(socket: Socket): boolean {
    const { admission, arrivalTimeoutMs } = this.#options;
    const leave = admission.handshake(socket.remoteAddress);
    if (leave === undefined) return false;
    const caller = callerOf(socket);
    const timer = setTimeout(() => {
      this.#observer.refused("timeout");
      socket.destroy();
    }, arrivalTimeoutMs);
    const end = (): void => {
      leave();
      clearTimeout(timer);
      this.#arrivals.delete(caller);
      this.#waiting.call();
    };
    this.#sockets.add(socket);
    this.#arrivals.set(caller, { socket, end });
    socket.once("close", () => {
      this.#sockets.delete(socket);
      // Its port may have been taken by another one meanwhile.
      if (this.#arrivals.get(caller)?.socket === socket) end();
      else leave();
      clearTimeout(timer);
      this.#waiting.call();
    });
    this.#server.emit("connection", socket);
    return true;
  }

  /** Not an agent, not an operator of ours: a browser, a probe, a program that collects metrics. */
  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { page: pageOf, fault } = this.#options;
    const isRead = request.method === "GET" || request.method === "HEAD";
    const page = isRead
      ? await pageOf?.(callerIn(request)).catch((error: unknown): Page => {
          fault(error);
          return { status: 503, type: "text/plain", text: "a fault of the controller; its log says more\n" };
        })
      : undefined;
    const { status, type, text } = page ?? noPage;
    const upgrade = status === 426 ? { Upgrade: "websocket" } : {};
    response.writeHead(status, { ...upgrade, "Content-Type": type, Connection: "close" });
    response.end(text);
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { admission, accept } = this.#options;
    // Until the WebSocket has it, a reset would be an uncaught error.
    const ignore = (): void => {};
    socket.on("error", ignore);
    const visitor = this.#admit(request, socket);
    if (visitor === undefined) return;
    const isNewcomer = visitor.kind === "newcomer";
    const greeted = isNewcomer
      ? admission.enrol(request.socket.remoteAddress)
      : admission.greet(visitor.kind, visitor.kind === "host" ? visitor.host.id : visitor.operator.id);
    if (greeted === undefined) {
      this.#observer.refused(isNewcomer ? "enrolments" : "greetings");
      refuseUpgrade(socket, 503, "too many connections are arriving at once", admission.retryAfterMs());
      return;
    }
    const left = (): void => {
      greeted();
      this.#waiting.call();
    };
    // A request that is no WebSocket handshake is answered and closed by the acceptor.
    socket.once("close", left);
    const acceptor = isNewcomer ? this.#newcomerAcceptor : this.#acceptor;
    acceptor.accept(request, socket, head, (messages) => {
      this.#arrivals.get(callerOf(request.socket))?.end();
      socket.off("error", ignore);
      this.#observer.accepted(visitor.kind);
      accept(visitor, messages, () => {
        socket.off("close", left);
        left();
      });
    });
  }

  /** `undefined`: it was refused. It is still arriving then, until it has taken the refusal. */
  #admit(request: IncomingMessage, socket: Duplex): Visitor | undefined {
    try {
      return this.#options.admit(callerIn(request));
    } catch (error) {
      if (!(error instanceof OutpostError)) this.#options.fault(error);
      const { code, message } = OutpostError.from(error);
      this.#observer.refused(refusedFor(code));
      refuseUpgrade(socket, statusOf(code), message, this.#options.admission.retryAfterMs());
      return undefined;
    }
  }
}

const noPage = {
  status: 426,
  type: "text/plain",
  text: "This is an Outpost controller. It speaks WebSocket to agents and operators only.\n",
} as const;

function callerIn(request: IncomingMessage): Caller {
  return {
    path: (request.url ?? "").split("?", 1)[0]!,
    certificate: certificateOf(request.socket as TLSSocket),
    chain: request.headers[chainHeader],
    isVerified: (request.socket as TLSSocket).authorized,
  };
}

function refusedFor(code: ErrorCode): RefusedFor {
  if (code === ErrorCode.denied) return "denied";
  return code === ErrorCode.notFound ? "unknown_path" : "fault";
}

function secureContext({ credentials, authority, authorities }: ServerTrust): SecureContextOptions {
  return {
    cert: credentials.certificate + authority,
    key: credentials.key,
    ca: [...authorities],
    minVersion: "TLSv1.3",
    ciphers,
    // No tickets: who resumes a session shows no certificate, and the one that the session remembers may have ended, or
    // its CA may not be trusted any more. Our clients do not resume anyway.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

/** The certificate of the other side. TLS has verified that it has the key, and not more than that is relied upon. */
function certificateOf(socket: TLSSocket): X509Certificate | undefined {
  return socket.getPeerX509Certificate();
}

function callerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? ""} ${String(remotePort)}`;
}

function statusOf(code: ErrorCode): 403 | 404 | 503 {
  if (code === ErrorCode.denied) return 403;
  return code === ErrorCode.notFound ? 404 : 503;
}

function listenError(host: string, port: number, error: NodeJS.ErrnoException): OutpostError {
  const where = `${host}:${String(port)}`;
  const say = (code: ErrorCode, message: string): OutpostError =>
    new OutpostError(code, message, { cause: error });
  switch (error.code) {
    case "EADDRINUSE":
      return say(ErrorCode.conflict, `${where} is in use; does a controller run already?`);
    case "EACCES":
      return say(ErrorCode.denied, `this user may not listen at ${where}`);
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return say(ErrorCode.invalidArgument, `${host} is not an address of this machine`);
    default:
      return say(ErrorCode.internal, `cannot listen at ${where}: ${error.message}`);
  }
}
