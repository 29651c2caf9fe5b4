/** A controller of a few lines: real TLS, real WebSocket, real frames; enrols hosts and lets tests talk to agents. */
import { X509Certificate } from "node:crypto";
import { createServer, type Server } from "node:https";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { identityOf } from "@outpost/access";
import { type TestOperators, testOperators } from "@outpost/access/testing";
import {
  type CertificateRenewResult,
  controllerEnrolmentMethods,
  type EnrolParams,
  ErrorCode,
  enrolmentMethods,
  type MessageSocket,
  newHostId,
  OutpostError,
  Peer,
} from "@outpost/protocol";
import { refuseUpgrade, WebSocketAcceptor } from "@outpost/protocol/websocket";
import { TestAuthority } from "./authority.ts";
import { FakeSession, helloResult } from "./session.ts";

interface Kept {
  readonly closed: Promise<unknown>;
  close(reason: string): Promise<void>;
}

export class FakeController implements AsyncDisposable {
  /** Signs hosts' certificates, and has signed the server's unless `serveAs` was called. */
  authority: TestAuthority;
  readonly operators: TestOperators;
  /** What hosts are told to believe. Default: the CA that signs. */
  bundle: string | undefined;
  /** What hosts are told of operators. Default: the authority of `operators`. */
  shownOperators: string | undefined;
  /** Whether new hosts begin in quarantine. */
  quarantined = false;
  /** How long hosts' certificates are valid, in days. They begin a day ago. */
  days = 5;
  /** Every `certificate.renew` that came. */
  readonly renewals: string[] = [];
  readonly #server: Server;
  readonly #acceptor = new WebSocketAcceptor();
  readonly #peers = new Set<{ close(reason: string): Promise<void> }>();
  readonly #waiting: ((session: FakeSession) => void)[] = [];
  readonly #sessions: FakeSession[] = [];
  /** Every `enrol` that came. */
  readonly enrolments: EnrolParams[] = [];
  /** When set, `enrol` and `certificate.renew` answer with this error. */
  refusal: OutpostError | undefined;
  /** How many answers to `enrol` are lost: the connection is cut instead. */
  loseAnswers = 0;
  /** When set, upgrades are refused with HTTP 403 and this reason. */
  refuseUpgrades: string | undefined;

  private constructor(authority: TestAuthority, operators: TestOperators, server: Server) {
    this.authority = authority;
    this.operators = operators;
    this.#server = server;
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (this.refuseUpgrades !== undefined) refuseUpgrade(socket, 403, this.refuseUpgrades);
      else this.#acceptor.accept(request, socket, head, (ready) => this.#accept(request, ready));
    });
  }

  /** @param shown the CA whose certificate the server shows beside its own; default the one that signed it */
  static async start(shown?: TestAuthority): Promise<FakeController> {
    const authority = await TestAuthority.create();
    const { key, certificate } = await authority.issueServer();
    const server = createServer({
      key,
      cert: certificate + "\n" + (shown ?? authority).certificate,
      ca: authority.certificate,
      minVersion: "TLSv1.3",
      requestCert: true,
      rejectUnauthorized: false,
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new FakeController(authority, await testOperators(), server);
  }

  /** A token for a host. */
  token(secret?: Buffer): string {
    return this.authority.token(this.operators.authority, secret);
  }

  /** From now on the server's certificate comes from this CA, and those of both are accepted. */
  async serveAs(authority: TestAuthority): Promise<void> {
    const { key, certificate } = await authority.issueServer();
    const ca = [authority.certificate, this.authority.certificate];
    this.#server.setSecureContext({ key, cert: certificate, ca, minVersion: "TLSv1.3" });
  }

  /** A certificate for a host, and whom it is to believe. */
  async issue(request: string, name: string, host: string): Promise<CertificateRenewResult> {
    return {
      certificate: await this.authority.issueHost(request, name, host, this.days),
      authority: this.bundle ?? this.authority.certificate,
      operators: this.shownOperators ?? this.operators.authority,
    };
  }

  get url(): string {
    const { port } = this.#server.address() as { port: number };
    return `wss://127.0.0.1:${String(port)}`;
  }

  /** The next agent that connects, or one that has and was not asked for yet. */
  session(): Promise<FakeSession> {
    const session = this.#sessions.shift();
    if (session !== undefined) return Promise.resolve(session);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await Promise.all([...this.#peers].map((peer) => peer.close("the test is over")));
    this.#server.closeAllConnections();
  }

  #accept(request: IncomingMessage, socket: MessageSocket): void {
    if (request.url === "/enrol") {
      const peer: { abort(error: OutpostError): void } & Kept = new Peer(socket, {
        local: controllerEnrolmentMethods,
        remote: enrolmentMethods,
        handlers: {
          hello: () => helloResult("new"),
          enrol: (params) => {
            if (this.loseAnswers-- > 0) peer.abort(new OutpostError(ErrorCode.disconnected, "cut"));
            return this.#enrol(params);
          },
        },
      });
      this.#keep(peer);
      return;
    }
    const tls = request.socket as TLSSocket;
    const session = new FakeSession(socket, tls.authorized ? undefined : "the certificate is not ours");
    const own = new X509Certificate(tls.getPeerCertificate().raw);
    session.certificate = own;
    session.renew = async ({ request: asked }) => {
      this.renewals.push(asked);
      if (this.refusal !== undefined) throw this.refusal;
      const identity = identityOf(own);
      return this.issue(asked, own.subject.slice("CN=".length), identity?.id ?? "");
    };
    this.#keep(session.peer);
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#sessions.push(session);
    else waiting(session);
  }

  #keep(peer: Kept): void {
    this.#peers.add(peer);
    void peer.closed.then(() => this.#peers.delete(peer));
  }

  async #enrol(params: EnrolParams) {
    this.enrolments.push(params);
    if (this.refusal !== undefined) throw this.refusal;
    const host = newHostId();
    const { name, labels, request } = params;
    const { quarantined } = this;
    return { host, name, labels, quarantined, ...(await this.issue(request, name, host)) };
  }
}
