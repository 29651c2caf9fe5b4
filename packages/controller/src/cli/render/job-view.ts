/** A fan-out job and its jobs, for people. */
import type { JobInfo } from "@outpost/protocol";
import type { JobView } from "../../client/index.ts";
import { ageText, durationText } from "../duration.ts";
import { bytesText } from "./bytes-text.ts";
import { clockText, endingText } from "./ending.ts";
import { printable } from "./printable.ts";
import { table } from "./table.ts";

export function jobViewText({ fanout, jobs }: JobView, now: number = Date.now()): string {
  const { job, name, state, operator, command, mode, createdAt, unreadBytes } = fanout;
  const output = mode === "collect" ? "collected by the controller" : "kept on the hosts";
  const lines = [
    ["job", name === undefined ? job : `${job} (${name})`],
    ["state", state],
    ["command", command],
    ["started", `${clockText(createdAt, now)} (${ageText(createdAt, now)}) by ${operator}`],
    ["output", `${output}, ${bytesText(unreadBytes)} unread`],
  ].map(([key, text]) => `${key!.padEnd(10)}${printable(text!)}`);
  return `${lines.join("\n")}\n\n${jobsTable(jobs, now)}`;
}

/** One row for each host. */
export function jobsTable(jobs: readonly JobInfo[], now: number = Date.now()): string {
  return table({
    head: ["HOST", "STATE", "FOR", "STDOUT", "STDERR", "UNREAD", "NOTE"],
    rows: jobs.map(({ host, status, unreachableSince, waiting, refused }) => {
      const { state, startedAt, endedAt, output } = status;
      const unread =
        output.stdout.written - output.stdout.received + output.stderr.written - output.stderr.received;
      return [
        host,
        state,
        startedAt === undefined ? "-" : durationText((endedAt ?? now) - startedAt),
        bytesText(output.stdout.written),
        bytesText(output.stderr.written),
        bytesText(status.removed === true ? 0 : unread),
        noteText({ host, status, unreachableSince, waiting, refused }),
      ];
    }),
  });
}

function noteText({
  host,
  status,
  unreachableSince,
  waiting,
  refused,
}: Pick<JobInfo, "host" | "status" | "unreachableSince" | "waiting" | "refused">): string {
  const { state, exit, reason } = status;
  const ended = state !== "pending" && state !== "running";
  const away = unreachableSince === undefined ? {} : { unreachableSince };
  const ending = endingText({
    host,
    state,
    ended,
    ...(exit === undefined ? {} : { exit }),
    ...(reason === undefined ? {} : { reason }),
    ...away,
  });
  const waits =
    waiting === undefined
      ? undefined
      : `${waiting} waits for ${unreachableSince === undefined ? "its end" : "the host"}`;
  const half = !ended && exit !== undefined ? "main process ended, others hold the output open" : undefined;
  const refusal = refused === undefined ? undefined : `the host refused: ${refused.message}`;
  return [ending === state ? undefined : ending, half, waits, refusal]
    .filter((note) => note !== undefined)
    .join("; ");
}
