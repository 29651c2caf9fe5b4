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

export function table({ head, rows, width = terminalColumns() }: TableOptions): string {
  const shown = new Table({
    head: [...head],
    chars: { ...noBorders, middle: "  " },
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0, compact: true },
  });
  const clean = rows.map((row) => row.map(printable));
  const fitted = width === undefined ? clean : fitLast(head, clean, width);
  for (const row of fitted) shown.push([...row]);
  return shown
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/** Never narrower than this, in columns: better a broken line than nothing. */
const minLastColumn = 12;

function fitLast(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  width: number,
): readonly (readonly string[])[] {
  const last = head.length - 1;
  let before = 0;
  for (let column = 0; column < last; column++) {
    before += Math.max(head[column]!.length, ...rows.map((row) => row[column]!.length)) + 2;
  }
  const room = Math.max(minLastColumn, width - before);
  return rows.map((row) => row.map((cell, column) => (column === last ? shorten(cell, room) : cell)));
}

function shorten(text: string, room: number): string {
  return text.length <= room ? text : `${text.slice(0, room - 1)}…`;
}
