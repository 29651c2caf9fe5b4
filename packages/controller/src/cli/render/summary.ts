/** The last lines of a receive: who did not succeed and why, and how many of how many. */
import type { ExitEvent } from "../../client/index.ts";
import { endingText } from "./ending.ts";

/** Names of hosts beyond this many are counted only. */
const maxNames = 10;

/**
 * One line for each way of failing, then the counts if there are several hosts.
 * @param quietSuccess true: nothing to say when all succeeded
 */
export function summaryLines(exits: readonly ExitEvent[], quietSuccess: boolean): string[] {
  const bad = exits.filter(({ ended, state }) => ended && state !== "completed");
  const away = exits.filter(({ ended, unreachableSince }) => !ended && unreachableSince !== undefined);
  const lines = byText([...bad, ...away]).map(groupText);
  if (exits.length > 1 && (lines.length > 0 || !quietSuccess)) lines.push(countsText(exits));
  return lines;
}

function byText(exits: readonly ExitEvent[]): (readonly [ExitEvent, ...ExitEvent[]])[] {
  const groups = new Map<string, [ExitEvent, ...ExitEvent[]]>();
  for (const exit of exits) {
    const text = shortText(exit);
    const group = groups.get(text);
    if (group === undefined) groups.set(text, [exit]);
    else group.push(exit);
  }
  return [...groups.values()];
}

function groupText(group: readonly [ExitEvent, ...ExitEvent[]]): string {
  const [first] = group;
  const text = group.length === 1 ? endingText(first) : shortText(first);
  return `${namesText(group.map(({ host }) => host))}: ${text}`;
}

/** Without what differs from host to host: a hundred hosts behind one broken switch are one line. */
function shortText(exit: ExitEvent): string {
  if (exit.reason?.code === "host_unreachable") return "unreachable; nothing ran there";
  if (!exit.ended && exit.unreachableSince !== undefined) return "unreachable";
  return endingText(exit);
}

/** In the order of a list of hosts: `web9` before `web10`. */
export function namesText(hosts: readonly string[]): string {
  const sorted = hosts.toSorted((a, b) => a.localeCompare(b, "en", { numeric: true }));
  if (sorted.length <= maxNames) return sorted.join(", ");
  return `${sorted.slice(0, maxNames).join(", ")} and ${String(hosts.length - maxNames)} more`;
}

/** `5 hosts: 3 succeeded, 1 failed, 1 unreachable`. */
function countsText(exits: readonly ExitEvent[]): string {
  const counts = new Map<string, number>();
  for (const exit of exits) counts.set(kindOf(exit), (counts.get(kindOf(exit)) ?? 0) + 1);
  const order = ["succeeded", "failed", "timed out", "stopped", "lost", "unreachable", "running"];
  const parts = order.flatMap((kind) => {
    const count = counts.get(kind);
    return count === undefined ? [] : [`${String(count)} ${kind}`];
  });
  return `${String(exits.length)} hosts: ${parts.join(", ")}`;
}

function kindOf({ ended, state, reason, unreachableSince }: ExitEvent): string {
  if (!ended) return unreachableSince === undefined ? "running" : "unreachable";
  if (state === "completed") return "succeeded";
  if (reason?.code === "timed_out") return "timed out";
  if (reason?.code === "host_unreachable" || reason?.code === "expired") return "unreachable";
  return state;
}
