import headless from "@xterm/headless";
import { limits } from "@outpost/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MarkScanner } from "./shell/marks.ts";
import { Screen, type Snapshot } from "./screen.ts";

const { Terminal } = headless;
type Emulator = InstanceType<typeof Terminal>;

const columns = 20;
const rows = 6;

interface Fed {
  readonly screen: Screen;
  readonly answers: { readonly answer: string; readonly offset: number }[];
  write(data: string | Uint8Array, answer?: boolean): void;
}

function open(size: { columns: number; rows: number } = { columns, rows }, scrollbackLines = 50): Fed {
  const answers: { answer: string; offset: number }[] = [];
  const screen = new Screen({
    ...size,
    scrollbackLines,
    onAnswer: (answer, offset) => answers.push({ answer, offset }),
  });
  const scanner = new MarkScanner("nonce");
  let offset = 0;
  return {
    screen,
    answers,
    write(data, answer = false) {
      const bytes = Buffer.from(data);
      scanner.push(offset, bytes);
      offset += bytes.byteLength;
      screen.write(bytes, scanner.atRest, answer);
    },
  };
}

function emulator(size = { columns, rows }): Emulator {
  return new Terminal({
    cols: size.columns,
    rows: size.rows,
    scrollback: 50,
    allowProposedApi: true,
    logLevel: "off",
  });
}

function feed(terminal: Emulator, data: Uint8Array | string): Promise<void> {
  return new Promise((resolve) => terminal.write(data, resolve));
}

async function repainted({ bytes, columns, rows }: Snapshot): Promise<Emulator> {
  const terminal = emulator({ columns, rows });
  await feed(terminal, bytes);
  return terminal;
}

/** All of a terminal that a program or its user can tell. */
function look(terminal: Emulator, lines: "screen" | "all" = "screen"): unknown {
  const { active } = terminal.buffer;
  const cells: string[] = [];
  for (let y = lines === "all" ? 0 : active.baseY; y < active.baseY + terminal.rows; y++) {
    const line = active.getLine(y)!;
    const found = Array.from({ length: terminal.cols }, (_, x) => {
      const cell = line.getCell(x)!;
      // A cell that was erased shows as one that holds a space.
      const flags = [cell.isBold(), cell.isItalic(), cell.isUnderline(), cell.isInverse()].join("");
      const colours =
        cell.getChars().trim() === "" ? "" : `${cell.getFgColorMode()}/${cell.getFgColor()}/${flags}`;
      return `${cell.getChars() || " "}${colours} ${cell.getBgColorMode()}/${cell.getBgColor()}`;
    });
    cells.push(found.join("|"));
  }
  const { _core: core } = terminal as unknown as {
    _core: {
      coreService: { isCursorHidden: boolean; decPrivateModes: Record<string, unknown> };
      coreMouseService: { activeEncoding: string };
      buffers: { active: { scrollTop: number; scrollBottom: number } };
      _charsetService: { glevel: number };
    };
  };
  return {
    type: active.type,
    cursor: [active.cursorX, active.cursorY],
    modes: { ...terminal.modes, synchronizedOutputMode: false },
    hidden: core.coreService.isCursorHidden,
    style: [core.coreService.decPrivateModes["cursorStyle"], core.coreService.decPrivateModes["cursorBlink"]],
    mouse: core.coreMouseService.activeEncoding,
    margins: [core.buffers.active.scrollTop, core.buffers.active.scrollBottom],
    charset: core._charsetService.glevel,
    cells,
  };
}

/** The terminal that has read the same, and the one that was repainted. */
async function compare(data: string, lines: "screen" | "all" = "screen"): Promise<Emulator> {
  const { screen, write } = open();
  write(data);
  const original = emulator();
  await feed(original, data);
  const copy = await repainted(await screen.snapshot(lines === "all"));
  expect(look(copy, lines)).toEqual(look(original, lines));
  return copy;
}

describe("a repainted terminal is as the original", () => {
  test.each([
    ["a prompt", "$ "],
    ["lines with colours", "\x1b[1;31mred\x1b[0m plain \x1b[4;38;5;200mpink\x1b[48;2;1;2;3mdeep\r\nnext"],
    ["colours that go on", "\x1b[44;33mnot reset"],
    ["a full screen", Array.from({ length: rows }, (_, i) => `line ${String(i)}`).join("\r\n")],
    ["a line that is full, its wrap still to come", `${"x".repeat(columns)}`],
    ["the same with text below", `\x1b[5;1Hbelow\x1b[1;1H\x1b[32m${"x".repeat(columns)}`],
    ["wide characters and joined ones", "漢字かな e\u0301 🙂 \x1b[2;19H界"],
    ["vim-like: alternate screen, scroll region, hidden cursor, keys, paste, mouse, bar", vimLike()],
    ["the alternate screen begun in colours", "\x1b[31mred\x1b[?1049h\x1b[Hplain?"],
    ["origin mode in a scroll region", "\x1b[2;5r\x1b[?6h\x1b[2;3Hhere"],
    ["insert mode, no wrap, line drawing", "\x1b[4h\x1b[?7l\x1b(0lqqk\x1b)0\x0e"],
    ["all mouse modes", "\x1b[?1003h\x1b[?1006h\x1b[?1004h"],
    ["after everything was reset", "\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b[2;3rxyz\x1bc$ "],
  ])("%s", async (_, data) => {
    await compare(data);
  });

  test("the lines above the screen come, too", async () => {
    const data = Array.from({ length: 40 }, (_, i) => `\x1b[3${String(i % 8)}mline ${String(i)}`).join(
      "\r\n",
    );
    await compare(data, "all");
    const { screen, write } = open();
    write(data);
    const without = await repainted(await screen.snapshot(false));
    expect(without.buffer.active.baseY).toBe(0);
  });

  test("whatever a program prints", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 60 }), async (pieces) => {
        await compare(pieces.join(""));
      }),
      { numRuns: 300 },
    );
  });

  test("and it goes on alike, at whatever byte it was repainted", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 40 }), fc.nat(1000), async (pieces, permille) => {
        const data = Buffer.from(pieces.join(""));
        const cut = Math.floor((data.byteLength * permille) / 1000);
        const { screen, write } = open();
        write(data.subarray(0, cut));
        const copy = await repainted(await screen.snapshot(false));
        await feed(copy, data.subarray(cut));
        const original = emulator();
        await feed(original, data);
        expect(look(copy)).toEqual(look(original));
      }),
      {
        numRuns: 300,
        // The cursor waits behind the last column of a line that was erased.
        examples: [[["\x1b[1;9H", "  a    a  a ", "\x1b[2J", "\x1b]0;title\x07", "\x1b[2J"], 612]],
      },
    );
  });
});

/** What full-screen programs and shells send, some of it cut and combined. */
const piece = fc.oneof(
  fc.stringMatching(/^[a-z ]{1,25}$/),
  fc.constantFrom("\r\n", "\r", "\n", "\b", "\t", "漢字", "é", "🙂"),
  fc.constantFrom(
    "\x1b[m",
    "\x1b[1m",
    "\x1b[31m",
    "\x1b[42m",
    "\x1b[7m",
    "\x1b[38;5;99m",
    "\x1b[48;2;9;8;7m",
  ),
  fc
    .tuple(fc.integer({ min: 1, max: rows }), fc.integer({ min: 1, max: columns }))
    .map(([y, x]) => `\x1b[${String(y)};${String(x)}H`),
  fc.constantFrom("\x1b[K", "\x1b[J", "\x1b[1K", "\x1b[2J", "\x1b[L", "\x1b[M", "\x1b[P", "\x1b[@", "\x1b[X"),
  fc.constantFrom(
    "\x1b[2;4r",
    "\x1b[r",
    "\x1b[?25l",
    "\x1b[?25h",
    "\x1b[?2004h",
    "\x1b[?1h",
    "\x1b=",
    "\x1b>",
  ),
  fc.constantFrom("\x1b[?1000h", "\x1b[?1002h", "\x1b[?1006h", "\x1b[?1000l", "\x1b[4 q", "\x1b[2 q"),
  fc.constantFrom("\x1b]0;title\x07", "\x1b]2;über\x1b\\"),
);

function vimLike(): string {
  return [
    "$ vim\r\n\x1b[?1049h\x1b[22;0;0t\x1b[?1h\x1b=\x1b[?2004h\x1b[1;6r\x1b[?1002h\x1b[?1006h\x1b[27m\x1b[m",
    "\x1b[H\x1b[2J\x1b[?25l\x1b[1;1H\x1b[33m  1 \x1b[mint main\r\n\x1b[94m~  \r\n~\x1b[m",
    "\x1b[6;1H\x1b[7m-- INSERT --\x1b[m\x1b[2;5r\x1b[6 q\x1b[1;8H",
  ].join("");
}

test("a snapshot shows what was written before it, and nothing after", async () => {
  const { screen, write } = open();
  write("before");
  const snapshot = screen.snapshot(false);
  write(" after");
  expect((await snapshot).offset).toBe(6);
  expect(Buffer.from((await snapshot).bytes).toString()).not.toContain("after");
});

test("a new size takes effect between what was written before and after it", async () => {
  const { screen, write } = open();
  write("x".repeat(columns));
  const before = screen.snapshot(false);
  screen.resize(40, 10);
  write("y");
  expect(await before).toMatchObject({ columns, rows });
  expect(await screen.snapshot(false)).toMatchObject({ columns: 40, rows: 10, offset: columns + 1 });
});

test("questions are answered when nobody else does, decided as they come", async () => {
  const { screen, write, answers } = open();
  write("\x1b[c", false);
  write("ab\x1b[6n", true);
  write("\x1b[6n", false);
  await screen.snapshot(false);
  expect(answers).toEqual([{ answer: "\x1b[1;3R", offset: 3 }]);
});

test("the title comes, without what could harm", async () => {
  const { screen, write } = open();
  write("\x1b]0;a title\x07");
  const text = Buffer.from((await screen.snapshot(false)).bytes).toString();
  expect(text).toContain("\x1b]2;a title\x1b\\");
});

test("a repaint is never larger than may be sent: scrollback goes first, then colours", async () => {
  const size = { columns: 1000, rows: 500 };
  const { screen, write } = open(size, 1000);
  for (let y = 0; y < size.rows; y++) {
    write(
      Array.from(
        { length: size.columns },
        (_, x) => `\x1b[38;2;${String(x % 256)};${String(y % 256)};7mé`,
      ).join(""),
    );
  }
  const snapshot = await screen.snapshot(true);
  expect(snapshot.bytes.byteLength).toBeLessThanOrEqual(limits.maxRepaintBytes);
  const copy = await repainted(snapshot);
  expect(copy.buffer.active.getLine(copy.buffer.active.baseY)!.translateToString()).toBe("é".repeat(1000));
}, 60_000);

test("what waits to be parsed is counted", async () => {
  const { screen, write } = open();
  let parsed = 0;
  screen.onParsed = () => parsed++;
  write("12345");
  expect(screen.backlogBytes).toBe(5);
  await screen.snapshot(false);
  expect(screen.backlogBytes).toBe(0);
  expect(parsed).toBe(1);
});
