import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import headless from "@xterm/headless";
import { limits, newSessionId, Peer, sessionHostMethods, type SessionId } from "@outpost/protocol";
import { memoryLink } from "@outpost/protocol/memory";
import { FakeClock } from "@outpost/protocol/testing";
import { afterEach, describe, expect, test } from "vitest";
import { hostPlatform } from "../platform/index.ts";
import {
  startHost,
  type TestAgent,
  type TestHost,
  type TestHostOptions,
  TestViewer,
  type TestViewerOptions,
} from "../testing/session-host.ts";

const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function host(options: TestHostOptions = {}): Promise<TestHost> {
  const started = await startHost(options);
  cleanups.push(async () => started[Symbol.asyncDispose]());
  return started;
}

function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), "outpost-test-"));
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function attach(
  agent: TestAgent,
  session: SessionId,
  options: TestViewerOptions = {},
): Promise<TestViewer> {
  return new TestViewer(session, options).attach(agent);
}

const shown = (viewer: TestViewer) => expect.poll(() => viewer.text, { timeout: 10_000 });

describe("a session", () => {
  test("opens, is typed at, and ends with its shell's exit code after all output", async () => {
    const agent = await (await host()).connect();
    const status = await agent.open();
    expect(status).toMatchObject({ state: "disconnected", availability: "available", integration: "sh" });
    const viewer = await attach(agent, status.session);
    expect(viewer.opened?.status).toMatchObject({
      state: "opened",
      viewers: [{ viewer: viewer.id, role: "control" }],
    });
    viewer.type("echo one-$((1+1))\r");
    await shown(viewer).toContain("one-2");
    viewer.type("seq 2000; exit 7\r");
    const result = await viewer.result!;
    expect(result).toMatchObject({
      reason: "ended",
      status: { state: "closed", exit: { code: 7 }, availability: "none" },
    });
    expect(result.status.reason).toEqual({ code: "exited", message: "its shell exited with code 7" });
    expect(viewer.text).toContain("\r\n1999\r\n2000\r\n");
  });

  test.each(["/bin/bash", "/bin/zsh"])("runs %s", async (shell) => {
    const agent = await (await host()).connect();
    const { session, integration } = await agent.open({ shell });
    expect(shell).toContain(integration);
    const viewer = await attach(agent, session);
    expect(viewer.repaints).toHaveLength(0);
    await expect.poll(() => viewer.repaints.length).toBe(1);
    expect(Buffer.from(viewer.repaints[0]!.bytes).toString()).toContain("[web1]");
    viewer.type("echo $OUTPOST_HOST $OUTPOST_SESSION $TERM\r");
    await shown(viewer).toContain(`web1 ${session} xterm-256color`);
  });

  test("asked for twice is one", async () => {
    const agent = await (await host()).connect();
    const id = newSessionId();
    const [one, two] = await Promise.all([agent.open({}, id), agent.open({}, id)]);
    expect(two).toEqual(one);
    expect((await agent.peer.request("session.list", {})).sessions).toHaveLength(1);
  });

  test("is refused when its name is taken, the host is full, its idle time too long, or its shell not there", async () => {
    const agent = await (await host({ settings: { maxSessions: 1 } })).connect();
    await agent.open({ name: "build" as never });
    await expect(agent.open({ name: "build" as never })).rejects.toMatchObject({ code: "conflict" });
    await expect(agent.open()).rejects.toMatchObject({ code: "limit_exceeded" });
    await expect(agent.open({ idleTimeoutMs: 1e12 })).rejects.toMatchObject({ code: "limit_exceeded" });
    const { session } = (await agent.peer.request("session.list", {})).sessions[0]!;
    await agent.peer.request("session.remove", { session, operator: "bob" });
    await expect(agent.open({ shell: "no-such-shell" })).rejects.toMatchObject({ code: "start_failed" });
    await expect(agent.open({ cwd: "/no/such/directory" })).rejects.toMatchObject({ code: "start_failed" });
    expect((await agent.peer.request("session.list", {})).sessions).toEqual([]);
  });

  test("has the size of the terminal that controls it", async () => {
    const agent = await (await host()).connect();
    const { session } = await agent.open();
    const viewer = await attach(agent, session, { columns: 100, rows: 30 });
    viewer.type("stty size\r");
    await shown(viewer).toContain("30 100");
    await agent.peer.request("session.resize", { session, viewer: viewer.id, columns: 120, rows: 40 });
    viewer.type("stty size\r");
    await shown(viewer).toContain("40 120");
    expect(await agent.status(session)).toMatchObject({ columns: 120, rows: 40 });
  });

  test("takes 5,000 pasted lines as they are", async () => {
    const file = join(temporary(), "pasted");
    const agent = await (await host()).connect();
    const { session } = await agent.open();
    const viewer = await attach(agent, session);
    viewer.type(`cat > ${file}\r`);
    await shown(viewer).toContain("cat >");
    const lines = Array.from({ length: 5_000 }, (_, i) => `line ${String(i)} ünïcödé ${"x".repeat(i % 60)}`);
    viewer.type(`${lines.join("\n")}\n\x04`);
    viewer.type("exit\r");
    await viewer.result;
    expect(readFileSync(file, "utf8")).toBe(`${lines.join("\n")}\n`);
  });

  test("gets Ctrl-C through while it prints without end", async () => {
    const agent = await (await host()).connect();
    const { session } = await agent.open();
    const viewer = await attach(agent, session);
    viewer.type("yes 0123456789012345678901234567890123456789\r");
    await expect.poll(() => viewer.position, { timeout: 20_000 }).toBeGreaterThan(2_000_000);
    const typedAt = performance.now();
    viewer.type("\x03");
    await expect.poll(async () => (await agent.status(session))?.availability).toBe("available");
    expect(performance.now() - typedAt).toBeLessThan(1_000);
  });

  test("tells its agent what becomes of it, and growth not more often than it needs to", async () => {
    const agent = await (await host()).connect();
    const { session } = await agent.open();
    const viewer = await attach(agent, session);
    viewer.type("i=0; while [ $i -lt 100 ]; do echo $i; sleep 0.005; i=$((i+1)); done\r");
    await shown(viewer).toContain("99\r\n");
    viewer.type("exit\r");
    await viewer.result;
    await expect
      .poll(() => [...new Set(agent.changes.map(({ state }) => state))])
      .toEqual(["opening", "disconnected", "opened", "closed"]);
    expect(agent.changes.some(({ availability, command }) => availability === "busy" && command !== "")).toBe(
      true,
    );
    expect(agent.changes.length).toBeLessThan(60);
  });
});

describe("after a cut", () => {
  test("both directions go on where they were: cut at random, nothing is lost or doubled", async () => {
    const running = await host();
    const file = join(temporary(), "typed");
    let agent = await running.connect();
    const { session } = await agent.open({ shell: "/bin/sh" });
    const viewer = new TestViewer(session, { repaint: false });
    await viewer.attach(agent);
    viewer.type(`stty -echo raw; echo go; head -c 300000 | tee ${file}; exit\r`);
    await shown(viewer).toContain("go");
    const from = Buffer.concat(viewer.chunks).indexOf("go\n") + 3;
    const typed = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8) * 13) & 0xff));
    let ended = false;
    for (let at = 0; !ended;) {
      const length = Math.floor(Math.random() * 8_000);
      viewer.type(typed.subarray(at, at + length));
      at += length;
      const wait = new Promise((resolve) => setTimeout(resolve, Math.random() * 8));
      const over = await Promise.race([
        viewer.result!.then(
          () => true,
          () => false,
        ),
        wait.then(() => false),
      ]);
      ended = over;
      if (ended) break;
      agent.cut();
      await viewer.result!.catch(() => {});
      agent = await running.connect();
      await viewer.attach(agent);
    }
    const sha = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
    expect(sha(readFileSync(file))).toBe(sha(typed));
    expect(sha(Buffer.concat(viewer.chunks).subarray(from, from + typed.length))).toBe(sha(typed));
    expect(viewer.gaps).toEqual([]);
  });

  test("a new connection takes over from one that is still there", async () => {
    const running = await host();
    const first = await running.connect();
    const { session } = await first.open();
    const viewer = await attach(first, session);
    const before = viewer.result!;
    const second = await running.connect();
    await viewer.attach(second);
    await expect(before).rejects.toMatchObject({ code: "conflict" });
    expect((await second.status(session))?.viewers).toHaveLength(1);
    viewer.type("echo still-$((20+3))\r");
    await shown(viewer).toContain("still-23");
  });

  test("the end is told also to who comes for it late", async () => {
    const running = await host();
    const agent = await running.connect();
    const { session } = await agent.open();
    const viewer = await attach(agent, session);
    viewer.type("sleep 0.2; echo last words; exit 4\r");
    await shown(viewer).toContain("exit 4");
    agent.cut();
    await viewer.result!.catch(() => {});
    const later = await running.connect();
    await expect.poll(async () => (await later.status(session))?.state).toBe("closed");
    await viewer.attach(later);
    expect(await viewer.result).toMatchObject({ reason: "ended", status: { exit: { code: 4 } } });
    expect(viewer.text).toContain("\r\nlast words\r\n");
    await expect(attach(later, session)).rejects.toMatchObject({ code: "conflict" });
    await expect.poll(() => later.gone, { timeout: 10_000 }).toEqual([session]);
  });
});

describe("viewers", () => {
  test("one controls, others watch: both see the same, and what watchers type is dropped", async () => {
    const agent = await (await host()).connect();
    const { session } = await agent.open();
    const controls = await attach(agent, session);
    const watches = await attach(agent, session, { role: "watch", operator: "bob", columns: 10, rows: 5 });
    watches.type("echo from the watcher\r");
    controls.type("echo from-$((30+3))\r");
    await shown(watches).toContain("from-33");
    await shown(controls).toContain("from-33");
    expect(controls.text).not.toContain("watcher");
    expect(await agent.status(session)).toMatchObject({ columns: 80, rows: 24 });
  });

  test("a second one that wants control is told who has it, unless it takes over", async () => {
    const agent = await (await host()).connect();
    const { session } = await agent.open();
    const former = await attach(agent, session);
    const wish = new TestViewer(session, { operator: "bob", columns: 100, rows: 50 });
    await expect(wish.attach(agent)).rejects.toMatchObject({
      code: "busy",
      message: expect.stringContaining("ada controls"),
      data: { operator: "ada" },
    });
    await wish.attach(agent, { takeOver: true });
    await expect
      .poll(() => former.changes)
      .toEqual([
        { role: "watch", by: "bob", columns: 80, rows: 24 },
        { role: "watch", columns: 100, rows: 50 },
      ]);
    former.type("echo from the former\r");
    wish.type("echo new-$((40+4)); stty size\r");
    await shown(wish).toContain("50 100");
    expect(wish.text).not.toContain("former");
    await agent.peer.request("session.role", { session, viewer: former.id, role: "control" });
    await expect.poll(() => wish.changes.some(({ role, by }) => role === "watch" && by === "ada")).toBe(true);
    expect(await agent.status(session)).toMatchObject({ columns: 80, rows: 24 });
  });

  test("nobody attaches as another operator's viewer", async () => {
    const agent = await (await host()).connect();
    const { session } = await agent.open();
    const viewer = await attach(agent, session);
    const asked = {
      session,
      viewer: viewer.id,
      operator: "mallory",
      role: "control",
      takeOver: true,
      columns: 80,
      rows: 24,
      repaint: false,
      window: limits.defaultWindowBytes,
      input: agent.peer.openStream().number,
    } as const;
    await expect(agent.peer.request("session.attach", asked)).rejects.toMatchObject({ code: "denied" });
    viewer.type("echo still-$((20+2))\r");
    await shown(viewer).toContain("still-22");
  });

  test("one that stalls holds up nobody, and goes on with a gap and a repaint", async () => {
    const agent = await (await host()).connect();
    const { session } = await agent.open();
    const stalls = await attach(agent, session, { role: "watch", stalled: true, maxLag: 1024 * 1024 });
    const viewer = await attach(agent, session, { silent: true });
    viewer.type("head -c 30000000 /dev/zero | tr '\\0' x; echo; echo done-$((50+5))\r");
    const before = process.memoryUsage().rss;
    const newest = () => Buffer.concat(viewer.chunks.slice(-4)).toString();
    await expect.poll(newest, { timeout: 25_000 }).toContain("done-55");
    expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024);
    expect(stalls.position).toBeLessThan(1024 * 1024);
    stalls.stall(false);
    await expect.poll(() => stalls.gaps.length, { timeout: 5_000 }).toBe(1);
    await expect.poll(() => stalls.repaints.length).toBe(2);
    expect(stalls.gaps[0]).toMatchObject({ reason: "lagging", to: stalls.repaints[1]!.offset });
    expect(Buffer.from(stalls.repaints[1]!.bytes).toString()).toContain("done-55");
    viewer.type("echo more-$((60+6))\r");
    await shown(stalls).toContain("more-66");
  }, 40_000);

  test("all are sent away, and the session goes on", async () => {
    const agent = await (await host()).connect();
    const { session } = await agent.open();
    const viewer = await attach(agent, session);
    const asked = { session, operator: "bob", idleTimeoutMs: 60_000, buffering: "block" as const };
    const { status } = await agent.peer.request("session.disconnect", asked);
    expect(status).toMatchObject({
      state: "disconnected",
      viewers: [],
      idleTimeoutMs: 60_000,
      buffering: "block",
    });
    expect(await viewer.result).toMatchObject({ reason: "disconnected", by: "bob" });
    const again = await attach(agent, session);
    again.type("echo again-$((70+7))\r");
    await shown(again).toContain("again-77");
  });

  test("exit leaves where that was asked for", async () => {
    const agent = await (await host()).connect();
    const { session } = await agent.open({ shell: "/bin/bash", onExit: "leave" });
    const viewer = await attach(agent, session);
    viewer.type("x=kept; exit\r");
    expect(await viewer.result).toMatchObject({ reason: "left" });
    const again = await attach(agent, session);
    again.type("echo is-$x\r");
    await shown(again).toContain("is-kept");
  });
});

describe("a repaint", () => {
  test("shows a full-screen program as it is, to whoever comes", async () => {
    const agent = await (await host()).connect();
    const { session } = await agent.open({ shell: "/bin/bash", columns: 60, rows: 20 });
    const first = await attach(agent, session, { columns: 60, rows: 20 });
    first.type("vim -u NONE -c 'set mouse=a' -c 'norm iwords' -c 'set laststatus=2'\r");
    await shown(first).toContain("words");
    await expect.poll(async () => (await agent.status(session))?.command).toContain("vim");
    first.leave();
    await first.result!.catch(() => {});
    const second = await attach(agent, session, { columns: 60, rows: 20 });
    await expect.poll(() => second.repaints.length).toBe(1);
    const terminal = new headless.Terminal({ cols: 60, rows: 20, allowProposedApi: true, logLevel: "off" });
    await new Promise<void>((resolve) => terminal.write(second.repaints[0]!.bytes, resolve));
    expect(terminal.buffer.active.type).toBe("alternate");
    expect(terminal.buffer.active.getLine(0)?.translateToString(true)).toBe("words");
    expect(terminal.modes.applicationCursorKeysMode).toBe(true);
    second.type("\x1b:q!\r");
    await expect.poll(async () => (await agent.status(session))?.availability).toBe("available");
  });

  test("questions of programs are answered while nobody looks", async () => {
    const agent = await (await host()).connect();
    const { session } = await agent.open({ shell: "/bin/bash" });
    const viewer = await attach(agent, session);
    viewer.type("sleep 0.3; IFS= read -rsdR -p $'\\e[6n' answer; echo \"got ${answer#?}\"\r");
    await shown(viewer).toContain("sleep");
    viewer.leave();
    await viewer.result!.catch(() => {});
    await expect
      .poll(async () => (await agent.read({ session, seen: true, from: 0 })).text)
      .toMatch(/got \[\d+;1/);
    // Whoever comes back with the question before him answers, too; that is one too many.
    await viewer.attach(agent);
    await shown(viewer).toContain("\x1b[6n");
    viewer.type("\x1b[1;1R");
    viewer.type("echo clean-$((80+8))\r");
    await shown(viewer).toContain("clean-88");
    expect(viewer.text).not.toContain("1R");
  });
});

describe("output that nobody sees", () => {
  const print = (bytes: number) => `head -c ${String(bytes)} /dev/zero | tr '\\0' x; echo; echo over\r`;

  async function leaveBehind(agent: TestAgent, session: SessionId, command: string): Promise<void> {
    const viewer = await attach(agent, session);
    viewer.type(command);
    await shown(viewer).toContain("head");
    viewer.leave();
    await viewer.result!.catch(() => {});
  }

  test("is kept, and read once", async () => {
    const agent = await (await host()).connect();
    const { session } = await agent.open();
    await leaveBehind(agent, session, `sleep 0.2; ${print(3_000_000)}`);
    await expect
      .poll(async () => (await agent.status(session))?.output.unread, { timeout: 10_000 })
      .toBeGreaterThan(3_000_000);
    await expect.poll(async () => (await agent.status(session))?.availability).toBe("available");
    const reading = await agent.read({ session });
    expect(reading.text.match(/x+/)?.[0]).toHaveLength(3_000_000);
    await agent.peer.request("session.acknowledge", { session, from: 0, to: reading.status.output.written });
    expect((await agent.read({ session })).text).toBe("");
    const again = await agent.read({ session, from: 0 });
    expect(again).toMatchObject({
      text: "",
      gaps: [{ from: 0, to: reading.status.output.written, reason: "received" }],
    });
    const kept = await agent.read({ session, from: 0, seen: true });
    expect(kept.text).toContain("over");
  });

  test("drop-oldest keeps the newest, and says what is missing", async () => {
    const agent = await (await host({ settings: { dropOldestBytes: 100_000 } })).connect();
    const { session } = await agent.open({ buffering: "drop-oldest" });
    await leaveBehind(agent, session, `sleep 0.2; ${print(2_000_000)}`);
    await expect
      .poll(async () => (await agent.read({ session })).text, { timeout: 10_000 })
      .toContain("\r\nover\r\n");
    const reading = await agent.read({ session });
    expect(reading.text.length).toBeLessThanOrEqual(100_000);
    expect(reading.gaps.at(-1)).toMatchObject({ reason: "dropped" });
    expect(reading.gaps.at(-1)!.to + reading.text.length).toBe(reading.status.output.written);
  });

  test("block makes the shell wait, until somebody comes", async () => {
    const directory = temporary();
    const agent = await (await host({ settings: { blockBytes: 100_000 } })).connect();
    const { session } = await agent.open({ buffering: "block" });
    await leaveBehind(agent, session, `sleep 0.2; ${print(2_000_000).trimEnd()}; touch ${directory}/over\r`);
    await expect.poll(async () => (await agent.status(session))?.output.unread).toBeGreaterThan(100_000);
    const { unread } = (await agent.status(session))!.output;
    expect(unread).toBeLessThan(300_000);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await agent.status(session))!.output.unread).toBe(unread);
    const viewer = await attach(agent, session);
    await shown(viewer).toContain("over");
  });
});

describe("a recording", () => {
  test("is kept and can be read", async () => {
    const agent = await (await host()).connect();
    const { session } = await agent.open({ record: true });
    const viewer = await attach(agent, session, { columns: 90, rows: 25 });
    viewer.type("echo recorded-$((90+9)); exit\r");
    await viewer.result;
    const { text } = await agent.read({ session, what: "recording" });
    const [header, ...events] = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown[]);
    expect(header).toMatchObject({ version: 2, width: 80, height: 24 });
    expect(events.some(([, code, data]) => code === "r" && data === "90x25")).toBe(true);
    const printed = events
      .filter(([, code]) => code === "o")
      .map(([, , data]) => data)
      .join("");
    expect(printed).toContain("recorded-99");
    await expect(
      agent.read({ session: (await agent.open()).session, what: "recording" }),
    ).rejects.toMatchObject({
      code: "not_found",
    });
  });
});

describe("the host", () => {
  test("is one on its directory", async () => {
    const { directory } = await host();
    await expect(startHost({ directory })).rejects.toMatchObject({ code: "busy" });
  });

  test("leaves when no session is left and nobody asks, but not while its agent would ask for ended ones", async () => {
    const clock = new FakeClock();
    const running = await host({ clock });
    let left = false;
    void running.host.ended.then(() => (left = true));
    const agent = await running.connect();
    const opening = agent.open();
    await expect.poll(async () => (await clock.advance(0), agent.changes.at(-1)?.state)).toBe("disconnected");
    const { session } = await opening;
    await clock.advance(60_000);
    expect(left).toBe(false);
    const viewer = await attach(agent, session, { silent: true });
    viewer.type("exit\r");
    await expect
      .poll(async () => (await clock.advance(30), (await agent.status(session))?.state))
      .toBe("closed");
    await clock.advance(60_000);
    expect(left).toBe(false);
    await agent.peer.request("session.remove", { session, operator: "ada" });
    await clock.advance(8_000);
    expect(left).toBe(false);
    await clock.advance(3_000);
    await expect.poll(() => left).toBe(true);
    expect(await agent.peer.closed).toMatchObject({ message: "the session host leaves" });
  });

  test("opens nothing while it leaves: the next one is asked", async () => {
    const running = await host();
    const agent = await running.connect();
    const { session } = await agent.open();
    const viewer = await attach(agent, session);
    viewer.type("trap '' HUP; echo armed-$((3+3))\r");
    await shown(viewer).toContain("armed-6");
    const left = running.host[Symbol.asyncDispose]();
    await expect(agent.open()).rejects.toMatchObject({ code: "disconnected" });
    await left;
  });

  test("speaks a version that its agent knows, or says so", async () => {
    const running = await host();
    const link = memoryLink();
    running.host.serve(link.sockets[1]);
    const peer = new Peer(link.sockets[0], { local: {}, remote: sessionHostMethods, handlers: {} });
    const hello = { versions: { min: 90, max: 99 }, software: "outpost-agent 9", maxMessageBytes: 1_000_000 };
    await expect(peer.request("hello", hello)).rejects.toMatchObject({ code: "version_mismatch" });
  });
});

describe("the end", () => {
  test("of an idle session that nobody is connected to", async () => {
    const clock = new FakeClock();
    const agent = await (await host({ clock, settings: { defaultIdleTimeoutMs: 60_000 } })).connect();
    const opening = agent.open();
    await expect
      .poll(async () => (await clock.advance(0), agent.changes.some(({ state }) => state === "disconnected")))
      .toBe(true);
    const { session, expiresAt, disconnectedAt } = await opening;
    expect(expiresAt).toBe(disconnectedAt! + 60_000);
    const viewer = await attach(agent, session);
    await clock.advance(100_000);
    expect(await agent.status(session)).toMatchObject({ state: "opened" });
    viewer.leave();
    await viewer.result!.catch(() => {});
    await expect.poll(async () => (await agent.status(session))?.state).toBe("disconnected");
    await clock.advance(59_000);
    expect(await agent.status(session)).toMatchObject({ state: "disconnected" });
    await clock.advance(2_000);
    await expect
      .poll(async () => (await clock.advance(10), (await agent.status(session))?.state))
      .toBe("closed");
    expect((await agent.status(session))?.reason).toEqual({
      code: "idle_timeout",
      message: "it was disconnected and idle for its idle time, 1 minute",
    });
  });

  test("by removal takes all that runs with it", async () => {
    const agent = await (await host()).connect();
    const { session } = await agent.open({ shell: "/bin/bash" });
    const viewer = await attach(agent, session);
    viewer.type("nohup sleep 12345 >/dev/null & trap '' HUP; echo pid $!.\r");
    await shown(viewer).toMatch(/pid \d+\./);
    const pid = Number(/pid (\d+)\./.exec(viewer.text)![1]);
    await agent.peer.request("session.remove", { session, operator: "bob" });
    expect(await viewer.result).toMatchObject({
      reason: "ended",
      status: { state: "closed", reason: { code: "removed", by: "bob" } },
    });
    expect(hostPlatform().startTime(pid)).toBeUndefined();
    expect(agent.gone).toEqual([session]);
    await agent.peer.request("session.remove", { session, operator: "bob" });
    await expect(attach(agent, session)).rejects.toMatchObject({ code: "not_found" });
  });

  test("of a temporary session that was seen is forgotten soon, another one's kept", async () => {
    const agent = await (await host()).connect();
    const temporarySession = (await agent.open({ temporary: true })).session;
    const kept = (await agent.open()).session;
    for (const session of [temporarySession, kept]) {
      const viewer = await attach(agent, session, { silent: session === kept });
      viewer.type("exit\r");
      await viewer.result;
    }
    await expect.poll(() => agent.gone, { timeout: 10_000 }).toEqual([temporarySession]);
    expect(await agent.status(kept)).toMatchObject({ state: "closed" });
  });

  test("of the host: the next one says that its sessions are broken, with their output", async () => {
    const directory = temporary();
    const first = await startHost({ directory });
    const agent = await first.connect();
    const { session } = await agent.open();
    const viewer = await attach(agent, session, { silent: true });
    viewer.type("echo before-$((90+1))\r");
    await shown(viewer).toContain("before-91");
    await first[Symbol.asyncDispose]();
    const second = await host({ directory });
    const later = await second.connect();
    expect(await later.status(session)).toMatchObject({
      state: "broken",
      reason: { code: "session_host_died" },
    });
    expect((await later.read({ session })).text).toContain("before-91");
  });
});
