/** The last lines of a receive: who did not succeed and why, and how many of how many. */
import { outcomeOf, type Outcome } from "../../client/exit-code.ts";
import type { ExitEvent } from "../../client/index.ts";
import { endingText } from "./ending.ts";
import { foldedNames } from "./names.ts";

/** More ways of failing than this are not explained, each on a line of its own; more exit codes than this are not told apart. */
const maxReasons = 10;
const maxExitCodes = 5;

/**
 * Of one host, how it ended, if that was not well. Of several, a line for each way of failing that has more to say than its name,
 * and last the counts with the names, always.
 */
export async function summaryLines(exits: readonly ExitEvent[]): Promise<string[]> {
  if (exits.length <= 1) {
    return exits.filter(isToldOf).map((exit) => `${exit.host}: ${endingText(exit)}${adviceOf(exit)}`);
  }
  return [...(await reasonLines(exits)), await countsLine(exits)];
}

/** It ended badly, or goes on where nobody can see it. */
function isToldOf({ ended, state, unreachableSince, failedCheck }: ExitEvent): boolean {
  return ended ? state !== "completed" || failedCheck !== undefined : unreachableSince !== undefined;
}

async function reasonLines(exits: readonly ExitEvent[]): Promise<string[]> {
  const groups = [...grouped(exits.filter(hasReason), shortText).values()];
  const lines: string[] = [];
  for (const group of groups.slice(0, maxReasons)) {
    const text = group.length === 1 ? endingText(group[0]!) : shortText(group[0]!);
    // Many unreachable hosts have nothing in common but that, and the counts say it.
    if (group.length > 1 && outcomeOf(group[0]!) === "unreachable") continue;
    lines.push(`${await foldedNames(group.map(({ host }) => host))}: ${text}${adviceOf(group[0]!)}`);
  }
  const left = groups.length - maxReasons;
  if (left > 0) lines.push(`${String(left)} more reasons; --output json has them all`);
  return lines;
}

/** Where there is more to read. */
function adviceOf({ failedCheck }: ExitEvent): string {
  return failedCheck === undefined ? "" : `; what it said: outpost job receive ${failedCheck.check} --keep`;
}

/** There is more to say of it than how it counts. */
function hasReason(exit: ExitEvent): boolean {
  if (exit.failedCheck !== undefined) return true;
  const { reason } = exit;
  switch (reason?.code) {
    case undefined:
      return isToldOf(exit) && outcomeOf(exit) === "unreachable";
    case "timed_out":
    case "stopped":
    case "skipped":
    case "not_begun":
      return false;
    default:
      return isToldOf(exit);
  }
}

/** Without what differs from host to host: a hundred hosts behind one broken switch are one line. */
function shortText(exit: ExitEvent): string {
  if (exit.reason?.code === "host_unreachable") return "unreachable; nothing ran there";
  if (!exit.ended && exit.unreachableSince !== undefined) return "unreachable";
  return endingText(exit);
}

/** `1000 hosts: 985 succeeded; 10 failed with exit code 3 (web[001-010]); 5 unreachable (db[1-5])`. */
async function countsLine(exits: readonly ExitEvent[]): Promise<string> {
  const byOutcome = grouped(exits, outcomeOf);
  const parts: string[] = [];
  for (const outcome of order) {
    const group = byOutcome.get(outcome) ?? [];
    if (group.length === 0) continue;
    if (outcome === "succeeded") parts.push(`${String(group.length)} succeeded`);
    else if (outcome === "failed") parts.push(...(await failedParts(group)));
    else if (outcome === "running") parts.push(...(await openParts(group)));
    else parts.push(await part(group, words[outcome]));
  }
  return `${String(exits.length)} hosts: ${parts.join("; ")}`;
}

const order: readonly Outcome[] = [
  "succeeded",
  "failed",
  "checkFailed",
  "timedOut",
  "stopped",
  "lost",
  "unreachable",
  "skipped",
  "notBegun",
  "running",
  "queued",
];

const words: Readonly<Record<Exclude<Outcome, "succeeded" | "failed" | "running">, string>> = {
  checkFailed: "failed the check",
  timedOut: "timed out",
  stopped: "stopped",
  lost: "lost",
  unreachable: "unreachable",
  skipped: "skipped",
  notBegun: "not begun",
  queued: "waiting",
};

/** By what they failed with, the most frequent first. */
async function failedParts(failed: readonly ExitEvent[]): Promise<string[]> {
  const groups = [...grouped(failed, failureText)].toSorted(([, a], [, b]) => b.length - a.length);
  // Where there are no more than fit, the last one needs no word for others.
  const shown = groups.length <= maxExitCodes ? groups.length : maxExitCodes - 1;
  const parts: string[] = [];
  for (const [text, group] of groups.slice(0, shown)) parts.push(await part(group, text));
  const rest = groups.slice(shown);
  if (rest.length > 0) {
    const all = rest.flatMap(([, group]) => group);
    parts.push(await part(all, `failed in ${String(rest.length)} other ways`));
  }
  return parts;
}

async function openParts(open: readonly ExitEvent[]): Promise<string[]> {
  const running = open.filter(({ state }) => state === "running");
  const silent = open.filter(({ state }) => state !== "running");
  return [
    ...(running.length === 0 ? [] : [await part(running, "still running")]),
    ...(silent.length === 0 ? [] : [await part(silent, "without an answer")]),
  ];
}

function failureText({ exit, reason }: ExitEvent): string {
  switch (reason?.code) {
    case undefined:
      break;
    case "start_failed":
      return "could not start";
    case "refused":
      return "refused";
    case "denied":
      return "denied";
    default:
      return "failed";
  }
  if (exit === undefined) return "failed";
  return "signal" in exit ? `ended by ${exit.signal}` : `failed with exit code ${String(exit.code)}`;
}

async function part(group: readonly ExitEvent[], text: string): Promise<string> {
  return `${String(group.length)} ${text} (${await foldedNames(group.map(({ host }) => host))})`;
}

function grouped<K>(exits: readonly ExitEvent[], keyOf: (exit: ExitEvent) => K): Map<K, ExitEvent[]> {
  const groups = new Map<K, ExitEvent[]>();
  for (const exit of exits) {
    const key = keyOf(exit);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [exit]);
    else group.push(exit);
  }
  return groups;
}
