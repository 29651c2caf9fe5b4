/** Sessions for people: one row for each host's. */
import type { SessionInfo } from "@outpost/protocol";
import { durationText } from "../duration.ts";
import { bytesText } from "./bytes-text.ts";
import { clockText } from "./ending.ts";
import { table } from "./table.ts";

/** @param now in milliseconds since 1970 @param width columns available; default the terminal's */
export function sessionTable(
  sessions: readonly SessionInfo[],
  now: number = Date.now(),
  width?: number,
): string {
  if (sessions.length === 0) return "no sessions; open one with: outpost session new TARGETS";
  return table({
    head: [
      "ID",
      "NAME",
      "HOST",
      "STATE",
      "AVAILABILITY",
      "OWNER",
      "IDLE",
      "EXPIRES",
      "VIEWERS",
      "UNREAD",
      "COMMAND",
    ],
    rows: sessions.map((info) => row(info, now)),
    ...(width === undefined ? {} : { width }),
  });
}

function row({ host, status, unreachableSince }: SessionInfo, now: number): string[] {
  const { session, name, state, availability, operator, activeAt, output } = status;
  const hasEnded = state === "closed" || state === "broken";
  const isIdle = !hasEnded && availability !== "busy";
  return [
    session,
    name ?? "-",
    host,
    unreachableSince === undefined ? state : `${state}?`,
    availability,
    operator,
    isIdle ? durationText(now - activeAt) : "-",
    expiryText(status.expiresAt, now),
    viewersText(status.viewers),
    bytesText(output.unread),
    noteText({ host, status, unreachableSince }, now),
  ];
}

function expiryText(expiresAt: number | undefined, now: number): string {
  if (expiresAt === undefined) return "-";
  return expiresAt <= now ? "now" : `in ${durationText(expiresAt - now)}`;
}

/** Who controls it, and then who watches: `ann +bob`. */
function viewersText(viewers: SessionInfo["status"]["viewers"]): string {
  if (viewers.length === 0) return "-";
  const controls = viewers.filter(({ role }) => role === "control").map(({ operator }) => operator);
  const watches = viewers.filter(({ role }) => role === "watch").map(({ operator }) => `+${operator}`);
  return [...controls, ...watches].join(" ");
}

function noteText({ status, unreachableSince }: SessionInfo, now: number): string {
  const { command, reason } = status;
  if (unreachableSince !== undefined) return `unreachable since ${clockText(unreachableSince, now)}`;
  return reason?.message ?? command ?? "-";
}
