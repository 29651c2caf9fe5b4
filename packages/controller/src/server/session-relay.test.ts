import { createHash, randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { type HostName, limits, newSessionId, newViewerId, type SessionId } from "@outpost/protocol";
import { describe, expect, test } from "vitest";
import { relayAttach, relayRead } from "./session-relay.ts";
import { Bench, type OperatorClient, until } from "./testing/bench.ts";
import type { FakeSession } from "./testing/fake-sessions.ts";
import { Viewer } from "./testing/viewer.ts";

const web1 = "web1" as HostName;

interface Asking {
  readonly signal: AbortSignal;
  readonly onEvent: (event: unknown) => void;
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A session on web1. */
async function opened(bench: Bench): Promise<{ client: OperatorClient; id: SessionId; fake: FakeSession }> {
  const client = await bench.client();
  const id = newSessionId();
  await client.request("session.open", {
    session: id,
    targets: "web1",
    spec: { env: {}, columns: 80, rows: 24, record: false, temporary: false, onExit: "end" },
  });
  return { client, id, fake: bench.agent("web1").sessions.session(id) };
}

async function type(viewer: Viewer, text: string | Uint8Array): Promise<void> {
  await until(() => viewer.keysBegun);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) {
    const room = Math.min(await viewer.keys.ready(), bytes.length - at);
    viewer.keys.send(bytes.subarray(at, at + room));
    at += room;
  }
}

describe("attaching", () => {
  test("both directions pass, in the operator's name; the end comes after all output", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id, fake } = await opened(bench);
    const viewer = new Viewer(client, "web1", id);
    const keys = randomBytes(100_000);
    await type(viewer, keys);
    const output = randomBytes(300_000);
    fake.write(output);
    await until(() => fake.keys.get(viewer.id)?.length === keys.length);
    expect(fake.attached.get(viewer.id)).toMatchObject({ operator: "alice", role: "control" });
    fake.end();
    expect(await viewer.finished).toMatchObject({ reason: "ended", status: { state: "closed" } });
    expect(digest(viewer.output)).toBe(digest(output));
    expect(digest(fake.keys.get(viewer.id)!)).toBe(digest(keys));
  });

  test("a slow operator holds its own stream back and nobody else; nothing is kept here", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id, fake } = await opened(bench);
    const slow = new Viewer(client, "web1", id, {
      isGranting: false,
      window: limits.minWindowBytes,
      role: "watch",
    });
    const quick = new Viewer(await bench.client(), "web1", id);
    await until(() => fake.attached.size === 2);
    const output = randomBytes(2_000_000);
    fake.write(output);
    await until(() => quick.output.length === output.length);
    // What the host has sent is what the operator has: nothing lies between them.
    expect(slow.output.length).toBe(limits.minWindowBytes);
    expect(fake.streams.get(slow.id)!.offset).toBe(limits.minWindowBytes);
    slow.stream!.grant(20_001);
    await until(() => slow.output.length === 20_001);
    expect(fake.streams.get(slow.id)!.offset).toBe(20_001);
    slow.isGranting = true;
    slow.stream!.grant(20_001 + slow.window);
    await until(() => slow.output.length === output.length);
    expect(digest(slow.output)).toBe(digest(output));
  });

  test("gaps and repaints come where they belong among the bytes", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id, fake } = await opened(bench);
    const bytes = Buffer.from("screen");
    // The first gap lies wholly beyond what the operator has granted so far.
    fake.insertions.push(
      { at: 10_000, gap: { from: 10_000, to: 90_000, reason: "lagging" } },
      { at: 90_000, repaint: { offset: 90_000, columns: 80, rows: 24, bytes } },
      { at: 95_000, gap: { from: 95_000, to: 95_500, reason: "dropped" } },
    );
    const output = randomBytes(120_000);
    fake.write(output);
    const viewer = new Viewer(client, "web1", id, { from: 0, window: limits.minWindowBytes });
    await until(() => viewer.stream?.offset === output.length);
    expect(viewer.order).toEqual([
      "attach.opened",
      "bytes",
      "gap 10000-90000",
      "repaint 90000",
      "bytes",
      "gap 95000-95500",
      "bytes",
    ]);
    const shown = [output.subarray(0, 10_000), output.subarray(90_000, 95_000), output.subarray(95_500)];
    expect(digest(viewer.output)).toBe(digest(Buffer.concat(shown)));
    expect(Buffer.from(viewer.repaints[0]!.bytes)).toEqual(bytes);
  });

  test("the host's refusal reaches the operator as it is", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id, fake } = await opened(bench);
    new Viewer(client, "web1", id);
    await until(() => fake.attached.size === 1);
    await expect(new Viewer(client, "web1", id).finished).rejects.toMatchObject({
      code: "busy",
      data: { operator: "alice" },
    });
    await expect(new Viewer(client, "web1", newSessionId()).finished).rejects.toMatchObject({
      code: "not_found",
    });
    await expect(new Viewer(client, "web9", id).finished).rejects.toMatchObject({ code: "not_found" });
  });

  test("leaving, and losing the operator, ends the attach on the host", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id, fake } = await opened(bench);
    const leave = new AbortController();
    const viewer = new Viewer(client, "web1", id, {}, leave.signal);
    await until(() => fake.attached.size === 1);
    leave.abort();
    await expect(viewer.finished).rejects.toMatchObject({ code: "cancelled" });
    await until(() => fake.attached.size === 0);
    const lost = new Viewer(client, "web1", id);
    await until(() => fake.attached.size === 1);
    await client.close("gone");
    await expect(lost.finished).rejects.toMatchObject({ code: "disconnected" });
    await until(() => fake.attached.size === 0);
    expect(fake.isEnded).toBe(false);
  });

  test("an operator that disconnects the session sends the viewers away, and they are told who", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id, fake } = await opened(bench);
    const viewer = new Viewer(client, "web1", id);
    await until(() => fake.attached.size === 1);
    await client.request("session.disconnect", { session: id });
    expect(await viewer.finished).toMatchObject({ reason: "disconnected", by: "alice" });
  });
});

describe("a host that cannot be reached", () => {
  test("is waited for, and the operator is told since when", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id, fake } = await opened(bench);
    await bench.cut("web1");
    const viewer = new Viewer(client, "web1", id, { from: 0 });
    await until(() => viewer.waitingSince.length === 1);
    expect(Math.abs(viewer.waitingSince[0]! - Date.now())).toBeLessThan(60_000);
    fake.write("while away");
    await bench.connect("web1");
    await until(() => viewer.text === "while away");
    expect(viewer.order).toEqual(["attach.waiting", "attach.opened", "bytes"]);
  });

  test("is not waited for when nobody knows such a session there", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client } = await opened(bench);
    await bench.cut("web1");
    await expect(new Viewer(client, "web1", newSessionId()).finished).rejects.toMatchObject({
      code: "not_found",
    });
  });

  test("is no longer waited for when the operator leaves", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id } = await opened(bench);
    await bench.cut("web1");
    const leave = new AbortController();
    const viewer = new Viewer(client, "web1", id, {}, leave.signal);
    await until(() => viewer.waitingSince.length === 1);
    leave.abort();
    await expect(viewer.finished).rejects.toMatchObject({ code: "cancelled" });
    await bench.connect("web1");
    await client.request("ping", {});
    expect(bench.agent("web1").count("session.attach")).toBe(0);
  });

  test("cut before the attach has begun, it is waited for again", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id, fake } = await opened(bench);
    bench.agent("web1").sessions.beforeAttached = () => new Promise(() => {});
    const viewer = new Viewer(client, "web1", id);
    await until(() => bench.agent("web1").count("session.attach") === 1);
    await bench.cut("web1");
    await until(() => viewer.waitingSince.length === 1);
    bench.agent("web1").sessions.beforeAttached = () => Promise.resolve();
    await bench.connect("web1");
    await type(viewer, "ls\r");
    await until(() => fake.keys.get(viewer.id)?.toString() === "ls\r");
  });

  test("cut later, it fails the attach; attached again from its offsets, no byte is lost or doubled", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id, fake } = await opened(bench);
    const first = new Viewer(client, "web1", id, { from: 0 });
    fake.write("one ");
    await type(first, "a");
    await until(() => first.text === "one " && fake.keys.get(first.id)?.toString() === "a");
    await bench.cut("web1");
    await expect(first.finished).rejects.toMatchObject({
      code: "host_unreachable",
      data: { host: "web1", since: expect.any(Number) },
    });
    fake.write("two");
    const second = new Viewer(client, "web1", id, { viewer: first.id, from: first.stream!.offset });
    await until(() => second.waitingSince.length === 1);
    await bench.connect("web1");
    await until(() => second.text === "two");
    expect(second.keysBegun).toBe(true);
    expect(second.keys.offset).toBe(1);
    await type(second, "b");
    await until(() => fake.keys.get(first.id)?.toString() === "ab");
  });

  test("whatever is written, typed and cut: both directions once, in order", async () => {
    const step = fc.oneof(
      fc.record({ write: fc.integer({ min: 1, max: 40_000 }) }),
      fc.record({ type: fc.integer({ min: 1, max: 20_000 }) }),
      fc.constant("cut" as const),
      fc.constant("cut the operator" as const),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 10 }), async (steps) => {
        await using bench = await Bench.create(["web1"]);
        const { client, id, fake } = await opened(bench);
        const viewerId = newViewerId();
        let via = client;
        let output = Buffer.alloc(0);
        let typed = Buffer.alloc(0);
        let isEnded = false;
        // As a client does: whatever cuts the attach, another one goes on from the offsets.
        const attach = (): Viewer => {
          const made = new Viewer(via, "web1", id, { viewer: viewerId, from: output.length });
          const stopped = (): void => {
            output = Buffer.concat([output, made.output]);
          };
          made.finished.then(
            () => {
              stopped();
              isEnded = true;
            },
            () => {
              stopped();
              viewer = attach();
            },
          );
          return made;
        };
        let viewer = attach();
        const pump = (): void => {
          const { keys, keysBegun } = viewer;
          if (!keysBegun || keys.ended) return;
          const room = Math.min(keys.sendable, typed.length - keys.offset);
          if (room > 0) keys.send(typed.subarray(keys.offset, keys.offset + room));
        };
        for (const action of steps) {
          if (action === "cut") {
            await bench.cut("web1");
            await bench.connect("web1");
          } else if (action === "cut the operator") {
            const old = via;
            via = await bench.client();
            await old.close("cut");
          } else if ("write" in action) {
            fake.write(randomBytes(action.write));
          } else {
            typed = Buffer.concat([typed, randomBytes(action.type)]);
            pump();
          }
          await new Promise((resolve) => setImmediate(resolve));
        }
        await until(() => {
          pump();
          return (fake.keys.get(viewerId)?.length ?? 0) === typed.length;
        });
        fake.end();
        await until(() => isEnded);
        expect(digest(output)).toBe(digest(fake.output));
        expect(digest(fake.keys.get(viewerId) ?? Buffer.alloc(0))).toBe(digest(typed));
      }),
      { numRuns: 20 },
    );
  });
});

describe("reading", () => {
  /** Reads until the answer. */
  async function read(client: OperatorClient, session: SessionId, more = {}) {
    let output = Buffer.alloc(0);
    const gaps: string[] = [];
    const { status } = await client.request(
      "session.read",
      { host: web1, session, what: "output", seen: false, follow: false, window: 20_000, ...more },
      {
        onEvent(event) {
          if (event.event === "read.gap") {
            const { from, to } = event.params.gap;
            gaps.push(`${String(from)}-${String(to)}`);
            stream?.skipTo(to);
            stream?.grant(to + 20_000);
            return;
          }
          const { stream: number, offset } = event.params;
          const made = client.acceptStream(
            number,
            { offset, window: 20_000 },
            {
              chunk(at, bytes) {
                output = Buffer.concat([output, bytes]);
                made.grant(at + bytes.byteLength + 20_000);
              },
              end: () => {},
            },
          );
          stream = made;
        },
      },
    );
    return { output, gaps, status };
  }
  let stream: { skipTo(to: number): void; grant(upTo: number): void } | undefined;

  test("passes output and gaps, at the operator's pace", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id, fake } = await opened(bench);
    const bytes = randomBytes(200_000);
    fake.write(bytes);
    fake.insertions.push({ at: 50_000, gap: { from: 50_000, to: 120_000, reason: "received" } });
    const { output, gaps, status } = await read(client, id);
    expect(gaps).toEqual(["50000-120000"]);
    expect(digest(output)).toBe(digest(Buffer.concat([bytes.subarray(0, 50_000), bytes.subarray(120_000)])));
    expect(status.output.written).toBe(200_000);
  });

  test("does not wait for a host: it fails, before and in the middle", async () => {
    await using bench = await Bench.create(["web1"]);
    const { client, id, fake } = await opened(bench);
    fake.write("hello");
    const unreachable = { code: "host_unreachable", data: { host: "web1", since: expect.any(Number) } };
    const following = expect(read(client, id, { follow: true })).rejects.toMatchObject(unreachable);
    await until(() => bench.agent("web1").count("session.read") === 1);
    await bench.cut("web1");
    await following;
    await expect(read(client, id)).rejects.toMatchObject(unreachable);
  });
});

test.each(["attach", "read"] as const)(
  "%s: a host that sends events faster than they are read fills no memory",
  async (kind) => {
    let bufferedBytes = 0;
    let events = 0;
    const gap = { event: `${kind}.gap`, params: { gap: { from: 0, to: 0, reason: "dropped" } } };
    const link = {
      isOpen: true,
      openStream: () => ({ number: 1, end() {} }),
      request(_method: string, _params: unknown, { signal, onEvent }: Asking) {
        return new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason as Error));
          for (let at = 0; at < 1_000; at++) onEvent(gap);
          reject(new Error("it went on"));
        });
      },
    };
    const options = {
      bus: { link: () => link },
      host: { id: "h", name: "web1" },
      relayed: () => {},
      operator: {
        get bufferedBytes() {
          return bufferedBytes;
        },
      },
    } as never;
    const call = {
      signal: new AbortController().signal,
      emit() {
        events++;
        bufferedBytes += limits.maxRepaintBytes;
      },
    } as never;
    const relay = kind === "attach" ? relayAttach : relayRead;
    await expect(relay(options, { host: "web1" } as never, call)).rejects.toMatchObject({
      code: "limit_exceeded",
    });
    expect(events).toBeLessThan(100);
  },
);
