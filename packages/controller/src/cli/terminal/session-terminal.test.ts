/** A session on a terminal that the test holds, against a scripted host. */
import type { ViewerRole } from "@outpost/protocol";
import { describe, expect, test } from "vitest";
import type { Attachment } from "../../client/index.ts";
import { ScriptedHost } from "../../client/testing/scripted-host.ts";
import { clearScreen } from "./sequences.ts";
import { type SessionOutcome, showSession } from "./session-terminal.ts";
import type { Terminal, TerminalListener, TerminalSize } from "./terminal.ts";

class FakeTerminal implements Terminal {
  size: TerminalSize = { columns: 80, rows: 24 };
  shown = "";
  suspended = 0;
  /** Undefined while the terminal is the shell's. */
  listener: TerminalListener | undefined;
  /** What the next writes wait for. */
  stall: Promise<void> = Promise.resolve();

  takeOver(listener: TerminalListener): Disposable {
    this.listener = listener;
    return { [Symbol.dispose]: () => void (this.listener = undefined) };
  }

  async write(data: Uint8Array | string): Promise<void> {
    await this.stall;
    this.shown += Buffer.from(data as string).toString();
  }

  suspend(): void {
    this.suspended++;
  }

  async type(text: string): Promise<void> {
    await expect.poll(() => this.listener).toBeDefined();
    await this.listener?.typed(Buffer.from(text));
  }
}

interface Stage {
  readonly host: ScriptedHost;
  readonly terminal: FakeTerminal;
  readonly attachment: Attachment;
  readonly outcome: Promise<SessionOutcome>;
}

/** Shows the session until the test has looked, and gives everything back then. */
async function onStage(look: (stage: Stage) => Promise<void>, role: ViewerRole = "control"): Promise<void> {
  const host = new ScriptedHost();
  await using client = host.client();
  const terminal = new FakeTerminal();
  const attachment = (await client.session("work")).attach({ ...terminal.size, role });
  const outcome = showSession({
    attachment,
    terminal,
    reference: "work",
    escape: "~",
    beforeOpened: () => Promise.resolve(),
  });
  await expect.poll(() => terminal.listener).toBeDefined();
  await look({ host, terminal, attachment, outcome });
  await attachment.leave();
  await outcome.catch(() => {});
  expect(terminal.listener).toBeUndefined();
}

describe("ways out", () => {
  test("the shell's end", () =>
    onStage(async ({ host, outcome }) => {
      host.end();
      expect(await outcome).toMatchObject({ kind: "ended", event: { status: { exit: { code: 7 } } } });
    }));

  test("~. at the beginning of a line: what was typed before gets there, nothing after", () =>
    onStage(async ({ host, terminal, outcome }) => {
      await terminal.type("make\r~.exit\r");
      expect(await outcome).toEqual({ kind: "left" });
      expect(host.input.toString()).toBe("make\r");
    }));

  test("a terminal that has gone", () =>
    onStage(async ({ terminal, outcome }) => {
      terminal.listener!.hungUp("SIGHUP");
      expect(await outcome).toEqual({ kind: "hung up", signal: "SIGHUP" });
    }));

  test("a failure: the terminal is given back before it is told", () =>
    onStage(async ({ host, terminal, outcome, attachment }) => {
      host.viewers.get(attachment.viewer)!.taken = 5;
      host.cut();
      await expect(outcome).rejects.toMatchObject({ code: "protocol_error" });
      expect(terminal.listener).toBeUndefined();
    }));
});

describe("on the screen", () => {
  test("a cut is one line, and then the screen is painted", () =>
    onStage(async ({ host, terminal }) => {
      host.write(Buffer.from("one"));
      await expect.poll(() => terminal.shown).toContain("one");
      terminal.shown = "";
      host.write(Buffer.from("two"));
      host.cut();
      host.write(Buffer.from("three"));
      await expect.poll(() => terminal.shown).toContain("screen at 11");
      const [before, after] = terminal.shown.split("[outpost: web1: connection lost; reconnecting …]");
      expect(`${before!}${after!}`).toContain("two");
      expect(after).toContain("three");
      expect(after!.lastIndexOf(clearScreen)).toBeLessThan(after!.indexOf("screen at 11"));
      // The session's own screen is not put into the scrollback once more.
      expect(after).not.toContain("\n\n\n");
    }));

  test("what stood there when it began is kept in the scrollback", () =>
    onStage(async ({ terminal }) => {
      await expect.poll(() => terminal.shown).toContain("screen at 0");
      expect(terminal.shown).toContain("\n".repeat(24));
    }));

  test("who took over, and how to get control back", () =>
    onStage(async ({ host, terminal }) => {
      for (const { call } of host.viewers.values())
        call!.emit("attach.changed", { role: "watch", columns: 80, rows: 24, by: "alice" });
      await expect.poll(() => terminal.shown).toContain("alice took over");
      await terminal.type("x");
      expect(terminal.shown).toContain("\u0007");
      await terminal.type("\r~t");
      await expect.poll(() => terminal.shown).toContain("you control the session now");
      await terminal.type("ls\r");
      await expect.poll(() => host.input.toString()).toBe("ls\r");
    }));

  test("what a slow terminal was not shown, and where it is", () =>
    onStage(async ({ host, terminal }) => {
      for (const { call } of host.viewers.values()) {
        call!.emit("attach.gap", { gap: { from: 0, to: 2_000_000, reason: "lagging" } });
        call!.emit("attach.repaint", { offset: 2_000_000, columns: 80, rows: 24, bytes: Buffer.from("now") });
      }
      await expect.poll(() => terminal.shown).toContain("now");
      expect(terminal.shown).toContain(
        "2.0 MB of output skipped, because this terminal was behind; see: outpost session receive work",
      );
    }));

  test("a watched session of another size is said to be so, once", () =>
    onStage(async ({ host, terminal, attachment }) => {
      terminal.size = { columns: 100, rows: 30 };
      attachment.repaint();
      await expect.poll(() => terminal.shown).toContain("the session is 80×24, this terminal 100×30");
      terminal.shown = "";
      attachment.repaint();
      await expect.poll(() => terminal.shown).toContain("screen at");
      expect(terminal.shown).not.toContain("this terminal");
      expect(host.input).toHaveLength(0);
    }, "watch"));
});

test("a terminal that takes nothing gives no credit", () =>
  onStage(async ({ host, terminal }) => {
    const gate = Promise.withResolvers<void>();
    await expect.poll(() => terminal.shown).toContain("screen at 0");
    terminal.stall = gate.promise;
    host.write(Buffer.alloc(2_000_000, "x"));
    for (let turn = 0; turn < 1_000; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(host.highestCredit).toBeLessThan(600_000);
    gate.resolve();
    await expect.poll(() => terminal.shown.length).toBeGreaterThan(2_000_000);
  }));

test("its size follows the terminal's", () =>
  onStage(async ({ host, terminal }) => {
    terminal.listener!.resized({ columns: 132, rows: 43 });
    await expect.poll(() => host.sizes).toContainEqual([132, 43]);
  }));

test("back from being stopped, the screen is painted", () =>
  onStage(async ({ host, terminal }) => {
    await terminal.type("~\u001a");
    expect(terminal.suspended).toBe(1);
    await expect.poll(() => terminal.shown).toContain("screen at 0");
    terminal.shown = "";
    terminal.size = { columns: 90, rows: 20 };
    terminal.listener!.resumed();
    await expect.poll(() => terminal.shown).toContain("screen at 0");
    expect(host.attaches.at(-1)).toMatchObject({ columns: 90, rows: 20, repaint: true });
    expect(terminal.shown).not.toContain("reconnecting");
  }));

test("~? lists the escapes", () =>
  onStage(async ({ terminal }) => {
    await terminal.type("~?");
    expect(terminal.shown).toMatch(/~\.\s+leave; the session goes on/);
  }));
