/** What is on a terminal that the test holds while a picture is drawn again and again. */
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { describe, expect, test } from "vitest";
import type { Terminal, TerminalListener, TerminalSize } from "./terminal.ts";
import { clip, fitHeight, watch } from "./watch.ts";

class FakeTerminal implements Terminal {
  size: TerminalSize = { columns: 40, rows: 6 };
  raw = "";
  suspended = 0;
  listener: TerminalListener | undefined;

  takeOver(listener: TerminalListener): Disposable {
    this.listener = listener;
    return {
      [Symbol.dispose]: () => {
        this.listener = undefined;
        this.raw += "<given back>";
      },
    };
  }

  write(data: Uint8Array | string): Promise<void> {
    this.raw += Buffer.from(data as string).toString();
    return Promise.resolve();
  }

  suspend(): void {
    this.suspended++;
  }

  type(text: string): void {
    void this.listener!.typed(Buffer.from(text));
  }
}

describe("a picture that is drawn again", () => {
  test("is another each time, until q; the last one stays", async () => {
    const terminal = new FakeTerminal();
    let drawn = 0;
    const ended = watch({
      terminal,
      intervalMs: 1,
      render: () => Promise.resolve(`picture ${String(++drawn)}`),
    });
    await expect.poll(() => drawn).toBeGreaterThan(3);
    terminal.type("q");
    expect(await ended).toBe("left");
    const [screen, after] = terminal.raw.split("<given back>");
    expect(screen).toMatch(/^\u001b\[\?1049h/);
    expect(screen).toContain("picture 1");
    expect(after).toMatch(/^picture \d+\n$/);
  });

  test("stays as wide as the window is", async () => {
    const terminal = new FakeTerminal();
    terminal.size = { columns: 10, rows: 6 };
    const render = (): Promise<string> => Promise.resolve("short\n0123456789abc");
    await watch({ terminal, intervalMs: 1, render, isOver: () => true });
    expect(terminal.raw.split("<given back>")[1]).toBe("short\n0123456789\u001b[0m\n");
  });

  test("is drawn for the window's new size at once, and by a key", async () => {
    const terminal = new FakeTerminal();
    const sizes: string[] = [];
    const ended = watch({
      terminal,
      intervalMs: 3_600_000,
      render: (columns, rows) => {
        sizes.push(`${String(columns)}x${String(rows)}`);
        return Promise.resolve("one\ntwo\nthree\nlast");
      },
    });
    await expect.poll(() => sizes).toEqual(["40x6"]);
    terminal.size = { columns: 20, rows: 2 };
    terminal.listener!.resized(terminal.size);
    await expect.poll(() => sizes).toEqual(["40x6", "20x2"]);
    terminal.type(" ");
    await expect.poll(() => sizes.length).toBe(3);
    terminal.raw = "";
    terminal.type(" ");
    await expect.poll(() => sizes.length).toBe(4);
    // Two rows: the first line and the last one.
    expect(terminal.raw).toContain("one");
    expect(terminal.raw).toContain("last");
    expect(terminal.raw).not.toContain("two");
    terminal.type("\u001a");
    expect(terminal.suspended).toBe(1);
    terminal.type("\u0003");
    expect(await ended).toBe("left");
  });

  test("goes on while the controller cannot be reached, and says so", async () => {
    const terminal = new FakeTerminal();
    let asked = 0;
    const ended = watch({
      terminal,
      intervalMs: 1,
      render: () => {
        asked++;
        if (asked === 2)
          return Promise.reject(new OutpostError(ErrorCode.controllerUnreachable, "it is gone\u001b[2J"));
        return Promise.resolve(`table\nstatus ${String(asked)}`);
      },
      isOver: () => asked >= 3,
    });
    expect(await ended).toBe("over");
    expect(terminal.raw).toContain("it is gone�[2J");
    expect(terminal.raw.split("<given back>")[1]).toBe("table\nstatus 3\n");
  });

  test("ends with what else goes wrong, and the terminal is given back", async () => {
    const terminal = new FakeTerminal();
    const denied = new OutpostError(ErrorCode.denied, "no");
    await expect(watch({ terminal, intervalMs: 1, render: () => Promise.reject(denied) })).rejects.toBe(
      denied,
    );
    expect(terminal.raw).toMatch(/<given back>$/);
  });

  test("can be left while an answer is waited for", async () => {
    const terminal = new FakeTerminal();
    const leaving = new AbortController();
    const render = (): Promise<string> => new Promise<string>(() => {});
    const ended = watch({ terminal, intervalMs: 1, render, signal: leaving.signal });
    leaving.abort();
    expect(await ended).toBe("left");
  });
});

test.each([
  [4, "HEAD\na\nb\nlast"],
  [3, "HEAD\n… and 2 more\nlast"],
  [2, "… and 3 more\nlast"],
  [1, "last"],
])("in %i rows", (rows, shown) => {
  expect(fitHeight(["HEAD", "a", "b"], "last", rows)).toBe(shown);
});

test.each([
  ["short", 10, "short"],
  ["exactly", 7, "exactly"],
  ["too long", 5, "too l"],
  ["\u001b[31mred\u001b[0m line", 5, "\u001b[31mred\u001b[0m l"],
  ["日本語", 5, "日本"],
  ["", 3, ""],
])("%j in %i columns", (line, columns, shown) => {
  expect(clip(line, columns)).toBe(shown);
});
