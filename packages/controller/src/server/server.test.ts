/** The real thing on loopback: TLS 1.3, certificates, enrolment, refusals, shutdown. */
import { createPrivateKey, webcrypto } from "node:crypto";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  controllerEnrolmentMethods,
  controllerOperatorMethods,
  type EnrolResult,
  enrolmentMethods,
  newOperatorId,
  operatorMethods,
  type OutpostError,
  Peer,
  supportedVersions,
} from "@outpost/protocol";
import { dialWebSocket } from "@outpost/protocol/websocket";
import "reflect-metadata";
import { Pkcs10CertificateRequestGenerator } from "@peculiar/x509";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Authority, type Credentials } from "./authority.ts";
import { type Controller, initController, type InitControllerResult, startController } from "./index.ts";
import { startParams } from "./testing/bench.ts";
import { FakeAgent, fakeFacts } from "./testing/fake-agent.ts";

const log = pino({ level: "silent" });
const hello = { versions: supportedVersions, software: "test", maxMessageBytes: 1 << 20 };

let directory: string;
let init: InitControllerResult;
let controller: Controller;

beforeAll(async () => {
  directory = join(await mkdtemp(join(tmpdir(), "outpost-server-")), "controller");
  init = await initController({ directory, names: ["localhost", "127.0.0.1"], operatorName: "alice" });
  controller = await startController({ directory, host: "127.0.0.1", port: 0, log });
});
afterAll(async () => {
  await controller[Symbol.asyncDispose]();
  await rm(join(directory, ".."), { recursive: true });
});

const url = (path: string): string => `wss://127.0.0.1:${String(controller.port)}${path}`;

function dial(path: string, client?: Credentials, ca = init.authority) {
  const own = client === undefined ? {} : { cert: client.certificate, key: client.key };
  return dialWebSocket({ url: url(path), tls: { ca, ...own } });
}

async function operator(client: Credentials = init.operator) {
  const peer = new Peer(await dial("/operator", client), {
    local: operatorMethods,
    remote: controllerOperatorMethods,
    handlers: { goodbye: (params) => void goodbyes.push(params) },
  });
  await peer.request("hello", hello);
  return peer;
}
const goodbyes: { reason: string; retryAfterMs: number }[] = [];

async function hostKey(): Promise<{ request: string; key: string }> {
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

async function secret(
  options: { ttlMs: number; uses: number } = { ttlMs: 60_000, uses: 1 },
): Promise<string> {
  const peer = await operator();
  const { token } = await peer.request("token.create", options);
  await peer.close("done");
  const bytes = Buffer.from(token.slice("outpost1_".length), "base64url");
  expect(bytes.subarray(0, 32).toString("hex")).toBe(init.fingerprint);
  return bytes.subarray(32).toString("base64url");
}

async function enrol(name: string, token: string, request: string): Promise<EnrolResult> {
  const peer = new Peer(await dial("/enrol"), {
    local: enrolmentMethods,
    remote: controllerEnrolmentMethods,
    handlers: {},
  });
  try {
    await peer.request("hello", hello);
    return await peer.request("enrol", {
      secret: token,
      name,
      labels: { role: "web" },
      facts: fakeFacts,
      request,
    });
  } finally {
    await peer.close("done");
  }
}

/** Enrols a host and returns its credentials. */
async function join_(name: string): Promise<Credentials> {
  const { request, key } = await hostKey();
  const { certificate } = await enrol(name, await secret(), request);
  return { certificate, key };
}

describe("a controller's directory", () => {
  test("is private, and set up once", async () => {
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    for (const file of ["ca.key", "server.key", "catalogue.sqlite"]) {
      expect((await stat(join(directory, file))).mode & 0o777).toBe(0o600);
    }
    expect((await readdir(directory)).some((file) => file.endsWith(".new"))).toBe(false);
    await expect(initController({ directory, names: ["x"], operatorName: "bob" })).rejects.toMatchObject({
      code: "conflict",
    });
    await expect(
      startController({ directory: join(directory, "no"), host: "127.0.0.1", port: 0, log }),
    ).rejects.toThrow("outpost controller init");
    await expect(
      startController({ directory, host: "127.0.0.1", port: controller.port, log }),
    ).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("is in use"),
    });
  });
});

describe("enrolment, an agent and an operator", () => {
  test("a host joins with a token, connects with its certificate, and runs a job", async () => {
    const credentials = await join_("web1");
    const agent = new FakeAgent();
    agent.onStart = (job) => {
      job.write("stdout", "hello");
      job.end();
    };
    const peer = await agent.connect(await dial("/agent", credentials));
    const client = await operator();
    const { hosts } = await client.request("host.list", { targets: "role=web" });
    expect(hosts).toMatchObject([
      { name: "web1", state: "connected", labels: { role: "web" }, facts: { platform: "linux" } },
    ]);
    const params = startParams("web1");
    await client.request("fanout.start", params);
    await expect(client.request("fanout.wait", { job: params.job, any: false })).resolves.toMatchObject({
      ended: true,
      fanout: { state: "completed", operator: "alice" },
    });
    await peer.close("bye");
    await client.close("bye");
  });

  test("a newer connection of a host replaces the older one", async () => {
    const credentials = await join_("web2");
    const first = await new FakeAgent().connect(await dial("/agent", credentials));
    const second = await new FakeAgent().connect(await dial("/agent", credentials));
    await first.closed;
    expect(second.isOpen).toBe(true);
    const client = await operator();
    expect((await client.request("host.list", { targets: "web2" })).hosts[0]?.state).toBe("connected");
    await second.close("bye");
    await client.close("bye");
  });

  test("tokens are unknown, used up, expired; names are taken: each is said", async () => {
    const { request } = await hostKey();
    const once = await secret();
    const first = await enrol("one", once, request);
    // The answer was lost: the same request again is the same host again.
    expect((await enrol("one", once, request)).host).toBe(first.host);
    const other = await hostKey();
    await expect(enrol("two", once, other.request)).rejects.toThrow("the token has had its one use");
    await expect(enrol("two", "bm9uc2Vuc2U", other.request)).rejects.toThrow("no such token");
    await expect(enrol("one", await secret(), other.request)).rejects.toMatchObject({ code: "conflict" });
    await expect(enrol("two", await secret(), "rubbish")).rejects.toMatchObject({ code: "invalid_argument" });
    const brief = await secret({ ttlMs: 1_000, uses: 5 });
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    await expect(enrol("two", brief, other.request)).rejects.toThrow("has expired");
  });

  test("ten hosts at once with a token for three: three", async () => {
    const token = await secret({ ttlMs: 60_000, uses: 3 });
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, async (_, index) =>
        enrol(`herd${String(index)}`, token, (await hostKey()).request),
      ),
    );
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
  });
});

describe("who is refused", () => {
  const refused = (path: string, client?: Credentials, ca?: string): Promise<OutpostError> =>
    dial(path, client, ca).then(
      () => Promise.reject(new Error("it was accepted")),
      (error: unknown) => error as OutpostError,
    );

  test("no certificate, another CA's, of the wrong kind, unknown to the catalogue", async () => {
    expect(await refused("/operator")).toMatchObject({
      code: "denied",
      message: expect.stringContaining("none was shown"),
    });
    const { authority: other } = await Authority.create();
    const mallory = await other.issueOperator({ kind: "operator", id: init.operator.id }, "alice");
    expect(await refused("/operator", mallory)).toMatchObject({
      code: "denied",
      message: expect.stringContaining("not signed by this controller's CA"),
    });
    const host = await join_("kind");
    expect(await refused("/operator", host)).toMatchObject({
      message: expect.stringContaining("is a host's; an operator's is needed"),
    });
    expect(await refused("/agent", init.operator)).toMatchObject({ code: "denied" });
    const { authority } = await reload();
    const unknown = await authority.issueOperator({ kind: "operator", id: newOperatorId() }, "eve");
    expect(await refused("/operator", unknown)).toMatchObject({
      code: "denied",
      message: expect.stringContaining("catalogue"),
    });
    const server = await authority.issueServer(["localhost"]);
    expect(await refused("/operator", server)).toMatchObject({
      code: "denied",
      message: expect.stringContaining("not one for clients"),
    });
    expect(await refused("/nothing", init.operator)).toMatchObject({
      message: expect.stringContaining("/agent, /operator and /enrol"),
    });
  });

  test("another CA than ours is not trusted by us either", async () => {
    const { credentials } = await Authority.create();
    expect(await refused("/operator", init.operator, credentials.certificate)).toMatchObject({
      code: "denied",
    });
  });

  test("plain HTTPS gets a sentence; other methods than enrol need more than a token", async () => {
    const status = await new Promise((resolve) => {
      httpsRequest(url("/").replace("wss", "https"), { ca: init.authority }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).end();
    });
    expect(status).toBe(426);
    const peer = new Peer(await dial("/enrol"), {
      local: enrolmentMethods,
      remote: controllerOperatorMethods,
      handlers: {},
    });
    await peer.request("hello", hello);
    await expect(peer.request("host.list", {})).rejects.toMatchObject({ code: "method_not_found" });
    await peer.close("bye");
  });

  test("a version that we do not speak: both are named", async () => {
    const peer = new Peer(await dial("/operator", init.operator), {
      local: operatorMethods,
      remote: controllerOperatorMethods,
      handlers: { goodbye: () => {} },
    });
    await expect(
      peer.request("hello", { ...hello, software: "future 9", versions: { min: 7, max: 9 } }),
    ).rejects.toMatchObject({
      code: "version_mismatch",
      message: expect.stringMatching(/future 9 speaks protocol versions 7 to 9.*version 1/),
    });
    await peer.closed;
  });
});

async function reload() {
  const { readFile } = await import("node:fs/promises");
  const [certificate, key] = await Promise.all(
    ["ca.crt", "ca.key"].map((file) => readFile(join(directory, file), "utf8")),
  );
  return { authority: Authority.load({ certificate: certificate!, key: key! }) };
}

describe("many at once, and the end", () => {
  test("beyond the limit of arrivals: come back later", async () => {
    const tight = join(directory, "..", "tight");
    const set = await initController({ directory: tight, names: ["127.0.0.1"], operatorName: "alice" });
    await using one = await startController({
      directory: tight,
      host: "127.0.0.1",
      port: 0,
      log,
      settings: { maxGreetings: 1 },
    });
    const tls = { ca: set.authority, cert: set.operator.certificate, key: set.operator.key };
    const address = `wss://127.0.0.1:${String(one.port)}/operator`;
    // This one says nothing yet, and holds its place.
    const silent = await dialWebSocket({ url: address, tls });
    await expect(dialWebSocket({ url: address, tls })).rejects.toMatchObject({
      code: "busy",
      data: { retryAfterMs: expect.any(Number) },
    });
    silent.start({ message: () => {}, drained: () => {}, closed: () => {} });
    silent.abort();
    for (;;) {
      try {
        (await dialWebSocket({ url: address, tls })).abort();
        break;
      } catch (error) {
        expect((error as OutpostError).code).toBe("busy");
      }
    }
  });

  test("a shutdown says goodbye with a time to come back; what was there is there again", async () => {
    const client = await operator();
    const { hosts } = await client.request("host.list", {});
    await controller[Symbol.asyncDispose]();
    await controller.closed;
    expect((await client.closed).message).toBe("the controller is shutting down");
    expect(goodbyes.at(-1)).toMatchObject({
      reason: "the controller is shutting down",
      retryAfterMs: expect.any(Number),
    });
    controller = await startController({ directory, host: "127.0.0.1", port: 0, log });
    const again = await operator();
    expect((await again.request("host.list", {})).hosts.map(({ name }) => name)).toEqual(
      hosts.map(({ name }) => name),
    );
    await again.close("bye");
  });
});
