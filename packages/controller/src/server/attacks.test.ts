/** Who tries to get in and should not, over real TLS sockets. Each of these fails without its defence. */
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { OperatorsAuthority, acceptInvitation, createRoot } from "@outpost/access";
import {
  chainHeader,
  controllerEnrolmentMethods,
  type enrolmentMethods,
  enrolmentMethods as enrolmentMap,
  newHostId,
  newOperatorId,
  type OutpostError,
  Peer,
} from "@outpost/protocol";
import { dialWebSocket } from "@outpost/protocol/websocket";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "./testing/bench.ts";
import { fakeFacts } from "./testing/fake-agent.ts";
import { forge, hello, hostKey, RealController } from "./testing/real-controller.ts";

/** All of 127.0.0.0/8 is local there, so that a test can come from two networks. */
const isLinux = process.platform === "linux";

let real: RealController;
beforeAll(async () => {
  real = await RealController.create({ certificateCheckMs: 20 });
});
afterAll(() => real[Symbol.asyncDispose]());

async function deniedBecause(
  path: string,
  client: Parameters<RealController["refusal"]>[1],
  why: string | RegExp,
) {
  const error = await real.refusal(path, client);
  expect(error.code).toBe("denied");
  expect(error.message).toMatch(why);
}

describe("certificates", () => {
  test("of another CA open nothing, whatever they say", async () => {
    const ca = await createRoot("Outpost CA", 1, 0);
    const authority = await OperatorsAuthority.create();
    const host = await real.join("impersonated");
    await deniedBecause(
      "/agent",
      await forge(ca, { kind: "host", id: host.answer.host }),
      "not signed by this controller's CA",
    );
    await deniedBecause(
      "/operator",
      await authority.issueOperator({ id: real.init.operator.id, name: real.init.operator.name }),
      "operators' authority that is known here",
    );
  });

  test("of a host do not open the operators' door, nor the reverse", async () => {
    const host = await real.join("kind");
    await deniedBecause("/operator", host, "is a host's; an operator's is needed");
    await deniedBecause("/agent", real.init.operator, "is an operator's; a host's is needed");
  });

  test("of a host's CA that name an operator: a stolen controller makes no operators", async () => {
    const stolen = await real.authority();
    const { id, name } = real.init.operator;
    const forged = await forge(stolen, { kind: "operator", id }, { name });
    await deniedBecause("/operator", forged, "does not come from the operators' authority");
    await deniedBecause("/agent", forged, "names an operator");
  });

  test("of the operators' authority, or of an invitation, that name a host", async () => {
    const host = await real.join("named");
    const identity = { kind: "host", id: host.answer.host } as const;
    await deniedBecause(
      "/agent",
      await forge(real.init.operators, identity),
      "not signed by this controller's CA",
    );
    await deniedBecause("/operator", await forge(real.init.operators, identity), "names no operator");
    const { invitation } = await real.invite("ivan");
    await deniedBecause("/agent", await forge(invitation, identity), "not signed by this controller's CA");
  });

  test("that have expired are refused, with the day", async () => {
    const host = await real.join("late");
    const stolen = await real.authority();
    const expired = await forge(stolen, { kind: "host", id: host.answer.host }, { days: -0.01 });
    await deniedBecause("/agent", expired, /has expired on \d{4}-.*join again/);
    const { id, name } = real.init.operator;
    const old = await forge(real.init.operators, { kind: "operator", id }, { name, days: -0.01 });
    await deniedBecause("/operator", old, /certificate has expired on/);
  });

  test("a connection does not outlive the certificate that it came with", async () => {
    const host = await real.join("shortlived");
    const stolen = await real.authority();
    // Two seconds; X.509 counts in whole ones.
    const days = 2 / 86_400;
    const brief = await forge(stolen, { kind: "host", id: host.answer.host }, { days });
    const agent = await real.agent(brief);
    expect((await agent.closed).message).toMatch(/the certificate of shortlived has expired at/);
  });

  test("for an operator with another key than the one that has signed in", async () => {
    const { id, name } = real.init.operator;
    const forged = await forge(real.init.operators, { kind: "operator", id }, { name });
    await deniedBecause("/operator", forged, "used already");
  });

  test("are not enough when the host is not in the catalogue", async () => {
    const forged = await forge(await real.authority(), { kind: "host", id: newHostId() });
    await deniedBecause("/agent", forged, "not in this controller's catalogue");
  });
});

describe("who was removed", () => {
  test("a host is cut off at once, told why, and told again", async () => {
    const host = await real.join("web3");
    const agent = await real.agent(host);
    const client = await real.operator();
    await client.request("host.remove", { hosts: ["web3"] });
    expect((await agent.closed).message).toBe("the host web3 was removed by alice");
    await deniedBecause(
      "/agent",
      host,
      /the host web3 was removed by alice on \d{4}-.*join again with a new token/,
    );
    expect((await client.request("host.list", {})).hosts.some(({ name }) => name === "web3")).toBe(false);
    // Its name is free, and the new one is another host.
    const again = await real.join("web3");
    expect(again.answer.host).not.toBe(host.answer.host);
    await (await real.agent(again)).close("bye");
    await deniedBecause("/agent", host, "was removed by alice");
    await client.close("bye");
  });

  test("a host that is removed while it says hello does not stay", async () => {
    const host = await real.join("arriving");
    const socket = await real.dial("/agent", host);
    await real.ask((client) => client.request("host.remove", { hosts: ["arriving"] }));
    const closed = Promise.withResolvers<string>();
    socket.start({ message: () => {}, drained: () => {}, closed: closed.resolve });
    expect(await closed.promise).toContain("the host arriving was removed");
  });

  test("its refusals are written down, once a minute", async () => {
    const host = await real.join("persistent");
    await real.ask((client) => client.request("host.remove", { hosts: ["persistent"] }));
    for (let attempt = 0; attempt < 5; attempt++) await real.refusal("/agent", host);
    const lines = (await real.audited()).filter(({ subject }) => subject === host.answer.host);
    expect(lines.filter(({ action }) => action === "connection.refused")).toEqual([
      expect.objectContaining({
        hosts: ["persistent"],
        message: expect.stringContaining("was removed by alice"),
      }),
    ]);
  });

  test("both stay out after a restart", async () => {
    await using other = await RealController.create();
    const host = await other.join("gone");
    const { signIn, added } = await other.invite("olga");
    const olga = await signIn();
    await (await other.operator(olga)).close("bye");
    await other.ask(async (client) => {
      await client.request("host.remove", { hosts: ["gone"] });
      await client.request("operator.remove", { name: added.name });
    });
    await other.restart();
    expect((await other.refusal("/agent", host)).message).toContain("the host gone was removed by alice");
    expect((await other.refusal("/operator", olga)).message).toContain(
      "the operator olga was removed by alice",
    );
  });
});

describe("tokens", () => {
  test("unknown, forged, expired, used up: each is said, and nothing is entered", async () => {
    const { request } = await hostKey();
    const secret = await real.secret();
    const first = await real.enrol({ secret, name: "one", request });
    // The answer was lost: the same request again is the same host again.
    expect((await real.enrol({ secret, name: "one", request })).host).toBe(first.host);
    const other = await hostKey();
    const denied = (used: string, reason: string) =>
      expect(real.enrol({ secret: used, name: "two", request: other.request })).rejects.toMatchObject({
        code: "denied",
        data: { reason },
      });
    await denied(secret, "used_up");
    await denied(Buffer.alloc(24, 7).toString("base64url"), "unknown");
    await denied(
      Buffer.from(await real.secret(), "base64url")
        .fill(0, 0, 1)
        .toString("base64url"),
      "unknown",
    );
    const brief = await real.secret({ ttlMs: 1_000 });
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    await denied(brief, "expired");
    await expect(
      real.enrol({ secret: await real.secret(), name: "one", request: other.request }),
    ).rejects.toMatchObject({ code: "conflict" });
    await expect(
      real.enrol({ secret: await real.secret(), name: "two", request: "rubbish" }),
    ).rejects.toMatchObject({ code: "invalid_argument" });
    const { hosts } = await real.ask((client) => client.request("host.list", {}));
    expect(hosts.some(({ name }) => name === "two")).toBe(false);
    expect(await real.audited()).toContainEqual(
      expect.objectContaining({ action: "enrolment.refused", hosts: ["two"] }),
    );
  });

  test("the catalogue holds no secret", async () => {
    const secret = Buffer.from(await real.secret(), "base64url");
    const files = await Promise.all(
      ["catalogue.sqlite", "catalogue.sqlite-wal"].map((file) => real.read(file).catch(() => "")),
    );
    for (const text of files) {
      expect(text).not.toContain(secret.toString("base64url"));
      expect(text).not.toContain(secret.toString("hex"));
    }
  });
});

describe("a stolen host", () => {
  test("that renews all day pushes nothing out of the audit log, also not by coming again", async () => {
    const host = await real.join("renewer");
    const { request } = await hostKey();
    let busy = 0;
    for (let connection = 0; connection < 2; connection++) {
      const peer = await real.agent(host);
      for (let at = 0; at < 8; at++) {
        const renewed = peer.request("certificate.renew", { request });
        await renewed.catch(({ code }: OutpostError) => (busy += Number(code === "busy")));
      }
      await peer.close("again");
    }
    expect(busy).toBe(6);
    const lines = (await real.audited()).filter(({ hosts }) => hosts?.[0] === "renewer");
    expect(lines.filter(({ action }) => action === "certificate.renewed")).toHaveLength(10);
  });

  test("that connects and says nothing takes no places from the others", async () => {
    const settings = { maxGreetings: 6, maxGreetingsPerHost: 2, helloTimeoutMs: 60_000 };
    await using crowded = await RealController.create(settings);
    const host = await crowded.join("silent");
    const other = await crowded.join("other");
    const sockets = [await crowded.dial("/agent", host), await crowded.dial("/agent", host)];
    for (let at = 0; at < 6; at++) {
      expect(await crowded.refusal("/agent", host)).toMatchObject({ code: "busy" });
    }
    await (await crowded.agent(other)).close("bye");
    await (await crowded.operator()).close("bye");
    for (const socket of sockets) socket.abort();
  });

  test("gets another certificate for its old request, and that is written down", async () => {
    const secret = await real.secret();
    const { request } = await hostKey();
    const first = await real.enrol({ secret, name: "twice", request });
    const second = await real.enrol({ secret, name: "twice", request });
    expect(second.host).toBe(first.host);
    const lines = (await real.audited()).filter(({ hosts }) => hosts?.[0] === "twice");
    expect(lines.map(({ action }) => action)).toEqual(["host.enrolled", "certificate.renewed"]);
  });
});

describe("sign-in bundles", () => {
  test("are of use once: a second key is refused, and the first goes on", async () => {
    const { signIn } = await real.invite("bob");
    const first = await signIn();
    const second = await signIn();
    await (await real.operator(first)).close("bye");
    await deniedBecause("/operator", second, /this sign-in bundle was used already, on \d{4}-/);
    await (await real.operator(first)).close("bye");
  });

  test("of two who use one at the same moment, one comes in", async () => {
    const { signIn } = await real.invite("twice");
    const both = await Promise.all([signIn(), signIn()]);
    const results = await Promise.allSettled(both.map((each) => real.operator(each)));
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  test("for bob make no ada", async () => {
    const bob = await real.invite("robert");
    const ada = await real.invite("ada");
    await deniedBecause(
      "/operator",
      await acceptInvitation(bob.invitation, ada.owner),
      "the invitation is for robert, not for ada",
    );
    // Nor when the invitation beside it is the right one.
    const forged = await acceptInvitation(bob.invitation, ada.owner);
    const [leaf] = forged.certificate.split(/(?<=-----END CERTIFICATE-----\n)/);
    await deniedBecause(
      "/operator",
      { certificate: leaf! + ada.invitation.certificate, key: forged.key },
      "was not signed by the invitation beside it",
    );
    await (await real.operator(await ada.signIn())).close("bye");
  });

  test("that expired, and those of who was invited anew, are refused", async () => {
    const early = await real.invite("carol", 1_000);
    const credentials = await early.signIn();
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    await deniedBecause("/operator", credentials, /sign-in bundle for carol has expired on/);
    const late = await real.invite("carol");
    await deniedBecause("/operator", credentials, "was removed by alice");
    await (await real.operator(await late.signIn())).close("bye");
  });

  test("an operator's own certificate makes no further operators", async () => {
    const { signIn, owner } = await real.invite("dave");
    const dave = await signIn();
    await (await real.operator(dave)).close("bye");
    const [leaf] = dave.certificate.split(/(?<=-----END CERTIFICATE-----\n)/);
    const below = await forge(
      { certificate: leaf!, key: dave.key },
      { kind: "operator", id: owner.id },
      { name: "dave" },
    );
    await deniedBecause(
      "/operator",
      { certificate: below.certificate + leaf!, key: below.key },
      "operators' authority that is known here",
    );
  });

  test("rubbish in the header that tells the invitation is refused", async () => {
    const { invitation, owner } = await real.invite("frank");
    const { certificate, key } = await acceptInvitation(invitation, owner);
    const [leaf] = certificate.split(/(?<=-----END CERTIFICATE-----\n)/);
    for (const header of ["%%%", "AAAA", "AAAA,AAAA,AAAA", "A".repeat(4_000)]) {
      const answer = await upgrade({ cert: leaf!, key, headers: [`${chainHeader}: ${header}`] });
      expect(answer).toMatch(/^HTTP\/1.1 403 /);
    }
    await deniedBecause("/operator", { certificate: leaf!, key }, "operators' authority that is known here");
  });
});

// ---------------------------------------------------------------------------------------------- by hand

interface UpgradeOptions {
  readonly port?: number;
  readonly cert?: string;
  readonly key?: string;
  readonly headers?: readonly string[];
  readonly path?: string;
}

function tls(port: number, options: { cert?: string; key?: string } = {}): TLSSocket {
  const socket = connectTls({
    host: "127.0.0.1",
    port,
    ca: real.init.authority,
    rejectUnauthorized: false,
    ...options,
  });
  socket.on("error", () => {});
  return socket;
}

/** What the server answers to an upgrade. */
async function upgrade({
  port = real.port,
  path = "/operator",
  headers = [],
  ...own
}: UpgradeOptions): Promise<string> {
  const socket = tls(port, own);
  const lines = [
    `GET ${path} HTTP/1.1`,
    "Host: 127.0.0.1",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Protocol: outpost",
    ...headers,
  ];
  socket.end(`${lines.join("\r\n")}\r\n\r\n`);
  const parts: Buffer[] = [];
  socket.on("data", (part: Buffer) => parts.push(part));
  await once(socket, "close");
  return Buffer.concat(parts).toString();
}

/** How long a socket lives, in milliseconds. */
async function lifetime(socket: Socket): Promise<number> {
  const begun = performance.now();
  await once(socket, "close");
  return performance.now() - begun;
}

describe("slowly and much", () => {
  const timeoutMs = 300;
  let tight: RealController;
  beforeAll(async () => {
    tight = await RealController.create({
      arrivalTimeoutMs: timeoutMs,
      helloTimeoutMs: timeoutMs,
    });
  });
  afterAll(() => tight[Symbol.asyncDispose]());

  /** By us, and not by Node's own timeouts, which are 10 s and begin anew with every byte. */
  const expectCut = (ms: number): void => expect(ms).toBeLessThan(8_000);

  test("a handshake byte by byte is cut", async () => {
    const socket = connectTcp(tight.port, "127.0.0.1");
    socket.on("error", () => {});
    // The beginning of a ClientHello: a record of 512 bytes, one each 20 ms.
    socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]));
    const drip = setInterval(() => socket.write(Buffer.of(1)), 20);
    expectCut(await lifetime(socket));
    clearInterval(drip);
  });

  test("an upgrade byte by byte is cut", async () => {
    const socket = tls(tight.port);
    await once(socket, "secureConnect");
    socket.write("GET /enrol HTTP/1.1\r\nX: ");
    const drip = setInterval(() => socket.write("x"), 20);
    expectCut(await lifetime(socket));
    clearInterval(drip);
  });

  test("silence before TLS, and between TLS and the upgrade, is cut", async () => {
    const silent = connectTcp(tight.port, "127.0.0.1");
    silent.on("error", () => {});
    const greeted = tls(tight.port);
    await once(greeted, "secureConnect");
    greeted.resume();
    for (const ms of await Promise.all([lifetime(silent), lifetime(greeted)])) expectCut(ms);
  });

  test("silence before hello is cut, on every door", async () => {
    const host = await tight.join("quiet");
    const doors = [
      ["/enrol", undefined],
      ["/agent", host],
      ["/operator", tight.init.operator],
    ] as const;
    for (const [path, client] of doors) {
      const socket = await tight.dial(path, client);
      const begun = performance.now();
      await new Promise<string>((closed) => socket.start({ message: () => {}, drained: () => {}, closed }));
      expectCut(performance.now() - begun);
    }
  });

  test.runIf(isLinux)(
    "half-open handshakes of one network take their share, and keep nobody out for long",
    async () => {
      const arrivalTimeoutMs = 3_000;
      const limits = { maxHandshakes: 16, maxHandshakesPerNetwork: 4, maxWaiting: 0 };
      await using crowded = await RealController.create({ ...limits, arrivalTimeoutMs });
      let closed = 0;
      for (let at = 0; at < 40; at++) {
        const socket = connectTcp(crowded.port, "127.0.0.1");
        socket.on("error", () => {});
        socket.once("close", () => closed++);
      }
      await until(() => closed === 36, "the refusals");
      // Of another network: 127.0.0.2 is one.
      const socket = connectTcp({ port: crowded.port, host: "127.0.0.1", localAddress: "127.0.0.2" });
      const other = connectTls({ socket, rejectUnauthorized: false });
      await once(other, "secureConnect");
      other.destroy();
      expect(closed).toBe(36);
      expect(await crowded.refusal("/operator", crowded.init.operator)).toMatchObject({
        code: "controller_unreachable",
      });
      // And their own come in again when the time of these is over.
      await until(() => closed === 40, "the cuts");
      await (await crowded.operator()).close("bye");
    },
  );

  test("an oversized header is refused", async () => {
    const answer = await upgrade({ port: tight.port, path: "/enrol", headers: [`X: ${"x".repeat(9_000)}`] });
    expect(answer).toMatch(/^HTTP\/1.1 431 /);
  });

  test("an oversized first message on /enrol ends the connection, and is not read", async () => {
    const socket = await real.dial("/enrol");
    const closed = new Promise<string>((resolve) => {
      socket.start({ message: () => {}, drained: () => {}, closed: resolve });
    });
    socket.send(new Uint8Array(65 * 1024));
    expect(await closed).toContain("too large");
    // What is really needed fits.
    const peer = new Peer<typeof enrolmentMethods, typeof controllerEnrolmentMethods>(
      await real.dial("/enrol"),
      {
        local: enrolmentMap,
        remote: controllerEnrolmentMethods,
        handlers: {},
      },
    );
    await peer.request("hello", hello);
    const labels = Object.fromEntries(
      Array.from({ length: 64 }, (_, at) => [`label${String(at)}`, "x".repeat(256)]),
    );
    const { request } = await hostKey();
    const params = { secret: await real.secret(), name: "large", labels, facts: fakeFacts, request };
    expect((await peer.request("enrol", params)).name).toBe("large");
    await peer.close("bye");
  });

  test.runIf(isLinux)("newcomers of one network take their share of the places to enrol", async () => {
    await using few = await RealController.create({ maxEnrolments: 8, maxEnrolmentsPerNetwork: 2 });
    const held = [await few.dial("/enrol"), await few.dial("/enrol")];
    expect(await few.refusal("/enrol")).toMatchObject({ code: "busy" });
    // Another network, and another share.
    const fromElsewhere = { ca: few.init.authority, localAddress: "127.0.0.2" };
    const other = await dialWebSocket({ url: few.url("/enrol"), tls: fromElsewhere });
    for (const socket of [...held, other]) socket.abort();
  });

  test("an id in the certificate that is none, and a stranger's URN, name nobody", async () => {
    const stolen = await real.authority();
    const forged = await forge(stolen, { kind: "host", id: "../../etc/passwd" as never });
    await deniedBecause("/agent", forged, "names no host and no operator");
    const nobody = await forge(
      real.init.operators,
      { kind: "operator", id: newOperatorId() },
      { name: "nobody" },
    );
    await deniedBecause("/operator", nobody, "not in this controller's catalogue");
  });
});
