import { createPrivateKey, generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { createServer as createHttpsServer, type Server } from "node:https";
import {
  createServer as createTcpServer,
  connect as connectTcp,
  type AddressInfo,
  type Server as TcpServer,
  type Socket,
} from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { maxMessageBytes } from "./limits.ts";
import type { MessageSocket } from "./socket.ts";
import { dialWebSocket, refuseUpgrade, WebSocketAcceptor } from "./websocket.ts";

// ------------------------------------------------------------------- certificates (X.509 in DER, RFC 5280)

const der = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts);
  const length =
    body.length < 0x80
      ? [body.length]
      : body.length < 0x100
        ? [0x81, body.length]
        : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Uint8Array.of(tag, ...length), body]);
};
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
const ecdsaSha256 = der(0x30, hex("06 08 2a8648ce3d040302"));
const commonName = (name: string): Buffer =>
  der(0x30, der(0x31, der(0x30, hex("06 03 550403"), der(0x0c, Buffer.from(name)))));
const time = (date: Date): Buffer =>
  der(0x18, Buffer.from(`${date.toISOString().replaceAll(/[-:T]|\.\d+/g, "")}`));
const extension = (oid: string, value: Buffer): Buffer => der(0x30, hex(oid), der(0x04, value));

interface Identity {
  readonly cert: string;
  readonly key: string;
  readonly name: string;
  readonly privateKey: KeyObject;
}

function certificate(
  name: string,
  options: { by?: Identity; ips?: boolean; dns?: string; from?: string; until?: string } = {},
): Identity {
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const altNames = [
    ...(options.ips === true ? [der(0x87, Uint8Array.of(127, 0, 0, 1))] : []),
    der(0x82, Buffer.from(options.dns ?? "localhost")),
  ];
  const extensions =
    options.by === undefined
      ? extension("06 03 551d13", der(0x30, der(0x01, Uint8Array.of(0xff))))
      : extension("06 03 551d11", der(0x30, ...altNames));
  const body = der(
    0x30,
    der(0xa0, hex("02 01 02")),
    der(0x02, Uint8Array.of(options.by === undefined ? 1 : 2)),
    ecdsaSha256,
    commonName(options.by?.name ?? name),
    der(0x30, time(new Date(options.from ?? "2020-01-01")), time(new Date(options.until ?? "2090-01-01"))),
    commonName(name),
    pair.publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, der(0x30, extensions)),
  );
  const signature = sign("sha256", body, options.by?.privateKey ?? pair.privateKey);
  const whole = der(0x30, body, ecdsaSha256, der(0x03, Uint8Array.of(0), signature));
  const key = pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const cert = `-----BEGIN CERTIFICATE-----\n${whole
    .toString("base64")
    .match(/.{1,64}/g)!
    .join("\n")}\n-----END CERTIFICATE-----\n`;
  return { cert, key, name, privateKey: createPrivateKey(key) };
}

const ca = certificate("ca");
const otherCa = certificate("other ca");
const serverIdentity = certificate("server", { by: ca, ips: true });
const clientIdentity = certificate("web1", { by: ca });
const client = { ca: ca.cert, cert: clientIdentity.cert, key: clientIdentity.key };

// ---------------------------------------------------------------------------------------------- the two ends

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

/** A started socket with what happened to it. */
function listen(socket: MessageSocket) {
  const messages: Buffer[] = [];
  const state = { messages, socket, closed: undefined as string | undefined, drains: 0, heard: 0 };
  socket.start({
    message: (bytes) => void messages.push(Buffer.from(bytes)),
    drained: () => void state.drains++,
    heard: () => void state.heard++,
    closed: (reason) => {
      expect(state.closed, "closed comes once").toBeUndefined();
      state.closed = reason;
    },
  });
  cleanUps.push(() => socket.abort());
  return state;
}

async function port(server: Server | TcpServer): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanUps.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

interface Serving {
  readonly identity?: Identity;
  readonly strict?: boolean;
  readonly tls12?: boolean;
  readonly refuse?: readonly [status: 403 | 404 | 503, reason: string, retryAfterMs?: number];
}

async function serve(options: Serving = {}) {
  const { identity = serverIdentity, strict = false } = options;
  const server = createHttpsServer({
    cert: identity.cert,
    key: identity.key,
    ca: ca.cert,
    requestCert: true,
    rejectUnauthorized: strict,
    ...(options.tls12 === true ? { maxVersion: "TLSv1.2" as const } : { minVersion: "TLSv1.3" as const }),
  });
  const acceptor = new WebSocketAcceptor();
  const accepted: MessageSocket[] = [];
  const raw: TLSSocket[] = [];
  server.on("tlsClientError", () => {});
  server.on("upgrade", (request, socket, head) => {
    raw.push(socket as TLSSocket);
    if (options.refuse !== undefined) refuseUpgrade(socket, ...options.refuse);
    else acceptor.accept(request, socket, head, (ready) => void accepted.push(ready));
  });
  const url = `wss://127.0.0.1:${String(await port(server))}/agent`;
  const next = async (): Promise<MessageSocket> => {
    await expect.poll(() => accepted.length).toBeGreaterThan(0);
    const socket = accepted.shift()!;
    cleanUps.push(() => socket.abort());
    return socket;
  };
  return { url, next, raw };
}

async function connected() {
  const server = await serve();
  const near = await dialWebSocket({ url: server.url, tls: client });
  return { near, far: await server.next(), server };
}

// ------------------------------------------------------------------------------------------------- the tests

describe("messages", () => {
  test("both ways, in order, empty and large ones, nothing before start", async () => {
    const { near, far } = await connected();
    const sizes = [0, 1, 125, 126, 65_535, 65_536, 1_000_000, maxMessageBytes];
    for (const [index, size] of sizes.entries()) near.send(Buffer.alloc(size, index));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const there = listen(far);
    await expect.poll(() => there.messages.length).toBe(sizes.length);
    expect(there.messages.map((message) => message.length)).toEqual(sizes);
    expect(there.messages.every((message, index) => message.every((byte) => byte === index))).toBe(true);
    expect(there.heard).toBeGreaterThan(1);
    const here = listen(near);
    far.send(Uint8Array.of(1, 2, 3));
    await expect.poll(() => here.messages).toEqual([Buffer.from([1, 2, 3])]);
  });

  test("many small ones of one turn travel in one write", async () => {
    const { near, far, server } = await connected();
    const there = listen(far);
    listen(near);
    const before = server.raw[0]!.bytesRead;
    for (let index = 0; index < 1000; index++) near.send(Uint8Array.of(index & 0xff));
    await expect.poll(() => there.messages.length).toBe(1000);
    // 1000 TLS records would cost 22 bytes each beyond the 7 bytes of each frame.
    expect(server.raw[0]!.bytesRead - before).toBeLessThan(8_000);
  });

  test("the client's certificate is there for the server to look at", async () => {
    const { server } = await connected();
    expect(server.raw[0]!.authorized).toBe(true);
    expect(server.raw[0]!.getPeerCertificate().subject.CN).toBe("web1");
    expect(server.raw[0]!.getProtocol()).toBe("TLSv1.3");
  });
});

describe("backpressure", () => {
  test("drained comes while others keep the queue full, not only when it is empty", async () => {
    const { near, far, server } = await connected();
    const here = listen(near);
    server.raw[0]!.pause();
    let sent = 0;
    while (near.bufferedBytes < 8 * 1024 * 1024) {
      near.send(Buffer.alloc(256 * 1024));
      sent++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(near.bufferedBytes).toBeGreaterThan(4 * 1024 * 1024);
    const before = here.drains;
    const there = listen(far);
    server.raw[0]!.resume();
    // One that sends at each turn whatever the queue: it is never empty.
    let emptied = false;
    let drainsWhileFull = 0;
    while (there.messages.length < sent + 50) {
      near.send(Buffer.alloc(256 * 1024));
      near.send(Buffer.alloc(256 * 1024));
      emptied ||= near.bufferedBytes === 0;
      await new Promise((resolve) => setImmediate(resolve));
      if (near.bufferedBytes > 0) drainsWhileFull = Math.max(drainsWhileFull, here.drains - before);
    }
    expect(emptied).toBe(false);
    expect(drainsWhileFull).toBeGreaterThan(0);
  });

  test("bufferedBytes returns to 0, and the last drained says so", async () => {
    const { near, far } = await connected();
    let last = -1;
    near.start({ message: () => {}, drained: () => (last = near.bufferedBytes), closed: () => {} });
    cleanUps.push(() => near.abort());
    for (let index = 0; index < 20; index++) near.send(Buffer.alloc(256 * 1024));
    const there = listen(far);
    await expect.poll(() => there.messages.length).toBe(20);
    await expect.poll(() => last).toBe(0);
    expect(near.bufferedBytes).toBe(0);
  });
});

describe("the end", () => {
  test("close sends what is queued first, and its reason reaches the other side", async () => {
    const { near, far } = await connected();
    const there = listen(far);
    const here = listen(near);
    for (let index = 0; index < 20; index++) near.send(Buffer.alloc(256 * 1024));
    near.close("done for today");
    near.send(Uint8Array.of(1));
    await expect.poll(() => there.closed).toBe("done for today");
    expect(there.messages).toHaveLength(20);
    await expect.poll(() => here.closed).toBe("done for today");
    near.close("again");
    near.abort();
  });

  test("a reason is cut to what a close frame holds, at a character's edge", async () => {
    const { near, far } = await connected();
    listen(near);
    const there = listen(far);
    near.close("ü".repeat(100));
    await expect.poll(() => there.closed).toBe("ü".repeat(60));
  });

  test("both may close at once", async () => {
    const { near, far } = await connected();
    const here = listen(near);
    const there = listen(far);
    near.close("a");
    far.close("b");
    await expect.poll(() => [here.closed, there.closed]).not.toContain(undefined);
  });

  test("abort, and a cut of the wire, are heard as a cut", async () => {
    const one = await connected();
    const there = listen(one.far);
    listen(one.near).socket.abort();
    await expect.poll(() => there.closed).toBe("the connection was cut");
    const two = await connected();
    const here = listen(two.near);
    two.server.raw[0]!.destroy();
    await expect.poll(() => here.closed).toBe("the connection was cut");
  });

  test("closed comes also for a socket that ended before anybody listened", async () => {
    const { near, far } = await connected();
    near.abort();
    far.abort();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const here = listen(near);
    const there = listen(far);
    await expect.poll(() => [here.closed, there.closed]).not.toContain(undefined);
  });

  test("close needs no listener to end in peace", async () => {
    const { near, far } = await connected();
    const there = listen(far);
    near.close("nobody listened");
    await expect.poll(() => there.closed, { timeout: 3000 }).toBe("nobody listened");
    const here = listen(near);
    await expect.poll(() => here.closed, { timeout: 3000 }).toBe("nobody listened");
  });
});

/** A WebSocket without our rules, for what our own side never does. */
async function bareClient(url: string, protocols: string[] = ["outpost"]): Promise<WebSocket> {
  const ws = new WebSocket(url, protocols, { ...client, skipUTF8Validation: true });
  ws.on("error", () => {});
  await once(ws, "open");
  cleanUps.push(() => ws.terminate());
  return ws;
}

describe("what is refused", () => {
  test("a text message: nothing after it is taken, and the other side hears why", async () => {
    const server = await serve();
    const bare = await bareClient(server.url);
    const there = listen(await server.next());
    const closed = once(bare, "close");
    bare.send("text");
    bare.send(Uint8Array.of(1));
    const [code, reason] = (await closed) as [number, Buffer];
    expect([code, reason.toString()]).toEqual([1003, "binary messages only"]);
    expect(there).toMatchObject({ messages: [], closed: "a message was not binary" });
  });

  test("a message that is too large, by its length alone", async () => {
    const server = await serve();
    const bare = await bareClient(server.url);
    const there = listen(await server.next());
    bare.send(Buffer.alloc(maxMessageBytes + 1));
    const [code] = (await once(bare, "close")) as [number];
    expect(code).toBe(1009);
    await expect.poll(() => there.closed).toBe("Max payload size exceeded");
  });

  test("a message in too many pieces", async () => {
    const server = await serve();
    const bare = await bareClient(server.url);
    const there = listen(await server.next());
    for (let index = 0; index < 100; index++) bare.send(Uint8Array.of(1), { fin: false });
    await expect.poll(() => there.closed).toMatch(/fragments/i);
  });

  test("a side that is told so by a close code says it in words", async () => {
    const { near, far, server } = await connected();
    const here = listen(near);
    listen(far);
    // A frame from the server with a reserved bit set: our side closes with 1002, the server's hears it.
    server.raw[0]!.write(hex("f2 00"));
    await expect.poll(() => here.closed).toMatch(/RSV/);
  });

  test("a client that does not offer our subprotocol", async () => {
    const server = await serve();
    const ws = new WebSocket(server.url, ["chat"], client);
    const [error] = (await once(ws, "error")) as [Error];
    expect(error.message).toContain("400");
  });

  test("a client that is gone before its refusal does no harm", async () => {
    const server = await serve({ refuse: [403, "no"] });
    for (let index = 0; index < 20; index++) {
      const socket = connectTls({ ...client, host: "127.0.0.1", port: Number(new URL(server.url).port) });
      socket.on("error", () => {});
      await once(socket, "secureConnect");
      socket.write("GET /agent HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
      socket.destroy();
    }
    await expect.poll(() => server.raw.every((socket) => socket.destroyed)).toBe(true);
  });
});

describe("dialling", () => {
  const dial = (url: string, tls: object = client): Promise<MessageSocket> =>
    dialWebSocket({ url, tls, timeoutMs: 2_000 });

  test.each([
    [403, "the host web1 was removed", "denied", "refused the connection: the host web1 was removed"],
    [404, "no such path", "controller_unreachable", "refused the connection: no such path"],
    [503, "300 agents are connecting", "busy", "asks to come back later: 300 agents are connecting"],
  ] as const)("a refusal with %i: %s", async (status, reason, code, message) => {
    const server = await serve({ refuse: [status, reason, 2_500] });
    await expect(dial(server.url)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
      data: { retryAfterMs: 3_000 },
    });
  });

  test("a refusal without a time to wait says none", async () => {
    const server = await serve({ refuse: [403, "nö\r\nX-Injected: 1"] });
    const error = await dial(server.url).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "denied", data: {} });
    expect((error as Error).message).toContain("n???X-Injected: 1");
  });

  test("a server of another CA, that sends its CA or does not", async () => {
    const server = await serve({ identity: certificate("server", { by: otherCa, ips: true }) });
    await expect(dial(server.url)).rejects.toMatchObject({
      code: "denied",
      message: expect.stringContaining("is not signed by the CA we trust"),
    });
    await expect(dial((await serve()).url, { ca: otherCa.cert })).rejects.toMatchObject({ code: "denied" });
    const lone = await serve({ identity: certificate("127.0.0.1") });
    await expect(dial(lone.url)).rejects.toMatchObject({ code: "denied" });
  });

  test("an expired certificate, one that is not valid yet, one for another name", async () => {
    const identities = [
      [certificate("server", { by: ca, ips: true, until: "2021-01-01" }), "has expired"],
      [certificate("server", { by: ca, ips: true, from: "2080-01-01" }), "is not valid yet"],
      [certificate("server", { by: ca, dns: "elsewhere.example" }), "is for other names (elsewhere.example)"],
    ] as const;
    for (const [identity, message] of identities) {
      const server = await serve({ identity });
      await expect(dial(server.url)).rejects.toMatchObject({
        code: "denied",
        message: expect.stringContaining(message),
      });
    }
  });

  test("no certificate, where the server insists at the handshake", async () => {
    const server = await serve({ strict: true });
    await expect(dial(server.url, { ca: ca.cert })).rejects.toMatchObject({
      code: "denied",
      message: expect.stringContaining("wants a certificate"),
    });
  });

  test("a certificate of another CA, where the server insists: an alert or a cut, as the race goes", async () => {
    const server = await serve({ strict: true });
    const stranger = certificate("web1", { by: otherCa });
    const error = dial(server.url, { ca: ca.cert, cert: stranger.cert, key: stranger.key });
    await expect(error).rejects.toMatchObject({
      code: expect.stringMatching(/^(denied|controller_unreachable)$/),
    });
  });

  test("a key that is not the certificate's", async () => {
    const tls = { ca: ca.cert, cert: clientIdentity.cert, key: otherCa.key };
    await expect(dial((await serve()).url, tls)).rejects.toMatchObject({
      code: "invalid_argument",
      message: "our certificate and our key do not belong together",
    });
  });

  test("nobody listens, by address and by name", async () => {
    const free = createTcpServer();
    const freePort = await port(free);
    free.close();
    await once(free, "close");
    for (const host of ["127.0.0.1", "localhost"]) {
      await expect(dial(`wss://${host}:${String(freePort)}`)).rejects.toMatchObject({
        code: "controller_unreachable",
        message: `nothing listens at ${host}:${String(freePort)}; is the controller running?`,
      });
    }
  });

  test("a name that nobody knows", async () => {
    await expect(dial("wss://no-such-host.invalid:7443")).rejects.toMatchObject({
      code: "controller_unreachable",
      message: "the name in no-such-host.invalid:7443 cannot be resolved",
    });
  });

  test("something that speaks no TLS, or an older one", async () => {
    const plain = createTcpServer(
      (socket) => void socket.on("error", () => {}).end("HTTP/1.1 400 Bad\r\n\r\n"),
    );
    await expect(dial(`wss://127.0.0.1:${String(await port(plain))}`)).rejects.toMatchObject({
      code: "controller_unreachable",
      message: expect.stringContaining("does not speak TLS"),
    });
    await expect(dial((await serve({ tls12: true })).url)).rejects.toMatchObject({
      message: expect.stringContaining("does not speak TLS 1.3"),
    });
  });

  test("something that says nothing, or that sends a byte now and then: the time is the time", async () => {
    const sockets: Socket[] = [];
    const silent = createTcpServer((socket) => void sockets.push(socket.on("error", () => {})));
    const url = `wss://127.0.0.1:${String(await port(silent))}`;
    cleanUps.push(() => sockets.forEach((socket) => socket.destroy()));
    await expect(dialWebSocket({ url, tls: client, timeoutMs: 100 })).rejects.toMatchObject({
      code: "timeout",
    });
  });

  test("something that cuts", async () => {
    const cutter = createTcpServer(
      (socket) => void socket.on("error", () => {}).once("data", () => socket.destroy()),
    );
    await expect(dial(`wss://127.0.0.1:${String(await port(cutter))}`)).rejects.toMatchObject({
      code: "controller_unreachable",
    });
  });

  test("a signal, before and in the middle", async () => {
    const silent = createTcpServer((socket) => void socket.on("error", () => {}));
    const url = `wss://127.0.0.1:${String(await port(silent))}`;
    await expect(dialWebSocket({ url, tls: client, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "cancelled",
    });
    const controller = new AbortController();
    const dialing = dialWebSocket({ url, tls: client, signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    await expect(dialing).rejects.toMatchObject({ code: "cancelled" });
  });

  test.each(["ws://127.0.0.1:1", "http://x", "nonsense", "wss://h:1/#part"])(
    "no address: %s",
    async (url) => {
      await expect(dial(url)).rejects.toMatchObject({ code: "invalid_argument" });
    },
  );

  test("plain TCP to the port of a server is nothing to it", async () => {
    const server = await serve();
    const socket = connectTcp(Number(new URL(server.url).port), "127.0.0.1");
    socket.on("error", () => {});
    socket.end("GET / HTTP/1.1\r\n\r\n");
    await once(socket, "close");
    await expect(dial(server.url)).resolves.toBeDefined();
    (await server.next()).abort();
  });
});
