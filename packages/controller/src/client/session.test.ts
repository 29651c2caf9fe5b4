/** Sessions against a scripted host: found, opened, read, entered. */
import { newSessionId, type SessionInfo } from "@outpost/protocol";
import { describe, expect, test } from "vitest";
import { readAsciicast } from "./asciicast.ts";
import type { SessionReceiveEvent } from "./session-events.ts";
import { ScriptedHost } from "./testing/scripted-host.ts";

const content = Buffer.from(Array.from({ length: 30_000 }, (_, index) => (index * 7) % 251));

async function collect(
  events: AsyncIterable<SessionReceiveEvent>,
): Promise<{ bytes: Buffer; types: string[] }> {
  const pieces: Uint8Array[] = [];
  const types: string[] = [];
  for await (const event of events) {
    if (event.type === "output") pieces.push(event.bytes);
    else types.push(event.type === "notice" ? event.code : event.type);
  }
  return { bytes: Buffer.concat(pieces), types };
}

describe("receive", () => {
  test("gives what nobody has seen, once, over a cut, and acknowledges it", async () => {
    const host = new ScriptedHost();
    host.write(content);
    await using client = host.client();
    const session = await client.session("work");
    const events = session.receive({ follow: true });
    const first = await events.next();
    host.cut();
    const rest = collect(events);
    await expect.poll(() => host.reads.length).toBe(2);
    host.end();
    const { bytes, types } = await rest;
    const begun = (first.value as { bytes: Uint8Array }).bytes;
    expect(Buffer.concat([begun, bytes]).equals(content)).toBe(true);
    expect(types).toEqual(["controller_reconnecting", "controller_reconnected", "end"]);
    expect(host.acknowledged).toEqual([{ from: 0, to: content.length }]);
    expect((await collect(session.receive())).bytes).toHaveLength(0);
  });

  test("with keep acknowledges nothing; from the start it asks for what was seen", async () => {
    const host = new ScriptedHost();
    host.write(content);
    await using client = host.client();
    const session = await client.session("work");
    const { bytes } = await collect(session.receive({ keep: true, fromStart: true }));
    expect(bytes.equals(content)).toBe(true);
    expect(host.acknowledged).toEqual([]);
    expect(host.reads[0]).toMatchObject({ from: 0, seen: true, follow: false, what: "output" });
  });

  test("an event in whose middle it was left comes again", async () => {
    const host = new ScriptedHost();
    host.write(content);
    await using client = host.client();
    const session = await client.session("work");
    for await (const event of session.receive()) {
      if (event.type === "output" && event.offset > 0) break;
    }
    expect(host.acknowledged).toEqual([{ from: 0, to: 777 }]);
    expect((await collect(session.receive())).bytes.equals(content.subarray(777))).toBe(true);
  });
});

describe("which session", () => {
  const info = (
    host: ScriptedHost,
    name: string,
    state: SessionInfo["status"]["state"],
    id = newSessionId(),
  ) => ({ host: name, status: { ...host.status, session: id, state } }) as SessionInfo;

  test("several hosts under one id are one session; an attach must say which host", async () => {
    const host = new ScriptedHost();
    const id = newSessionId();
    host.infos = [info(host, "web1", "opened", id), info(host, "web2", "opened", id)];
    await using client = host.client();
    const session = await client.session("work");
    expect(session.hosts).toEqual(["web1", "web2"]);
    expect(() => session.attach()).toThrow(/is on web1, web2; say which/);
    expect(() => session.attach({ host: "web3" })).toThrow(/is not on web3/);
  });

  test("several ids of one name are a conflict that names them; with a host there is one", async () => {
    const host = new ScriptedHost();
    host.infos = [info(host, "web1", "opened"), info(host, "web2", "opened")];
    await using client = host.client();
    await expect(client.session("work")).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining(`${host.infos[1]!.status.session} (web2)`),
    });
    expect((await client.session("work", { host: "web2" })).id).toBe(host.infos[1]!.status.session);
    await expect(client.session("work", { host: "web3" })).rejects.toMatchObject({ code: "not_found" });
  });

  test("the one that lives is meant, not those that had the name before", async () => {
    const host = new ScriptedHost();
    host.infos = [
      info(host, "web1", "closed"),
      info(host, "web1", "disconnected"),
      info(host, "web1", "broken"),
    ];
    await using client = host.client();
    expect((await client.session("work")).id).toBe(host.infos[1]!.status.session);
  });

  test("a job cannot run in one that has ended, nor with an environment of its own", async () => {
    const host = new ScriptedHost();
    host.infos = [info(host, "web1", "closed")];
    await using client = host.client();
    const command = { kind: "shell", text: "true" } as const;
    await expect(client.start({ sessions: ["work"], command })).rejects.toMatchObject({ code: "conflict" });
    const env = { A: "1" };
    await expect(client.start({ sessions: ["work"], command, env })).rejects.toMatchObject({
      code: "invalid_argument",
    });
    await expect(client.start({ command })).rejects.toMatchObject({ code: "invalid_argument" });
  });
});

describe("enter", () => {
  test("attaches without waiting for the opening's answer, and again when it was too early", async () => {
    const host = new ScriptedHost();
    host.infos = [];
    const gate = Promise.withResolvers<void>();
    host.opening = () => gate.promise;
    await using client = host.client();
    const attachment = await client.enter({ target: "web1", columns: 90, rows: 20 });
    await expect.poll(() => host.attaches.length).toBe(1);
    expect(host.opened).toEqual([]);
    host.write(Buffer.from("$ "));
    gate.resolve();
    for await (const event of attachment) {
      if (event.type === "output") host.end();
      if (event.type === "end") expect(event.reason).toBe("ended");
    }
    expect(host.opened).toEqual([attachment.session]);
    expect(host.attaches).toHaveLength(2);
    expect(host.attaches[1]).toMatchObject({ from: 0, repaint: false, columns: 90, rows: 20 });
  });

  test("cancelled before it is there, it is taken back", async () => {
    const host = new ScriptedHost();
    host.infos = [];
    host.opening = () => new Promise(() => {});
    await using client = host.client();
    const abort = new AbortController();
    const attachment = await client.enter({ target: "web1", signal: abort.signal });
    await expect.poll(() => host.attaches.length).toBe(1);
    const next = attachment[Symbol.asyncIterator]().next();
    abort.abort();
    await expect(next).rejects.toMatchObject({ code: "cancelled" });
    expect(host.removed).toEqual([attachment.session]);
  });

  test("what keeps it from being opened is the error", async () => {
    const host = new ScriptedHost();
    host.infos = [];
    host.opening = () => Promise.reject(new Error("no such shell"));
    await using client = host.client();
    const attachment = await client.enter({ target: "web1" });
    const next = attachment[Symbol.asyncIterator]().next();
    await expect(next).rejects.toThrow("no such shell");
    expect(host.removed).toEqual([]);
  });
});

test("a recording, read as asciicast", async () => {
  const host = new ScriptedHost();
  host.write(Buffer.from('{"version":2,"width":80,"height":24}\n[0.5,"o","hé'));
  host.write(Buffer.from('llo\\r\\n"]\n[1,"r","90x30"]\n[2,"o","cut o'));
  await using client = host.client();
  const session = await client.session("work");
  const lines = [];
  for await (const line of readAsciicast(session.recording())) lines.push(line);
  expect(lines).toEqual([
    { version: 2, width: 80, height: 24 },
    { atMs: 500, code: "o", data: "héllo\r\n" },
    { atMs: 1000, code: "r", data: "90x30" },
  ]);
  expect(host.reads[0]).toMatchObject({ what: "recording", from: 0 });
  expect(host.acknowledged).toEqual([]);
});

test.each([[["nonsense\n"]], [['{"version":1}\n']], [['{"version":2,"width":1,"height":1}\n', "[1]\n"]]])(
  "%j is no recording",
  async (texts) => {
    async function* bytes(): AsyncGenerator<Uint8Array> {
      for (const text of texts) yield Buffer.from(text);
    }
    const read = async (): Promise<void> => {
      for await (const _ of readAsciicast(bytes())) {
        // To the end.
      }
    };
    await expect(read()).rejects.toMatchObject({ code: "invalid_argument" });
  },
);
