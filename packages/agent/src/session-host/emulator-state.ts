/**
 * The state of an @xterm/headless terminal that its public interface does not tell, read from
 * its inside and written as escape sequences. The only file that knows that inside; screen.test.ts compares a repainted
 * terminal with its original, so an update of xterm that changes it is noticed there.
 */
import type { Terminal } from "@xterm/headless";
import { csi, esc, moveTo, type Pen, rendition } from "./painting.ts";

type Charset = Readonly<Record<string, string>> | undefined;

interface Inside {
  readonly coreService: {
    readonly isCursorHidden: boolean;
    readonly decPrivateModes: {
      readonly cursorStyle: "block" | "underline" | "bar" | undefined;
      readonly cursorBlink: boolean | undefined;
    };
  };
  readonly coreMouseService: { readonly activeEncoding: "DEFAULT" | "SGR" | "SGR_PIXELS" };
  /** The colours and attributes in which the next character is written. */
  readonly _inputHandler: { readonly _curAttrData: Pen };
  readonly _charsetService: { readonly glevel: number; readonly _charsets: readonly Charset[] };
  readonly buffers: {
    readonly active: {
      readonly scrollTop: number;
      readonly scrollBottom: number;
      readonly savedX: number;
      readonly savedY: number;
      readonly ybase: number;
    };
  };
}

function inside(terminal: Terminal): Inside {
  return (terminal as unknown as { readonly _core: Inside })._core;
}

/**
 * Brings a terminal in whatever state to the one in which a new terminal is, the screen cleared; what the terminal's
 * user has set for himself (colours, fonts) stays.
 */
export const knownState = [
  // The normal screen; the string terminator before it ends whatever sequence is open.
  `${esc}\\${csi}?1049l`,
  // No scroll region, no origin mode, no insert mode, wrap around; characters plain and ASCII.
  `${csi}r${csi}?6l${csi}4l${csi}?7h${csi}?45l${csi}m${esc}(B${esc})B\x0f`,
  // No mouse, focus, paste or application modes; the cursor as the user has it, and visible.
  `${csi}?9l${csi}?1000l${csi}?1002l${csi}?1003l${csi}?1006l${csi}?1016l${csi}?1004l${csi}?2004l${csi}?1l${esc}>`,
  `${csi}0 q${csi}?25h`,
  `${csi}H${csi}2J`,
].join("");

/** Everything but the content of the screen: to be written after it. */
export function stateSequences(terminal: Terminal, title: string): string {
  return [
    title === "" ? "" : `${esc}]2;${title}${esc}\\`,
    rendition(inside(terminal)._inputHandler._curAttrData),
    margins(terminal),
    savedCursor(terminal),
    cursor(terminal),
    charsets(terminal),
    modes(terminal),
  ].join("");
}

/** Sets the cursor home, so the cursor comes after it. */
function margins(terminal: Terminal): string {
  const { scrollTop, scrollBottom } = inside(terminal).buffers.active;
  const whole = scrollTop === 0 && scrollBottom === terminal.rows - 1;
  return whole ? "" : `${csi}${String(scrollTop + 1)};${String(scrollBottom + 1)}r`;
}

/** DECSC keeps position, colours and character set; of these the position is brought back. */
function savedCursor(terminal: Terminal): string {
  const { savedX, savedY, ybase } = inside(terminal).buffers.active;
  const row = savedY - ybase;
  if (row < 0 || (row === 0 && savedX === 0)) return "";
  return `${moveTo(row, savedX)}${esc}7`;
}

function cursor(terminal: Terminal): string {
  const { cursorX, cursorY } = terminal.buffer.active;
  const { originMode } = terminal.modes;
  // Setting origin mode moves the cursor home; positions then count from the margin.
  const { scrollTop } = inside(terminal).buffers.active;
  const origin = originMode ? `${csi}?6h` : "";
  return `${origin}${moveTo(originMode ? cursorY - scrollTop : cursorY, cursorX)}${waitingWrap(terminal)}`;
}

/** A character in the last column leaves the cursor behind it until the next one comes: writing it again does the same. */
function waitingWrap(terminal: Terminal): string {
  const { cursorX, cursorY, baseY } = terminal.buffer.active;
  if (cursorX < terminal.cols) return "";
  const line = terminal.buffer.active.getLine(baseY + cursorY);
  const last = line?.getCell(terminal.cols - 1);
  const wide = last?.getWidth() === 0;
  const cell = wide ? line?.getCell(terminal.cols - 2) : last;
  if (cell === undefined) return "";
  const back = wide ? `${csi}D` : "";
  // One that was erased since shows as a space.
  return `${back}${rendition(cell)}${cell.getChars() || " "}${rendition(inside(terminal)._inputHandler._curAttrData)}`;
}

/** Of the character sets, line drawing is the one that programs still use. */
function charsets(terminal: Terminal): string {
  const { glevel, _charsets } = inside(terminal)._charsetService;
  const designate = ["(", ")"].map((slot, g) => (_charsets[g]?.["q"] === "─" ? `${esc}${slot}0` : ""));
  return `${designate.join("")}${glevel === 1 ? "\x0e" : ""}`;
}

const mouseModes = { none: 0, x10: 9, vt200: 1000, drag: 1002, any: 1003 } as const;

function modes(terminal: Terminal): string {
  const { coreService, coreMouseService } = inside(terminal);
  const set: string[] = [];
  const { modes: public_ } = terminal;
  const mouse = mouseModes[public_.mouseTrackingMode];
  if (public_.applicationCursorKeysMode) set.push(`${csi}?1h`);
  if (public_.applicationKeypadMode) set.push(`${esc}=`);
  if (public_.bracketedPasteMode) set.push(`${csi}?2004h`);
  if (public_.insertMode) set.push(`${csi}4h`);
  if (public_.reverseWraparoundMode) set.push(`${csi}?45h`);
  if (public_.sendFocusMode) set.push(`${csi}?1004h`);
  if (!public_.wraparoundMode) set.push(`${csi}?7l`);
  if (mouse !== 0) set.push(`${csi}?${String(mouse)}h`);
  if (coreMouseService.activeEncoding === "SGR") set.push(`${csi}?1006h`);
  if (coreMouseService.activeEncoding === "SGR_PIXELS") set.push(`${csi}?1016h`);
  const { cursorStyle, cursorBlink } = coreService.decPrivateModes;
  if (cursorStyle !== undefined) {
    const number = { block: 1, underline: 3, bar: 5 }[cursorStyle] + (cursorBlink === true ? 0 : 1);
    set.push(`${csi}${String(number)} q`);
  }
  if (coreService.isCursorHidden) set.push(`${csi}?25l`);
  return set.join("");
}
