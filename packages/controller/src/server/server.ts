/**
 * The one port: HTTPS with TLS 1.3, every connection a WebSocket. Which path a client may take is decided by its
 * certificate, at the upgrade:
 *
 *     /enrol      no certificate; a token decides later
 *     /agent      a host's certificate of our CA, and the host is in the catalogue
 *     /operator   an operator's certificate of our CA, and the operator is in the catalogue
 */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { ErrorCode, type MessageSocket, OutpostError } from "@outpost/protocol";
import { refuseUpgrade, WebSocketAcceptor } from "@outpost/protocol/websocket";
import type { Admission } from "./admission.ts";
import type { Credentials } from "./authority.ts";
import { identityOf, type Identity } from "./identity.ts";

/** All suites of TLS 1.3, the one with the least work first: output is most of what we carry, and 128 bits are enough. */
const ciphers = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

const handshakeTimeoutMs = 10_000;

/** Who comes in through which door. */
export type Visitor = Identity | { readonly kind: "newcomer" };

export interface ServerOptions {
  readonly credentials: Credentials;
  /** The CA's certificate, PEM. */
  readonly authority: string;
  readonly admission: Admission;
  /** Whether the catalogue knows this identity. */
  readonly isKnown: (identity: Identity) => boolean;
  /** A visitor has come in. `greeted` gives its place among those who arrive back; the socket's end does, too. */
  readonly accept: (visitor: Visitor, socket: MessageSocket, greeted: () => void) => void;
}

interface Refusal {
  readonly status: 403 | 404;
  readonly reason: string;
}

export class ControllerServer {
  readonly #options: ServerOptions;
  readonly #server: Server;
  readonly #acceptor = new WebSocketAcceptor();
  readonly #sockets = new Set<Socket>();

  constructor(options: ServerOptions) {
    this.#options = options;
    const { credentials, authority, admission } = options;
    this.#server = createServer(
      {
        // With the CA's certificate: a host that enrols compares it with its token.
        cert: credentials.certificate + authority,
        key: credentials.key,
        ca: authority,
        minVersion: "TLSv1.3",
        ciphers,
        requestCert: true,
        // Decided at the upgrade, where the refusal can say why.
        rejectUnauthorized: false,
        handshakeTimeout: handshakeTimeoutMs,
        headersTimeout: handshakeTimeoutMs,
        requestTimeout: handshakeTimeoutMs,
        maxHeaderSize: 8 * 1024,
      },
      (_request, response) => {
        response.writeHead(426, { Upgrade: "websocket", "Content-Type": "text/plain", Connection: "close" });
        response.end("This is an Outpost controller. It speaks WebSocket to agents and operators only.\n");
      },
    );
    this.#server.prependListener("connection", (socket: Socket) => this.#onConnection(socket));
    this.#server.on("secureConnection", () => admission.handshakeEnded());
    this.#server.on("tlsClientError", () => admission.handshakeEnded());
    this.#server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.#onUpgrade(request, socket, head),
    );
  }

  /** Resolves with the port. @throws OutpostError `conflict` when the port is in use, `denied` when it may not be used */
  async listen(host: string, port: number): Promise<number> {
    this.#server.listen(port, host);
    try {
      await once(this.#server, "listening");
    } catch (error) {
      throw listenError(host, port, error as NodeJS.ErrnoException);
    }
    return (this.#server.address() as AddressInfo).port;
  }

  /** Takes no more connections. Those that are upgraded are their peers' to close. */
  stop(): void {
    this.#server.close();
  }

  /** Ends what is left: handshakes that hang. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #onConnection(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // The listeners behind us find it destroyed, and report a failed handshake.
    if (!this.#options.admission.handshakeBegun()) socket.destroy();
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Until the WebSocket has it, a reset would be an uncaught error.
    const ignore = (): void => {};
    socket.on("error", ignore);
    const visitor = this.#visitor(request);
    if ("reason" in visitor) {
      refuseUpgrade(socket, visitor.status, visitor.reason);
      return;
    }
    const { admission, accept } = this.#options;
    const greeted = visitor.kind === "newcomer" ? admission.enrol() : admission.greet();
    if (greeted === undefined) {
      refuseUpgrade(socket, 503, "too many connections are arriving at once", admission.retryAfterMs());
      return;
    }
    // A request that is no WebSocket handshake is answered and closed by the acceptor.
    socket.once("close", greeted);
    this.#acceptor.accept(request, socket, head, (messages) => {
      socket.off("error", ignore);
      accept(visitor, messages, () => {
        socket.off("close", greeted);
        greeted();
      });
    });
  }

  #visitor(request: IncomingMessage): Visitor | Refusal {
    const path = (request.url ?? "").split("?", 1)[0];
    switch (path) {
      case "/enrol":
        return { kind: "newcomer" };
      case "/agent":
        return this.#identified(request.socket as TLSSocket, "host");
      case "/operator":
        return this.#identified(request.socket as TLSSocket, "operator");
      default:
        return {
          status: 404,
          reason: "there is nothing at this path; the controller has /agent, /operator and /enrol",
        };
    }
  }

  #identified(socket: TLSSocket, kind: Identity["kind"]): Identity | Refusal {
    const refuse = (reason: string): Refusal => ({ status: 403, reason });
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return refuse(`a client certificate is needed here, and none was shown`);
    if (!socket.authorized) return refuse(unauthorisedReason(String(socket.authorizationError)));
    const identity = identityOf(certificate);
    if (identity === undefined) return refuse("the client certificate names no host and no operator");
    if (identity.kind !== kind) {
      const article = { host: "a host's", operator: "an operator's" };
      return refuse(`the client certificate is ${article[identity.kind]}; ${article[kind]} is needed here`);
    }
    if (!this.#options.isKnown(identity)) {
      return refuse(`the ${identity.kind} ${identity.id} is not in this controller's catalogue (any more)`);
    }
    return identity;
  }
}

/** @param code as OpenSSL names it, https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/ */
function unauthorisedReason(code: string): string {
  switch (code) {
    case "CERT_HAS_EXPIRED":
      return "the client certificate has expired";
    case "CERT_NOT_YET_VALID":
      return "the client certificate is not valid yet; is a clock wrong?";
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "CERT_SIGNATURE_FAILURE":
      return "the client certificate was not signed by this controller's CA; was it made for another controller, or this one set up anew?";
    case "INVALID_PURPOSE":
      return "the certificate is not one for clients";
    default:
      return `the client certificate is not accepted (${code})`;
  }
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
