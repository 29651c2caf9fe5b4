/** Tables without borders, as wide as the terminal at most. */
import Table from "cli-table3";
import { printable } from "./printable.ts";
import { terminalColumns } from "./terminal.ts";

const noBorders = Object.fromEntries(
  [
    "top",
    "top-mid",
    "top-left",
    "top-right",
    "bottom",
    "bottom-mid",
    "bottom-left",
    "bottom-right",
    "left",
    "left-mid",
    "mid",
    "mid-mid",
    "right",
    "right-mid",
  ].map((place) => [place, ""]),
);

export interface TableOptions {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Columns available. Default: the terminal's, or no limit for a pipe. The last column is shortened to fit. */
  readonly width?: number | undefined;
}

/** With more rows than this, cells are laid out by their length alone: the library, which knows wide characters, takes 0.3 ms
 * for each row. */
const maxMeasuredRows = 500;

export function table({ head, rows, width = terminalColumns() }: TableOptions): string {
  const clean = rows.map((row) => row.map(printable));
  const fitted = width === undefined ? clean : fitLast(head, clean, width);
  if (fitted.length > maxMeasuredRows) return longTable(head, fitted);
  const shown = new Table({
    head: [...head],
    chars: { ...noBorders, middle: "  " },
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0, compact: true },
  });
  for (const row of fitted) shown.push([...row]);
  return shown
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

function longTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((word, column) =>
    rows.reduce((most, row) => Math.max(most, row[column]!.length), word.length),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd();
  return [head, ...rows].map(line).join("\n");
}

/** Never narrower than this, in columns: better a broken line than nothing. */
const minLastColumn = 12;

/** How many columns there are for the last one of a table; longer cells are shortened. */
export function roomOfLast(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  width: number,
): number {
  const last = head.length - 1;
  let before = 0;
  for (let column = 0; column < last; column++) {
    const widest = rows.reduce((most, row) => Math.max(most, row[column]!.length), head[column]!.length);
    before += widest + 2;
  }
  return Math.max(minLastColumn, width - before);
}

function fitLast(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  width: number,
): readonly (readonly string[])[] {
  const last = head.length - 1;
  const room = roomOfLast(head, rows, width);
  return rows.map((row) => row.map((cell, column) => (column === last ? shorten(cell, room) : cell)));
}

function shorten(text: string, room: number): string {
  return text.length <= room ? text : `${text.slice(0, room - 1)}…`;
}
