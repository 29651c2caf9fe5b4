/** Attachments against a scripted host: what is shown and typed is exact over any cut. */
import { OutpostError } from "@outpost/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Attachment } from "./attachment.ts";
import type { AttachmentEvent } from "./session-events.ts";
import { ScriptedHost } from "./testing/scripted-host.ts";

/** Takes everything to the end, and checks that offsets have no holes. */
class Screen {
  readonly events: AttachmentEvent[] = [];
  readonly #pieces: Uint8Array[] = [];
  readonly done: Promise<void>;
  #expected: number | undefined;

  /** @param pause how many turns of the event loop it takes to show something */
  constructor(attachment: Attachment, pause = 0) {
    this.done = this.#show(attachment, pause);
    this.done.catch(() => {});
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  get types(): string[] {
    return this.events.map((event) => (event.type === "notice" ? event.code : event.type));
  }

  async #show(attachment: Attachment, pause: number): Promise<void> {
    for await (const event of attachment) {
      this.events.push(event);
      if (event.type === "output") {
        expect(event.offset).toBe(this.#expected ?? event.offset);
        this.#expected = event.offset + event.bytes.length;
        this.#pieces.push(event.bytes);
        await turns(pause);
      } else if (event.type === "gap") {
        this.#expected = event.to;
      }
    }
  }
}

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
};

async function attached(attachment: Attachment): Promise<void> {
  await expect.poll(() => attachment.isAttached).toBe(true);
}

describe("over cuts", () => {
  const does = fc.oneof(
    { weight: 4, arbitrary: fc.constant("writes" as const) },
    { weight: 4, arbitrary: fc.constant("types" as const) },
    { weight: 3, arbitrary: fc.constant("cuts" as const) },
    { weight: 1, arbitrary: fc.constant("repaints" as const) },
  );
  // fast-check's own sizes are a few bytes and steps.
  const step = fc.record({ does, count: fc.nat(5_000), turns: fc.nat(12) });
  const script = fc.array(step, { minLength: 5, maxLength: 25, size: "max" });

  /** Bytes that no others of the test look like. */
  const counted = (from: number, count: number): Buffer =>
    Buffer.from(Array.from({ length: count }, (_, index) => ((from + index) * 7_919) % 251));

  test("both directions are byte for byte what an uncut run gives", async () => {
    await fc.assert(
      fc.asyncProperty(script, fc.nat(5), async (steps, pause) => {
        const host = new ScriptedHost();
        await using client = host.client();
        const session = await client.session("work");
        const attachment = session.attach({ from: 0 });
        const screen = new Screen(attachment, pause);
        const typed: Uint8Array[] = [];
        let at = 0;
        for (const each of steps) {
          const bytes = counted(at, each.count);
          at += each.count;
          if (each.does === "writes") host.write(bytes);
          else if (each.does === "types") {
            typed.push(bytes);
            attachment.write(bytes).catch(() => {});
          } else if (each.does === "cuts") host.cut();
          else attachment.repaint();
          await turns(each.turns);
        }
        const expected = Buffer.concat(typed);
        await expect.poll(() => host.input.length, { interval: 1 }).toBe(expected.length);
        host.end();
        await screen.done;
        expect(screen.bytes.equals(host.output)).toBe(true);
        expect(host.input.equals(expected)).toBe(true);
        expect(host.viewers.size).toBe(1);
      }),
      { numRuns: 100 },
    );
  });

  test("says so, attaches again where it was, and asks for the screen", async () => {
    const host = new ScriptedHost();
    await using client = host.client();
    const attachment = (await client.session("work")).attach({ columns: 100, rows: 30 });
    const screen = new Screen(attachment);
    await attached(attachment);
    host.write(Buffer.from("one"));
    await expect.poll(() => screen.bytes.toString()).toBe("one");
    attachment.resize(120, 40);
    host.cut();
    host.write(Buffer.from("two"));
    await expect.poll(() => screen.bytes.toString()).toBe("onetwo");
    host.end();
    await screen.done;
    expect(screen.types).toEqual([
      "opened",
      "repaint",
      "output",
      "controller_reconnecting",
      "controller_reconnected",
      "opened",
      "output",
      "repaint",
      "end",
    ]);
    expect(host.attaches[0]).toMatchObject({ columns: 100, rows: 30, repaint: true });
    expect(host.attaches[0]).not.toHaveProperty("from");
    expect(host.attaches[1]).toMatchObject({ columns: 120, rows: 40, repaint: true, from: 3 });
    expect(screen.events.at(-1)).toMatchObject({ reason: "ended", status: { exit: { code: 7 } } });
  });

  test("a host that is away is waited for, with one notice", async () => {
    const host = new ScriptedHost();
    await using client = host.client();
    const attachment = (await client.session("work")).attach();
    const screen = new Screen(attachment);
    await attached(attachment);
    host.failAttached(new OutpostError("disconnected", "the agent was restarted"), 2);
    await expect.poll(() => screen.types).toContain("host_reconnected");
    host.end();
    await screen.done;
    expect(screen.types).toEqual([
      "opened",
      "repaint",
      "host_unreachable",
      "host_reconnected",
      "opened",
      "repaint",
      "end",
    ]);
  });

  test("a host that does not come back in time is an error", async () => {
    const host = new ScriptedHost();
    await using client = host.client();
    const attachment = (await client.session("work")).attach({ reconnectForMs: 50 });
    const screen = new Screen(attachment);
    await attached(attachment);
    host.failAttached(new OutpostError("host_unreachable", "away"), Number.POSITIVE_INFINITY);
    await expect(screen.done).rejects.toMatchObject({ code: "host_unreachable" });
  });

  test("who controls it meanwhile keeps it: we watch, and are told who", async () => {
    const host = new ScriptedHost();
    await using client = host.client();
    const attachment = (await client.session("work")).attach();
    const screen = new Screen(attachment);
    await attached(attachment);
    host.controlledBy = "alice";
    host.cut();
    await expect.poll(() => attachment.role).toBe("watch");
    await expect.poll(() => screen.types).toContain("changed");
    expect(screen.events.find(({ type }) => type === "changed")).toMatchObject({
      role: "watch",
      by: "alice",
    });
    await attachment.write(Buffer.from("dropped"));
    await attachment.takeControl();
    await attachment.write(Buffer.from("typed"));
    await expect.poll(() => host.input.toString()).toBe("typed");
    host.end();
    await screen.done;
  });
});

describe("what waits is bounded", () => {
  test("output, by a window, when nobody takes it", async () => {
    const host = new ScriptedHost();
    await using client = host.client();
    host.write(Buffer.alloc(1_000_000));
    const attachment = (await client.session("work")).attach({ from: 0 });
    await attached(attachment);
    await turns(400);
    expect(host.highestCredit).toBeLessThanOrEqual(host.attaches[0]!.window);
    await attachment.leave();
  });

  test("keystrokes, by a mebibyte, while the host takes none; then write waits", async () => {
    const host = new ScriptedHost();
    host.takes = false;
    await using client = host.client();
    const attachment = (await client.session("work")).attach();
    const screen = new Screen(attachment);
    await attached(attachment);
    await attachment.write(Buffer.alloc(1024 * 1024));
    let isWritten = false;
    const more = attachment.write(Buffer.from("x")).then(() => (isWritten = true));
    await turns(50);
    expect(isWritten).toBe(false);
    host.takes = true;
    host.cut();
    await more;
    await expect.poll(() => host.input.length, { timeout: 10_000 }).toBe(1024 * 1024 + 1);
    host.end();
    await screen.done;
  });

  test("repaints of a viewer that falls behind again and again become one, behind one gap", async () => {
    const host = new ScriptedHost();
    await using client = host.client();
    const attachment = (await client.session("work")).attach({ from: 0, maxLag: 20_000 });
    await attached(attachment);
    const [viewer] = host.viewers.values();
    for (let round = 0; round < 5; round++) {
      const from = host.skipTo;
      host.skipTo = from + 100_000;
      viewer!.call!.emit("attach.gap", { gap: { from, to: host.skipTo, reason: "lagging" } });
      const bytes = Buffer.from(`round ${String(round)}`);
      viewer!.call!.emit("attach.repaint", { offset: host.skipTo, columns: 80, rows: 24, bytes });
    }
    await turns(20);
    host.end();
    const screen = new Screen(attachment);
    await expect.poll(() => screen.types).toEqual(["opened", "gap", "repaint", "end"]);
    expect(screen.events[1]).toMatchObject({ from: 0, to: 500_000, reason: "lagging" });
    expect(Buffer.from((screen.events[2] as { bytes: Uint8Array }).bytes).toString()).toBe("round 4");
    await attachment.leave();
  });
});

describe("seen is what was shown", () => {
  test("the ranges that the consumer is done with, and no gap", async () => {
    const host = new ScriptedHost();
    await using client = host.client();
    host.write(Buffer.alloc(2_000));
    const attachment = (await client.session("work")).attach();
    for await (const event of attachment) {
      if (event.type === "repaint") host.write(Buffer.from("shown"));
      if (event.type === "output") host.end();
    }
    expect(host.acknowledged).toEqual([{ from: 2_000, to: 2_005 }]);
  });

  test("not the event in whose middle it was left", async () => {
    const host = new ScriptedHost();
    await using client = host.client();
    host.write(Buffer.alloc(777 * 3));
    let count = 0;
    for await (const event of (await client.session("work")).attach({ from: 0 })) {
      if (event.type === "output" && ++count === 3) break;
    }
    expect(host.acknowledged).toEqual([{ from: 0, to: 777 * 2 }]);
  });
});

test("a session that somebody else controls is busy; taken over it is not", async () => {
  const host = new ScriptedHost();
  host.controlledBy = "alice";
  await using client = host.client();
  const session = await client.session("work");
  await expect(new Screen(session.attach()).done).rejects.toMatchObject({ code: "busy" });
  const taking = session.attach({ takeOver: true });
  const screen = new Screen(taking);
  await attached(taking);
  // Once: whoever takes it back keeps it.
  host.cut();
  await expect.poll(() => taking.role).toBe("watch");
  expect(host.attaches.map(({ takeOver }) => takeOver)).toEqual([false, true, false, false]);
  await taking.leave();
  await screen.done;
});

test("a keystroke in the last moment gets there before the session is left", async () => {
  const host = new ScriptedHost();
  await using client = host.client();
  const attachment = (await client.session("work")).attach();
  await attached(attachment);
  await attachment.write(Buffer.from("exit\r"));
  await attachment.leave();
  expect(host.input.toString()).toBe("exit\r");
  await expect(attachment.write(Buffer.from("x"))).rejects.toMatchObject({ code: "cancelled" });
});

test("keystrokes that the host asks for twice end it: they could be typed twice", async () => {
  const host = new ScriptedHost();
  await using client = host.client();
  const attachment = (await client.session("work")).attach();
  const screen = new Screen(attachment);
  await attached(attachment);
  await attachment.write(Buffer.from("rm *"));
  await expect.poll(() => host.input.length).toBe(4);
  host.viewers.get(attachment.viewer)!.taken = 0;
  host.cut();
  await expect(screen.done).rejects.toMatchObject({ code: "protocol_error" });
});

test("the signal ends it as cancelled, also while it waits for the first answer", async () => {
  const host = new ScriptedHost();
  await using client = host.client();
  const session = await client.session("work");
  const abort = new AbortController();
  const screen = new Screen(session.attach({ signal: abort.signal }));
  abort.abort();
  await expect(screen.done).rejects.toMatchObject({ code: "cancelled" });
});
