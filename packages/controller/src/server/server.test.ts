/** The real thing on loopback: TLS 1.3, certificates, enrolment, refusals, shutdown. */
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readdir, rm, stat, writeFile } from "node:fs/promises";
import { request as httpsRequest } from "node:https";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import { connect } from "node:tls";
import { createRoot, initialPolicy } from "@outpost/access";
import {
  controllerOperatorMethods,
  enrolmentMethods,
  newOperatorId,
  operatorMethods,
  type OutpostError,
  Peer,
} from "@outpost/protocol";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AuthorityCertificate } from "./authority.ts";
import { initController, startController } from "./index.ts";
import { startParams, until } from "./testing/bench.ts";
import { FakeAgent } from "./testing/fake-agent.ts";
import { forge, hello, hostKey, RealController, secretOf } from "./testing/real-controller.ts";

const log = pino({ level: "silent" });

let real: RealController;
beforeAll(async () => {
  real = await RealController.create();
});
afterAll(() => real[Symbol.asyncDispose]());

describe("a controller's directory", () => {
  test("is private, and set up once", async () => {
    const { directory, port } = real;
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
    await expect(startController({ directory, host: "127.0.0.1", port, log })).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("is in use"),
    });
  });

  test("holds the operators' certificate and a policy, and not the key that makes operators", async () => {
    const { operators, operator } = real.init;
    expect(await real.read("operators.crt")).toBe(operators.certificate);
    expect(await real.read("policy.yaml")).toBe(initialPolicy("alice"));
    const files = (await readdir(real.directory)).filter((file) => /\.(key|crt|yaml)$/.test(file));
    const texts = await Promise.all(files.map((file) => real.read(file)));
    for (const secret of [operators.key, operator.key]) {
      expect(texts.some((text) => text.includes(secret.split("\n")[2]!))).toBe(false);
    }
  });

  test("a login name that no operator can have is refused before anything is made", async () => {
    const directory = join(real.directory, "..", "unnamed");
    await expect(
      initController({ directory, names: ["x"], operatorName: "NT AUTHORITY\\me" }),
    ).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringMatching(/is not an operator's name.*--operator NAME/),
    });
    await expect(stat(directory)).rejects.toThrow("ENOENT");
  });

  test("whose keys could not be stored is none yet, and is set up anew", async () => {
    const directory = join(real.directory, "..", "unkept");
    const options = { directory, names: ["127.0.0.1"], operatorName: "ada" };
    const keep = () => Promise.reject(new Error("no space"));
    await expect(initController({ ...options, keep })).rejects.toThrow("no space");
    await expect(startController({ directory, host: "127.0.0.1", port: 0, log })).rejects.toMatchObject({
      code: "not_found",
    });
    const { operator } = await initController(options);
    await using controller = await startController({ directory, host: "127.0.0.1", port: 0, log });
    expect(controller.port).toBeGreaterThan(0);
    expect(operator.name).toBe("ada");
    await rm(directory, { recursive: true });
  });

  test("of version 0.1 says what to do, and that keeps its CA and its hosts", async () => {
    await using old = await RealController.create();
    const host = await old.join("web1");
    await old.stop();
    // As 0.1 left it: no operators' authority, no policy.
    for (const file of ["operators.crt", "policy.yaml"]) await rm(join(old.directory, file));
    const options = { directory: old.directory, host: "127.0.0.1", port: 0, log };
    await expect(startController(options)).rejects.toMatchObject({
      code: "version_mismatch",
      message: expect.stringContaining("outpost controller init"),
    });
    const init = await initController({
      directory: old.directory,
      names: ["localhost"],
      operatorName: "alice",
    });
    expect(init).toMatchObject({ isUpgrade: true, authority: old.init.authority });
    expect(init.operator.id).toBe(old.init.operator.id);
    await old.restart();
    const agent = await old.agent(host);
    const client = await old.operator(init.operator);
    expect((await client.request("host.list", {})).hosts).toMatchObject([
      { name: "web1", state: "connected" },
    ]);
    // The operator of before is one of another authority.
    expect(await old.refusal("/operator")).toMatchObject({ code: "denied" });
    expect((await old.refusal("/operator", old.init.operator)).message).toContain("operators' authority");
    await agent.close("bye");
    await client.close("bye");
  });

  test("a server's certificate that does not fit its key, or is missing its key, is made anew for the same names", async () => {
    await using other = await RealController.create();
    await other.stop();
    const before = new X509Certificate(await other.read("server.crt"));
    await writeFile(join(other.directory, "server.key"), (await hostKey()).key);
    await other.restart();
    const after = new X509Certificate(await other.read("server.crt"));
    expect(after.subjectAltName).toBe(before.subjectAltName);
    expect(after.serialNumber).not.toBe(before.serialNumber);
    await (await other.operator()).close("bye");
  });
});

describe("enrolment, an agent and an operator", () => {
  test("a host joins with a token, connects with its certificate, and runs a job", async () => {
    const credentials = await real.join("web1");
    const agent = new FakeAgent();
    agent.onStart = (job) => {
      job.write("stdout", "hello");
      job.end();
    };
    const peer = await real.agent(credentials, agent);
    const client = await real.operator();
    const { hosts } = await client.request("host.list", { targets: "role=web" });
    expect(hosts).toMatchObject([
      {
        name: "web1",
        state: "connected",
        labels: { role: "web" },
        facts: { platform: "linux" },
        certificateExpiresAt: Date.parse(new X509Certificate(credentials.certificate).validTo),
      },
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

  test("it is told whom to believe, and its certificate is short", async () => {
    const { answer } = await real.join("brief");
    expect(answer.authority).toBe(real.init.authority);
    expect(answer.operators).toBe(real.init.operators.certificate);
    const certificate = new X509Certificate(answer.certificate);
    const days = (Date.parse(certificate.validTo) - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(29.9);
    expect(days).toBeLessThanOrEqual(30);
  });

  test("a newer connection of a host replaces the older one", async () => {
    const credentials = await real.join("web2");
    const first = await real.agent(credentials);
    const second = await real.agent(credentials);
    await first.closed;
    expect(second.isOpen).toBe(true);
    const { hosts } = await real.ask((client) => client.request("host.list", { targets: "web2" }));
    expect(hosts[0]?.state).toBe("connected");
    await second.close("bye");
  });

  test("a token carries both authorities' fingerprints", async () => {
    const { token } = await real.ask((client) => client.request("token.create", { ttlMs: 60_000, uses: 1 }));
    expect(token).toMatch(/^outpost2_/);
    const bytes = Buffer.from(token.slice("outpost2_".length), "base64url");
    expect(bytes).toHaveLength(88);
    expect(bytes.subarray(0, 32).toString("hex")).toBe(real.init.fingerprint);
    expect(bytes.subarray(32, 64).toString("hex")).toBe(
      new AuthorityCertificate(real.init.operators.certificate).id,
    );
  });

  test("a token may fix the host's name and labels", async () => {
    const { request } = await hostKey();
    const secret = await real.secret({ name: "web7" as never, labels: { role: "web", site: "eu" } });
    await expect(real.enrol({ secret, name: "web8", request })).rejects.toMatchObject({
      code: "denied",
      message: expect.stringContaining("the token is for the host web7, not for web8"),
    });
    await expect(real.enrol({ secret, name: "web7", request, labels: { site: "us" } })).rejects.toMatchObject(
      { code: "denied", message: expect.stringContaining("site=eu") },
    );
    const answer = await real.enrol({ secret, name: "web7", request, labels: { role: "web", rack: "4" } });
    expect(answer).toMatchObject({ name: "web7", labels: { role: "web", site: "eu", rack: "4" } });
    const unnamed = { secret: await real.secret({ name: "web8" as never }), isDefaultName: true };
    expect(await real.enrol({ ...unnamed, name: "debian", ...(await hostKey()) })).toMatchObject({
      name: "web8",
    });
    await expect(real.secret({ name: "web9" as never, uses: 2 })).rejects.toMatchObject({
      code: "invalid_argument",
    });
  });

  test("ten hosts at once with a token for three: three", async () => {
    const secret = await real.secret({ uses: 3 });
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, async (_, index) =>
        real.enrol({ secret, name: `herd${String(index)}`, request: (await hostKey()).request }),
      ),
    );
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
  });

  test("a token is listed without its secret, and revoked", async () => {
    const client = await real.operator();
    const made = await client.request("token.create", { ttlMs: 60_000, uses: 5, quarantine: true });
    const { tokens } = await client.request("token.list", {});
    expect(tokens.find(({ id }) => id === made.id)).toEqual({
      id: made.id,
      createdAt: expect.any(Number),
      createdBy: "alice",
      expiresAt: made.expiresAt,
      uses: 5,
      used: 0,
      labels: {},
      quarantine: true,
    });
    const first = await client.request("token.revoke", { id: made.id });
    expect(first.token.revokedAt).toEqual(expect.any(Number));
    expect(await client.request("token.revoke", { id: made.id })).toEqual(first);
    const { request } = await hostKey();
    await expect(real.enrol({ secret: secretOf(made.token), name: "late", request })).rejects.toMatchObject({
      code: "denied",
      data: { reason: "revoked" },
      message: expect.stringContaining("revoked by alice"),
    });
    await client.close("bye");
  });

  test("in quarantine nothing selects it, until somebody approves it", async () => {
    const host = await real.join("shady", { quarantine: true });
    expect(host.answer.quarantined).toBe(true);
    const agent = await real.agent(host);
    const client = await real.operator();
    const listed = await client.request("host.list", { targets: "shady" });
    expect(listed.hosts[0]).toMatchObject({ state: "connected", quarantinedSince: expect.any(Number) });
    await expect(client.request("fanout.start", startParams("shady"))).rejects.toMatchObject({
      code: "denied",
      message: expect.stringContaining("outpost host approve shady"),
    });
    const { hosts } = await client.request("host.approve", { hosts: ["shady"] });
    expect(hosts[0]?.quarantinedSince).toBeUndefined();
    await client.request("fanout.start", startParams("shady"));
    // It stays approved.
    await real.restart();
    const after = await real.ask((again) => again.request("host.list", { targets: "shady" }));
    expect(after.hosts[0]?.quarantinedSince).toBeUndefined();
    await agent.closed;
  });

  test("a host renews its certificate on its connection, and comes back with the new one", async () => {
    const host = await real.join("renewing");
    const peer = await real.agent(host);
    const { request, key } = await hostKey();
    const renewed = await peer.request("certificate.renew", { request });
    expect(renewed).toMatchObject({
      authority: real.init.authority,
      operators: real.init.operators.certificate,
    });
    const before = new X509Certificate(host.certificate);
    const after = new X509Certificate(renewed.certificate);
    expect(after.subjectAltName).toBe(before.subjectAltName);
    expect(after.serialNumber).not.toBe(before.serialNumber);
    expect(peer.isOpen).toBe(true);
    const again = await real.agent({ certificate: renewed.certificate, key });
    await peer.closed;
    expect(again.isOpen).toBe(true);
    expect(await real.audited()).toContainEqual(
      expect.objectContaining({ action: "certificate.renewed", hosts: ["renewing"] }),
    );
    await again.close("bye");
  });
});

describe("operators", () => {
  test("are invited, sign in, are listed, and are put out with their connections", async () => {
    const { signIn, added } = await real.invite("grace@example.com");
    expect(added).toMatchObject({ state: "invited", invitedUntil: expect.any(Number) });
    const credentials = await signIn();
    const grace = await real.operator(credentials);
    const client = await real.operator();
    const list = async () => (await client.request("operator.list", {})).operators;
    expect((await list()).find(({ name }) => name === "grace@example.com")).toMatchObject({
      state: "active",
      key: expect.stringMatching(/^[0-9a-f]{64}$/),
      lastSeen: expect.any(Number),
    });
    // Nobody has allowed her anything yet.
    await expect(grace.request("operator.list", {})).rejects.toMatchObject({ code: "denied" });
    const name = added.name;
    const { removed } = await client.request("operator.remove", { name });
    expect(removed.name).toBe(name);
    expect((await grace.closed).message).toBe("the operator grace@example.com was removed by alice");
    expect((await real.refusal("/operator", credentials)).message).toMatch(
      /the operator grace@example.com was removed by alice on \d{4}-/,
    );
    expect((await list()).some((each) => each.name === name)).toBe(false);
    await expect(client.request("operator.remove", { name })).rejects.toMatchObject({ code: "not_found" });
    await client.close("bye");
  });

  test("nobody removes themselves, and no name is given twice", async () => {
    const client = await real.operator();
    await expect(client.request("operator.remove", { name: "alice" })).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("ask another operator"),
    });
    await expect(client.request("operator.add", { name: "alice", ttlMs: 1_000 })).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("is an operator already"),
    });
    await client.request("operator.add", { name: "heidi", ttlMs: 60_000 });
    await expect(client.request("operator.add", { name: "heidi", ttlMs: 1_000 })).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("is invited already"),
    });
    await client.close("bye");
  });

  test("the hello tells them which CAs the controller may show", async () => {
    const peer = new Peer(await real.dial("/operator", real.init.operator), {
      local: operatorMethods,
      remote: controllerOperatorMethods,
      handlers: { goodbye: () => {} },
    });
    expect((await peer.request("hello", hello)).authority).toBe(real.init.authority);
    await peer.close("bye");
  });
});

describe("who is refused", () => {
  test("no certificate, another CA's, of the wrong kind, unknown to the catalogue", async () => {
    expect(await real.refusal("/operator")).toMatchObject({
      code: "denied",
      message: expect.stringContaining("none was shown"),
    });
    const operators = real.init.operators;
    const unknown = await forge(operators, { kind: "operator", id: newOperatorId() }, { name: "eve" });
    expect(await real.refusal("/operator", unknown)).toMatchObject({
      code: "denied",
      message: expect.stringContaining("catalogue"),
    });
    const server = { certificate: await real.read("server.crt"), key: await real.read("server.key") };
    expect(await real.refusal("/agent", server)).toMatchObject({
      code: "denied",
      message: expect.stringContaining("not one for clients"),
    });
    expect(await real.refusal("/nothing", real.init.operator)).toMatchObject({
      message: expect.stringContaining("/agent, /operator and /enrol"),
    });
  });

  test("another CA than ours is not trusted by us either", async () => {
    const { certificate } = await createRoot("Outpost CA", 1, 0);
    expect(await real.refusal("/operator", real.init.operator, certificate)).toMatchObject({
      code: "denied",
    });
  });

  test("plain HTTPS gets a sentence; other methods than enrol need more than a token", async () => {
    const status = await new Promise((resolve) => {
      httpsRequest(real.url("/").replace("wss", "https"), { ca: real.init.authority }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).end();
    });
    expect(status).toBe(426);
    const peer = new Peer(await real.dial("/enrol"), {
      local: enrolmentMethods,
      remote: controllerOperatorMethods,
      handlers: {},
    });
    await peer.request("hello", hello);
    await expect(peer.request("host.list", {})).rejects.toMatchObject({ code: "method_not_found" });
    await peer.close("bye");
  });

  test("a version that we do not speak: both are named", async () => {
    const peer = new Peer(await real.dial("/operator", real.init.operator), {
      local: operatorMethods,
      remote: controllerOperatorMethods,
      handlers: { goodbye: () => {} },
    });
    await expect(
      peer.request("hello", { ...hello, software: "future 9", versions: { min: 7, max: 9 } }),
    ).rejects.toMatchObject({
      code: "version_mismatch",
      message: expect.stringMatching(/future 9 speaks protocol versions 7 to 9.*versions 1 to 3/),
    });
    await peer.closed;
  });
});

describe("many at once, and the end", () => {
  test("beyond the limit of handshakes: each waits for its turn, and none is refused", async () => {
    await using tight = await RealController.create({ maxHandshakes: 1, maxHandshakesPerNetwork: 1 });
    // This one has said nothing yet, and holds the only place.
    const silent = connectTcp(tight.port, "127.0.0.1");
    await once(silent, "connect");
    let arrived = 0;
    const dialing = Array.from({ length: 20 }, async () => {
      const socket = await tight.dial("/operator", tight.init.operator);
      arrived++;
      socket.abort();
    });
    // They are let in one after the other as soon as it is gone.
    silent.destroy();
    await Promise.all(dialing);
    expect(arrived).toBe(20);
  });

  test("beyond the limit of arrivals: come back later", async () => {
    await using tight = await RealController.create({ maxGreetings: 1 });
    const dial = () => tight.dial("/operator", tight.init.operator);
    // This one says nothing yet, and holds its place.
    const silent = await dial();
    await expect(dial()).rejects.toMatchObject({
      code: "busy",
      data: { retryAfterMs: expect.any(Number) },
    });
    silent.start({ message: () => {}, drained: () => {}, closed: () => {} });
    silent.abort();
    for (;;) {
      try {
        (await dial()).abort();
        break;
      } catch (error) {
        expect((error as OutpostError).code).toBe("busy");
      }
    }
  });

  test("a shutdown says goodbye with a time to come back; what was there is there again", async () => {
    const client = await real.operator();
    const { hosts } = await client.request("host.list", {});
    await real.stop();
    await real.controller.closed;
    expect((await client.closed).message).toBe("the controller is shutting down");
    await until(() => real.goodbyes.length > 0, "the goodbye");
    expect(real.goodbyes.at(-1)).toMatchObject({
      reason: "the controller is shutting down",
      retryAfterMs: expect.any(Number),
    });
    await real.restart();
    const again = await real.ask((each) => each.request("host.list", {}));
    expect(again.hosts.map(({ name }) => name)).toEqual(hosts.map(({ name }) => name));
  });

  test("a session is never resumed: who comes shows a certificate", async () => {
    const sessions: Buffer[] = [];
    for (let attempt = 0; attempt < 2; attempt++) {
      const session = sessions[0];
      const tls = connect({
        host: "127.0.0.1",
        port: real.port,
        ca: real.init.authority,
        cert: real.init.operator.certificate,
        key: real.init.operator.key,
        ...(session === undefined ? {} : { session }),
      });
      tls.on("session", (ticket) => sessions.push(ticket));
      await new Promise((resolve) => tls.once("secureConnect", resolve));
      expect(tls.isSessionReused()).toBe(false);
      // The tickets, if there are any, come behind the handshake: ahead of the answer to this.
      tls.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      await new Promise((resolve) => tls.once("data", resolve));
      tls.destroy();
    }
  });
});
