/** A controller as it is: its own directory, TLS on loopback, operators and hosts with certificates. For tests. */
import { createPrivateKey, webcrypto } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  acceptInvitation,
  type Credentials,
  generateKeys,
  type Identity,
  identityUrn,
  Issuer,
  OperatorsAuthority,
} from "@outpost/access";
import {
  controllerEnrolmentMethods,
  controllerOperatorMethods,
  type EnrolParams,
  type EnrolResult,
  enrolmentMethods,
  type Facts,
  type Goodbye,
  type MessageSocket,
  operatorMethods,
  OperatorName,
  type OutpostError,
  Peer,
  supportedVersions,
  type TokenCreateParams,
} from "@outpost/protocol";
import { dialWebSocket } from "@outpost/protocol/websocket";
import "reflect-metadata";
import { Pkcs10CertificateRequestGenerator } from "@peculiar/x509";
import { pino } from "pino";
import * as v from "valibot";
import {
  type Controller,
  initController,
  type InitControllerResult,
  startController,
  type StartControllerOptions,
} from "../index.ts";
import type { ControllerSettings } from "../settings.ts";
import type { OperatorClient } from "./bench.ts";
import { FakeAgent, fakeFacts } from "./fake-agent.ts";

export const hello = { versions: supportedVersions, software: "test", maxMessageBytes: 1 << 20 };

const log = pino({ level: "silent" });

/** A key, and the request for its certificate. */
export async function hostKey(): Promise<{ request: string; key: string }> {
  const keys = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: "CN=x",
    keys,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
  });
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" }).export({
    format: "pem",
    type: "pkcs8",
  });
  return { request: request.toString("pem"), key: key.toString() };
}

/** What whoever has a CA's key can make: a certificate that says anything. */
export async function forge(
  root: Credentials,
  identity: Identity,
  { name = "mallory", days = 1 }: { name?: string; days?: number } = {},
): Promise<Credentials> {
  const { publicKey, key } = await generateKeys();
  const alternativeNames = [{ type: "url", value: identityUrn(identity) } as const];
  const certificate = await new Issuer(root).issue({
    name,
    publicKey,
    usage: "clientAuth",
    alternativeNames,
    days,
  });
  return { certificate, key };
}

/** What else it may be started with. */
type MoreOptions = Pick<StartControllerOptions, "metrics" | "env">;

export interface JoinedHost extends Credentials {
  readonly answer: EnrolResult;
}

export class RealController implements AsyncDisposable {
  readonly directory: string;
  readonly init: InitControllerResult;
  readonly goodbyes: v.InferOutput<typeof Goodbye>[] = [];
  #controller: Controller;
  readonly #settings: Partial<ControllerSettings>;
  readonly #more: MoreOptions;

  private constructor(
    directory: string,
    init: InitControllerResult,
    controller: Controller,
    settings: Partial<ControllerSettings>,
    more: MoreOptions,
  ) {
    this.directory = directory;
    this.init = init;
    this.#controller = controller;
    this.#settings = settings;
    this.#more = more;
  }

  static async create(
    settings: Partial<ControllerSettings> = {},
    more: MoreOptions = {},
  ): Promise<RealController> {
    const directory = join(await mkdtemp(join(tmpdir(), "outpost-server-")), "controller");
    const init = await initController({
      directory,
      names: ["localhost", "127.0.0.1"],
      operatorName: "alice",
    });
    return new RealController(directory, init, await start(directory, settings, more), settings, more);
  }

  get controller(): Controller {
    return this.#controller;
  }

  get port(): number {
    return this.#controller.port;
  }

  url(path: string): string {
    return `wss://127.0.0.1:${String(this.port)}${path}`;
  }

  async stop(): Promise<void> {
    await this.#controller[Symbol.asyncDispose]();
  }

  async restart(): Promise<void> {
    await this.stop();
    this.#controller = await start(this.directory, this.#settings, this.#more);
  }

  read(file: string): Promise<string> {
    return readFile(join(this.directory, file), "utf8");
  }

  /** The CA with its key, as a thief of the directory has it. */
  async authority(): Promise<Credentials> {
    return { certificate: await this.read("ca.crt"), key: await this.read("ca.key") };
  }

  dial(path: string, client?: Credentials, ca = this.init.authority): Promise<MessageSocket> {
    const own = client === undefined ? {} : { cert: client.certificate, key: client.key };
    return dialWebSocket({ url: this.url(path), tls: { ca, ...own } });
  }

  /** Why a connection is refused. @throws when it is not */
  refusal(path: string, client?: Credentials, ca?: string): Promise<OutpostError> {
    return this.dial(path, client, ca).then(
      (socket) => {
        socket.abort();
        throw new Error("it was accepted");
      },
      (error: unknown) => error as OutpostError,
    );
  }

  /** An operator's connection, after its hello. */
  async operator(client: Credentials = this.init.operator, ca?: string): Promise<OperatorClient> {
    const peer = new Peer(await this.dial("/operator", client, ca), {
      local: operatorMethods,
      remote: controllerOperatorMethods,
      handlers: { goodbye: (params) => void this.goodbyes.push(params) },
    });
    await peer.request("hello", hello);
    return peer;
  }

  /** Asks one thing as the first operator. */
  async ask<T>(question: (client: OperatorClient) => Promise<T>): Promise<T> {
    const client = await this.operator();
    try {
      return await question(client);
    } finally {
      await client.close("done");
    }
  }

  /** Adds an operator as the CLI does. @returns the invitation, and what it takes to sign in with it */
  async invite(text: string, ttlMs = 60_000) {
    const name = v.parse(OperatorName, text);
    const { added } = await this.ask((client) => client.request("operator.add", { name, ttlMs }));
    const owner = { id: added.id, name };
    const invitation = await new OperatorsAuthority(this.init.operators).invite(owner);
    return { added, owner, invitation, signIn: () => acceptInvitation(invitation, owner) };
  }

  /** A token's secret. */
  async secret(more: Partial<TokenCreateParams> = {}): Promise<string> {
    const params = { ttlMs: 60_000, uses: 1, ...more };
    const { token } = await this.ask((client) => client.request("token.create", params));
    return secretOf(token);
  }

  async enrol(
    params: Pick<EnrolParams, "secret" | "request"> & {
      name: string;
      labels?: Record<string, string>;
      facts?: Facts;
    },
    ca?: string,
  ): Promise<EnrolResult> {
    const peer = new Peer(await this.dial("/enrol", undefined, ca), {
      local: enrolmentMethods,
      remote: controllerEnrolmentMethods,
      handlers: {},
    });
    try {
      await peer.request("hello", hello);
      return await peer.request("enrol", { labels: { role: "web" }, facts: fakeFacts, ...params });
    } finally {
      await peer.close("done");
    }
  }

  /** Enrols a host. @param more of its token */
  async join(name: string, more: Partial<TokenCreateParams> = {}, ca?: string): Promise<JoinedHost> {
    const { request, key } = await hostKey();
    const answer = await this.enrol({ secret: await this.secret(more), name, request }, ca);
    return { answer, certificate: answer.certificate, key };
  }

  /** An agent's connection. */
  async agent(client: Credentials, agent = new FakeAgent(), ca?: string) {
    return agent.connect(await this.dial("/agent", client, ca));
  }

  /** The audit log, the oldest line first. */
  async audited(): Promise<
    { action: string; message?: string; subject?: string; operator?: string; hosts?: string[] }[]
  > {
    const text = await this.read(join("audit", "audit.ndjson"));
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as { action: string });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(join(this.directory, ".."), { recursive: true });
  }
}

/** The secret of a token's text, as a host sends it. */
export function secretOf(token: string): string {
  return Buffer.from(token.slice("outpost2_".length), "base64url").subarray(64).toString("base64url");
}

function start(
  directory: string,
  settings: Partial<ControllerSettings>,
  more: MoreOptions,
): Promise<Controller> {
  return startController({ directory, host: "127.0.0.1", port: 0, log, settings, ...more });
}
