/**
 * Writes the content of an emulator's buffer as characters and escape sequences, for a terminal in a known state.
 *
 * Not by @xterm/addon-serialize: it leaves out lines at the end of the screen that hold nothing but a background, takes
 * it that colours are plain where the alternate screen begins, and leaves dashes behind where a wide character did not
 * fit into a line (0.14; screen.test.ts finds all three).
 */
import type { IBuffer, IBufferCell, IBufferLine } from "@xterm/headless";

export const esc = "\x1b";
export const csi = `${esc}[`;

/** Counted from 0. */
export function moveTo(row: number, column: number): string {
  return `${csi}${String(row + 1)};${String(column + 1)}H`;
}

/** The screen, each line in its place. Lines without anything are taken to be empty already. */
export function paintScreen(buffer: IBuffer, rows: number): string {
  const painted: string[] = [];
  for (let y = 0; y < rows; y++) {
    const text = paintLine(buffer.getLine(buffer.baseY + y));
    if (text !== "") painted.push(moveTo(y, 0), text);
  }
  return painted.join("");
}

/** Up to `lines` lines above the screen, scrolled up and out of an empty one. */
export function paintScrollback(buffer: IBuffer, rows: number, lines: number): string {
  const count = Math.min(lines, buffer.baseY);
  if (count === 0) return "";
  const painted: string[] = [];
  for (let y = buffer.baseY - count; y < buffer.baseY; y++) {
    const line = buffer.getLine(y);
    const next = y + 1 < buffer.baseY ? buffer.getLine(y + 1) : undefined;
    painted.push(paintLine(line), next === undefined || runsOn(line, next) ? "" : "\r\n");
  }
  return `${painted.join("")}${moveTo(rows - 1, 0)}${"\n".repeat(Math.min(count, rows))}`;
}

/** Whether writing on from the end of one line wraps into the next, as it did the first time. */
function runsOn(line: IBufferLine | undefined, next: IBufferLine): boolean {
  const isFull = line?.getCell(line.length - 1)?.getChars() !== "" && next.getCell(0)?.getChars() !== "";
  // A line that is scrolled in has the background of the moment.
  return next.isWrapped && isFull && next.getCell(0)?.isBgDefault() === true;
}

/** Colours and attributes are plain before and after. */
function paintLine(line: IBufferLine | undefined): string {
  if (line === undefined) return "";
  let text = "";
  let pen = plain;
  let blanks = 0;
  const cell = line.getCell(0)!;
  for (let x = 0; x < line.length; x += Math.max(1, cell.getWidth())) {
    line.getCell(x, cell);
    const chars = cell.getChars();
    const wanted = chars === "" ? background(cell) : rendition(cell);
    if (blanks > 0 && (chars !== "" || wanted !== pen)) {
      text += `${erase(pen, blanks)}${csi}${String(blanks)}C`;
      blanks = 0;
    }
    if (wanted !== pen) text += wanted;
    pen = wanted;
    if (chars === "") blanks++;
    else text += chars;
  }
  if (blanks > 0) text += erase(pen, blanks);
  return pen === plain ? text : `${text}${plain}`;
}

const plain = `${csi}0m`;

/** Of an empty cell, the background is all that shows. */
function background(cell: IBufferCell): string {
  return cell.isBgDefault() ? plain : `${csi}${[0, ...backgroundCodes(cell)].join(";")}m`;
}

function erase(pen: string, count: number): string {
  return pen === plain ? "" : `${csi}${String(count)}X`;
}

/** What a cell of the screen and the emulator's pen have in common. */
export type Pen = Pick<
  IBufferCell,
  | "getFgColor"
  | "getBgColor"
  | "isFgRGB"
  | "isBgRGB"
  | "isFgPalette"
  | "isBgPalette"
  | "isBold"
  | "isDim"
  | "isItalic"
  | "isUnderline"
  | "isBlink"
  | "isInverse"
  | "isInvisible"
  | "isStrikethrough"
  | "isOverline"
>;

/** SGR: sets colours and attributes, whatever they were. */
export function rendition(pen: Pen): string {
  const flags: readonly (readonly [number, number])[] = [
    [pen.isBold(), 1],
    [pen.isDim(), 2],
    [pen.isItalic(), 3],
    [pen.isUnderline(), 4],
    [pen.isBlink(), 5],
    [pen.isInverse(), 7],
    [pen.isInvisible(), 8],
    [pen.isStrikethrough(), 9],
    [pen.isOverline(), 53],
  ];
  const codes = [0, ...flags.filter(([set]) => set !== 0).map(([, code]) => code)];
  if (pen.isFgRGB()) codes.push(38, 2, ...rgb(pen.getFgColor()));
  if (pen.isFgPalette()) codes.push(...palette(30, pen.getFgColor()));
  codes.push(...backgroundCodes(pen));
  return `${csi}${codes.join(";")}m`;
}

/** @param base 30 for the foreground, 40 for the background */
function palette(base: number, color: number): readonly number[] {
  if (color >= 16) return [base + 8, 5, color];
  return [color >= 8 ? base + 60 + color - 8 : base + color];
}

function rgb(color: number): readonly [number, number, number] {
  return [(color >> 16) & 0xff, (color >> 8) & 0xff, color & 0xff];
}

function backgroundCodes(pen: Pen): readonly number[] {
  if (pen.isBgRGB()) return [48, 2, ...rgb(pen.getBgColor())];
  return pen.isBgPalette() ? palette(40, pen.getBgColor()) : [];
}
