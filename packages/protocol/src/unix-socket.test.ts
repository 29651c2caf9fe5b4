import { once } from "node:events";
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { messageHeader } from "./length-prefix.ts";
import { maxMessageBytes } from "./limits.ts";
import type { MessageSocket } from "./socket.ts";
import { dialUnixSocket, listenUnixSocket, maxUnixPathBytes } from "./unix-socket.ts";

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp();
});

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), "outpost-socket-"));
  cleanUps.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A started socket with what happened to it. */
function listen(socket: MessageSocket) {
  const messages: Buffer[] = [];
  const state = { messages, socket, closed: undefined as string | undefined, drains: 0, heard: 0 };
  socket.start({
    message: (bytes) => {
      expect(state.closed, "nothing comes after closed").toBeUndefined();
      messages.push(Buffer.from(bytes));
    },
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

async function serve(path = join(directory(), "s")) {
  const accepted: MessageSocket[] = [];
  const raw: Socket[] = [];
  const server = await listenUnixSocket(path, (socket) => void accepted.push(socket));
  server.on("connection", (socket) => void raw.push(socket));
  cleanUps.push(() => void server.close());
  const next = async (): Promise<MessageSocket> => {
    await expect.poll(() => accepted.length).toBeGreaterThan(0);
    const socket = accepted.shift()!;
    cleanUps.push(() => socket.abort());
    return socket;
  };
  return { path, server, next, raw };
}

async function connected() {
  const server = await serve();
  const near = await dialUnixSocket(server.path);
  cleanUps.push(() => near.abort());
  return { near, far: await server.next(), server };
}

/** A socket without our rules, for what our own side never does. */
async function bare(path: string, allowHalfOpen = false): Promise<Socket> {
  const socket = connect({ path, allowHalfOpen });
  socket.on("error", () => {});
  await once(socket, "connect");
  cleanUps.push(() => socket.destroy());
  return socket;
}

describe("messages", () => {
  test("both ways, in order, empty and large ones, nothing before start", async () => {
    const { near, far, server } = await connected();
    const sizes = [0, 1, 255, 65_535, 65_536, 1_000_000, maxMessageBytes];
    for (const [index, size] of sizes.entries()) near.send(Buffer.alloc(size, index));
    await expect.poll(() => server.raw[0]!.bytesRead).toBeGreaterThan(60_000);
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
    const { near, far } = await connected();
    const there = listen(far);
    const here = listen(near);
    for (let index = 0; index < 1000; index++) near.send(Uint8Array.of(index & 0xff));
    await expect.poll(() => there.messages.length).toBe(1000);
    expect(there.messages.every((message, index) => message[0] === (index & 0xff))).toBe(true);
    // Each write wakes the other side; these came together.
    expect(there.heard).toBeLessThan(10);
    await expect.poll(() => here.drains).toBe(1000);
  });

  test("a message that comes byte by byte, and a listener that aborts in the middle of many", async () => {
    const { path, next } = await serve();
    const socket = await bare(path);
    const there = listen(await next());
    for (const byte of [0, 0, 0, 2, 5, 6]) {
      socket.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => there.messages).toEqual([Buffer.from([5, 6])]);

    const other = await bare(path);
    const far = await next();
    const got: number[] = [];
    const closed = Promise.withResolvers<string>();
    far.start({
      message: (bytes) => {
        got.push(bytes[0]!);
        if (got.length === 2) far.abort();
      },
      drained: () => {},
      closed: closed.resolve,
    });
    other.write(Buffer.from("000000010100000001020000000103", "hex"));
    expect(await closed.promise).toBe("the connection was cut");
    expect(got).toEqual([1, 2]);
  });
});

describe("backpressure", () => {
  test("bufferedBytes grows while the other side does not read, and returns to 0, which the last drained says", async () => {
    const { near, far } = await connected();
    let last = -1;
    near.start({ message: () => {}, drained: () => (last = near.bufferedBytes), closed: () => {} });
    for (let index = 0; index < 20; index++) near.send(Buffer.alloc(256 * 1024));
    await new Promise((resolve) => setImmediate(resolve));
    expect(near.bufferedBytes).toBeGreaterThan(4 * 1024 * 1024);
    const there = listen(far);
    await expect.poll(() => there.messages.length).toBe(20);
    await expect.poll(() => last).toBe(0);
    expect(near.bufferedBytes).toBe(0);
  });

  test("drained comes while others keep the queue full, not only when it is empty", async () => {
    const { near, far, server } = await connected();
    const here = listen(near);
    const there = listen(far);
    server.raw[0]!.pause();
    let sent = 0;
    while (near.bufferedBytes < 8 * 1024 * 1024) {
      near.send(Buffer.alloc(256 * 1024));
      sent++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    const before = here.drains;
    server.raw[0]!.resume();
    let drainsWhileFull = 0;
    while (there.messages.length < sent + 50) {
      near.send(Buffer.alloc(256 * 1024));
      near.send(Buffer.alloc(256 * 1024));
      await new Promise((resolve) => setImmediate(resolve));
      if (near.bufferedBytes > 0) drainsWhileFull = Math.max(drainsWhileFull, here.drains - before);
    }
    expect(drainsWhileFull).toBeGreaterThan(0);
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
    expect(near.bufferedBytes).toBe(0);
    near.close("again");
    near.abort();
    near.send(Uint8Array.of(1));
  });

  test("the other side's close ends ours, after what we have queued", async () => {
    const { near, far } = await connected();
    const there = listen(far);
    const here = listen(near);
    for (let index = 0; index < 20; index++) near.send(Buffer.alloc(256 * 1024));
    far.close("enough");
    await expect.poll(() => here.closed).toBe("enough");
    await expect.poll(() => there.closed).toBe("enough");
    expect(there.messages).toHaveLength(20);
  });

  test("a reason is cut to what is kept, at a character's edge, and an empty one is put in words", async () => {
    const one = await connected();
    const long = [listen(one.near), listen(one.far)];
    one.near.close("ü".repeat(100));
    await expect.poll(() => long.map(({ closed }) => closed)).toEqual(["ü".repeat(60), "ü".repeat(60)]);
    const two = await connected();
    const there = listen(two.far);
    two.near.close("");
    await expect.poll(() => there.closed).toBe("the other side closed the connection");
  });

  test("both may close at once", async () => {
    const { near, far } = await connected();
    const here = listen(near);
    const there = listen(far);
    near.close("a");
    far.close("b");
    await expect.poll(() => [here.closed, there.closed]).toEqual(["a", "b"]);
  });

  test("abort, and a death of the other side, are heard as a cut", async () => {
    const one = await connected();
    const there = listen(one.far);
    const near = listen(one.near);
    // Unread data at the other side turns its end into a reset, and our writes into EPIPE.
    for (let index = 0; index < 20; index++) one.far.send(Buffer.alloc(256 * 1024));
    one.near.abort();
    await expect.poll(() => [near.closed, there.closed]).toEqual(Array(2).fill("the connection was cut"));
    const two = await connected();
    const here = listen(two.near);
    two.server.raw[0]!.destroy();
    await expect.poll(() => here.closed).toBe("the connection was cut");
  });

  test("half of a connection is none: an end without a reason is a cut", async () => {
    const { path, next } = await serve();
    const socket = await bare(path, true);
    const there = listen(await next());
    socket.write(Buffer.from("000000010100000005ff", "hex"));
    socket.end();
    await expect.poll(() => there.closed).toBe("the connection was cut");
    expect(there.messages).toEqual([Buffer.from([1])]);
  });

  test("closed comes also for a socket that ended before anybody listened, its last messages before it", async () => {
    const cut = await connected();
    cut.near.abort();
    const there = listen(cut.far);
    const here = listen(cut.near);
    await expect.poll(() => [here.closed, there.closed]).toEqual(Array(2).fill("the connection was cut"));
    const closed = await connected();
    closed.near.send(Uint8Array.of(7));
    closed.near.close("gone");
    await expect.poll(() => closed.server.raw[0]!.bytesRead).toBeGreaterThan(5);
    const late = listen(closed.far);
    await expect.poll(() => late.closed).toBe("gone");
    expect(late.messages).toEqual([Buffer.from([7])]);
  });

  test("close needs no listener to end in peace", async () => {
    const { near, far } = await connected();
    const there = listen(far);
    near.close("nobody listened");
    await expect.poll(() => there.closed).toBe("nobody listened");
    const here = listen(near);
    await expect.poll(() => here.closed).toBe("nobody listened");
  });

  test(
    "a side that does not read keeps nobody: close gives up after its time",
    { timeout: 15_000 },
    async () => {
      const { path, next } = await serve();
      const socket = await bare(path, true);
      socket.pause();
      const there = await next();
      const state = listen(there);
      for (let index = 0; index < 20; index++) there.send(Buffer.alloc(256 * 1024));
      there.close("done");
      await expect.poll(() => state.closed, { timeout: 10_000 }).toBe("done");
      expect(state.drains).toBeLessThan(20);
    },
  );
});

describe("what is refused", () => {
  test("a message that is too large, by its length alone; nothing after it is taken", async () => {
    const { path, next } = await serve();
    const socket = await bare(path);
    const there = listen(await next());
    socket.write(Buffer.concat([messageHeader(1), Uint8Array.of(9), messageHeader(maxMessageBytes + 1)]));
    socket.write(Buffer.concat([messageHeader(1), Uint8Array.of(9)]));
    await once(socket, "close");
    await expect.poll(() => there.closed).toBe("a message of 4194305 bytes; 4194304 is the limit");
    expect(there.messages).toHaveLength(1);
  });
});

/** As a user without rights, when the tests run as root. The calls that matter are made before it returns. */
function asNobody<T>(action: () => T): T {
  if (process.getuid!() !== 0) return action();
  process.seteuid!(65_534);
  try {
    return action();
  } finally {
    process.seteuid!(0);
  }
}

describe("dialling", () => {
  test("nobody listens: no such path, a file, and one who is dead", async () => {
    const path = directory();
    await expect(dialUnixSocket(join(path, "none"))).rejects.toMatchObject({
      code: "disconnected",
      message: `nothing listens at ${join(path, "none")}`,
    });
    writeFileSync(join(path, "file"), "");
    await expect(dialUnixSocket(join(path, "file"))).rejects.toMatchObject({ code: "disconnected" });
    // A process that was killed leaves its path behind.
    await leaveBehind(join(path, "dead"));
    await expect(dialUnixSocket(join(path, "dead"))).rejects.toMatchObject({ code: "disconnected" });
  });

  test("a directory that is somebody else's", async () => {
    const inner = join(directory(), "inner");
    mkdirSync(inner);
    const { path } = await serve(join(inner, "s"));
    // Ours alone; when we are not root, who may enter anything, not even ours.
    chmodSync(inner, process.getuid!() === 0 ? 0o700 : 0);
    cleanUps.push(() => chmodSync(inner, 0o700));
    await expect(asNobody(() => dialUnixSocket(path))).rejects.toMatchObject({
      code: "denied",
      message: `${path} may not be opened by this user`,
    });
  });

  test("a signal, before and in the middle", async () => {
    const { path } = await serve();
    await expect(dialUnixSocket(path, AbortSignal.abort())).rejects.toMatchObject({ code: "cancelled" });
    const controller = new AbortController();
    const dialling = dialUnixSocket(path, controller.signal);
    controller.abort(new Error("no more"));
    await expect(dialling).rejects.toMatchObject({ code: "cancelled", message: "no more" });
  });

  test("a path that the kernel would not take", async () => {
    const path = `/${"x".repeat(maxUnixPathBytes)}`;
    for (const attempt of [dialUnixSocket(path), listenUnixSocket(path, () => {})]) {
      await expect(attempt).rejects.toMatchObject({
        code: "invalid_argument",
        message: expect.stringContaining("use a shorter directory"),
      });
    }
    const parent = directory();
    const longest = join(parent, "y".repeat(maxUnixPathBytes - parent.length - 1));
    await serve(longest);
    cleanUps.push(await dialUnixSocket(longest).then((socket) => () => socket.abort()));
  });
});

/** A socket's path whose listener died without removing it. */
async function leaveBehind(path: string): Promise<void> {
  const server = createServer();
  server.listen({ path: `${path}.tmp` });
  await once(server, "listening");
  linkSync(`${path}.tmp`, path);
  server.close();
  await once(server, "close");
}

describe("listening", () => {
  test("the socket is its owner's alone, and replaces what a dead one left", async () => {
    const path = join(directory(), "s");
    await leaveBehind(path);
    await serve(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const socket = await dialUnixSocket(path);
    socket.abort();
  });

  test("closing the server removes the path, and leaves the connections that are there", async () => {
    const { near, far, server } = await connected();
    const there = listen(far);
    server.server.close();
    await expect(dialUnixSocket(server.path)).rejects.toMatchObject({ code: "disconnected" });
    near.send(Uint8Array.of(1));
    await expect.poll(() => there.messages.length).toBe(1);
  });

  test("an accept that fails does not end the process", async () => {
    const { path, server, next } = await serve();
    server.emit("error", Object.assign(new Error("accept EMFILE"), { code: "EMFILE" }));
    const socket = await dialUnixSocket(path);
    listen(await next());
    socket.abort();
  });

  test("no such directory, and one that is somebody else's", async () => {
    const path = directory();
    await expect(listenUnixSocket(join(path, "none", "s"), () => {})).rejects.toMatchObject({
      code: expect.stringMatching(/^(invalid_argument|denied)$/),
      message: expect.stringContaining(join(path, "none", "s")),
    });
    chmodSync(path, 0o500);
    cleanUps.push(() => chmodSync(path, 0o700));
    await expect(asNobody(() => listenUnixSocket(join(path, "s"), () => {}))).rejects.toMatchObject({
      code: "denied",
    });
  });
});
