/** A controller over real TLS that answers what a test says: lets in operators of one authority, each with the first key that
 * it was shown, as the real one does. */
import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import {
  createRoot,
  type Credentials,
  generateKeys,
  Issuer,
  type OperatorIdentity,
  OperatorsAuthority,
  verifyOperatorChain,
} from "@outpost/access";
import {
  chainHeader,
  chainOfHeader,
  controllerOperatorMethods,
  ErrorCode,
  type Handlers,
  type HelloResult,
  operatorMethods,
  OutpostError,
  Peer,
} from "@outpost/protocol";
import { refuseUpgrade, WebSocketAcceptor } from "@outpost/protocol/websocket";
import type { Context } from "../context.ts";
import { testOperator } from "./operator.ts";

type Methods = typeof controllerOperatorMethods;
export type OperatorHandlers = { -readonly [K in keyof Handlers<Methods>]?: Handlers<Methods>[K] };

export class TlsController implements AsyncDisposable {
  readonly operators: OperatorsAuthority;
  /** The CA of its own certificate. */
  readonly root: Credentials;
  handlers: OperatorHandlers;
  /** What is said to an operator beside the usual. */
  hello: Partial<HelloResult> = {};
  /** Why nobody is let in; undefined: they are. */
  refusal: string | undefined;
  /** Who was let in, by id. */
  readonly keys = new Map<string, string>();
  connections = 0;
  readonly #server: Server;
  readonly #peers = new Set<Peer<Methods, typeof operatorMethods>>();

  private constructor(
    operators: OperatorsAuthority,
    root: Credentials,
    server: Server,
    handlers: OperatorHandlers,
  ) {
    this.operators = operators;
    this.root = root;
    this.#server = server;
    this.handlers = handlers;
  }

  static async start(handlers: OperatorHandlers = {}): Promise<TlsController> {
    const [operators, root] = await Promise.all([
      OperatorsAuthority.create(),
      createRoot("Outpost test", 1, 0),
    ]);
    const { publicKey, key } = await generateKeys();
    const certificate = await new Issuer(root).issue({
      name: "controller",
      publicKey,
      usage: "serverAuth",
      alternativeNames: [{ type: "ip", value: "127.0.0.1" }],
      days: 1,
    });
    const server = createServer({
      cert: certificate,
      key,
      ca: operators.credentials.certificate,
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: "TLSv1.3",
    });
    const controller = new TlsController(operators, root, server, handlers);
    controller.#accept();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return controller;
  }

  get url(): string {
    return `wss://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  /** The context of a new operator. */
  async context(): Promise<Context> {
    const { context } = await testOperator(this.operators);
    return { ...context, controller: this.url, authority: this.root.certificate };
  }

  /** The SHA-256 of the operators' authority's certificate, as tokens hold it. */
  get operatorsFingerprint(): Buffer {
    return createHash("sha256")
      .update(new X509Certificate(this.operators.credentials.certificate).raw)
      .digest();
  }

  /** Ends every connection, without a word. */
  cut(): void {
    for (const peer of this.#peers) peer.abort(new OutpostError(ErrorCode.disconnected, "cut"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  #accept(): void {
    const acceptor = new WebSocketAcceptor();
    this.#server.on("upgrade", (request, socket, head: Buffer) => {
      socket.on("error", () => {});
      let identity: OperatorIdentity;
      try {
        const leaf = (request.socket as TLSSocket).getPeerX509Certificate()!;
        identity = this.#admit([leaf.raw, ...chainOfHeader(request.headers[chainHeader])]);
      } catch (error) {
        refuseUpgrade(socket, 403, OutpostError.from(error).message);
        return;
      }
      acceptor.accept(request, socket, head, (messages) => {
        this.connections++;
        const peer: Peer<Methods, typeof operatorMethods> = new Peer(messages, {
          local: controllerOperatorMethods,
          remote: operatorMethods,
          handlers: {
            hello: () => ({
              version: 2,
              software: "scripted",
              maxMessageBytes: 1 << 20,
              name: identity.name,
              time: Date.now(),
              ...this.hello,
            }),
            ...this.handlers,
          } as Handlers<Methods>,
        });
        this.#peers.add(peer);
      });
    });
  }

  /** @throws OutpostError `denied` */
  #admit(certificates: readonly Uint8Array[]): OperatorIdentity {
    if (this.refusal !== undefined) throw new OutpostError(ErrorCode.denied, this.refusal);
    const authority = new X509Certificate(this.operators.credentials.certificate);
    const identity = verifyOperatorChain(certificates, [authority], Date.now());
    const known = this.keys.get(identity.id) ?? identity.key;
    if (known !== identity.key)
      throw new OutpostError(ErrorCode.denied, "this sign-in bundle was used already");
    this.keys.set(identity.id, known);
    return identity;
  }
}
