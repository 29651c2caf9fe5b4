/** Hosts for people: one row each, as wide as the terminal. */
import type { HostInfo } from "@outpost/protocol";
import { ageText, durationText } from "../duration.ts";
import { endingCertificateText } from "./certificate-text.ts";
import { factValue } from "./fact-value.ts";
import { shownState } from "./host-state.ts";
import { labelsText } from "./labels-text.ts";
import { printable } from "./printable.ts";
import { table } from "./table.ts";
import { terminalColumns } from "./terminal.ts";

export interface HostTableOptions {
  /** Columns besides: labels and facts, by their keys. */
  readonly keys?: readonly string[];
  readonly now?: number;
  /** Columns available. Default: the terminal's, or no limit for a pipe. */
  readonly width?: number | undefined;
}

/** What is shortened when there is no room for all, the first first; never to less than so many columns. */
const shrinking: readonly (readonly [head: string, least: number])[] = [
  ["OS", 8],
  ["LABELS", 12],
  ["NAME", 16],
];

export function hostTable(hosts: readonly HostInfo[], options: HostTableOptions = {}): string {
  const { keys = [], now = Date.now(), width = terminalColumns() } = options;
  const notes = hosts.map((host) => noteText(host, now));
  const hasNotes = notes.some((note) => note !== "");
  const head = [
    "NAME",
    "STATE",
    "LABELS",
    "OS",
    "VERSION",
    ...keys.map((key) => key.toUpperCase()),
    "LAST SEEN",
    ...(hasNotes ? ["NOTE"] : []),
  ];
  const rows = hosts.map((host, index) => {
    const { name, state, labels, facts, lastSeen } = host;
    return [
      name,
      shownState(host),
      labelsText(labels),
      facts === undefined ? "-" : `${facts.os} ${facts.arch}`,
      facts?.agentVersion ?? "-",
      ...keys.map((key) => factValue(host, key) ?? "-"),
      state === "connected" ? "now" : lastSeen === undefined ? "never" : ageText(lastSeen, now),
      ...(hasNotes ? [notes[index]!] : []),
    ].map(printable);
  });
  return table({ head, rows: width === undefined ? rows : shrink(head, rows, width), width });
}

function noteText({ quarantinedSince, certificateExpiresAt }: HostInfo, now: number): string {
  const waits =
    quarantinedSince === undefined
      ? []
      : [`waits for approval since ${durationText(now - quarantinedSince)}`];
  const ends = endingCertificateText(certificateExpiresAt, now);
  return [...waits, ...(ends === undefined ? [] : [ends])].join("; ");
}

/** Makes room for what stands at the end: it says how a host is, and the columns before it what it is. */
function shrink(head: readonly string[], rows: readonly string[][], width: number): readonly string[][] {
  const widths = head.map((word, column) =>
    rows.reduce((most, row) => Math.max(most, row[column]!.length), word.length),
  );
  let over = widths.reduce((sum, each) => sum + each + 2, -2) - width;
  for (const [word, least] of shrinking) {
    const column = head.indexOf(word);
    const less = Math.min(over, widths[column]! - least);
    if (less <= 0) continue;
    widths[column]! -= less;
    over -= less;
  }
  return rows.map((row) => row.map((cell, column) => shorten(cell, widths[column]!)));
}

function shorten(text: string, room: number): string {
  return text.length <= room ? text : `${text.slice(0, room - 1)}…`;
}
