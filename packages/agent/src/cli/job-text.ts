/** A job of this host, for people and for programs. */
import type { JobStatus } from "@outpost/protocol";
import { ageText } from "./duration.ts";
import { printable } from "./printable.ts";

export function isEnded({ state }: JobStatus): boolean {
  return state !== "pending" && state !== "running";
}

/** Bytes that nobody has received. */
export function unreadBytes({ output, removed }: JobStatus): number {
  if (removed === true) return 0;
  const { stdout, stderr } = output;
  return stdout.written - stdout.received + stderr.written - stderr.received;
}

/** For programs: times in ISO 8601. */
export function jobDocument(status: JobStatus): object {
  const { startedAt, endedAt, origin, ...rest } = status;
  return {
    ...rest,
    ...(startedAt === undefined ? {} : { startedAt: isoTime(startedAt) }),
    ...(endedAt === undefined ? {} : { endedAt: isoTime(endedAt) }),
    ...(origin === undefined ? {} : { origin: { ...origin, acceptedAt: isoTime(origin.acceptedAt) } }),
  };
}

function isoTime(time: number): string {
  return new Date(time).toISOString();
}

/** How it stands in words: `running`, `completed`, `failed: exit code 7`, `failed: timed out`, `stopped by root@web1`. */
export function stateText({ state, exit, reason }: JobStatus): string {
  if (state === "running" && exit !== undefined)
    return "running: the main process ended, others hold the output open";
  if (reason?.code === "stopped") return reason.by === undefined ? "stopped" : `stopped by ${reason.by}`;
  if (reason?.code === "timed_out") return "failed: timed out";
  if (reason !== undefined) return `${state}: ${reason.message}`;
  return state === "failed" && exit !== undefined ? `failed: ${exitText(exit)}` : state;
}

function exitText(exit: NonNullable<JobStatus["exit"]>): string {
  return "signal" in exit ? `ended by ${exit.signal}` : `exit code ${String(exit.code)}`;
}

/** One job in several lines. */
export function jobText(status: JobStatus, now: number): string {
  const { job, origin, startedAt, output, removed } = status;
  const gone = removed === true ? ", gone from this host" : `, ${String(unreadBytes(status))} unread`;
  return [
    ["job", origin?.name === undefined ? job : `${job} (${origin.name})`],
    ["state", stateText(status)],
    ["command", origin?.command ?? "an operator's: `outpost job show` tells"],
    ["started", `${startedAt === undefined ? "not yet" : ageText(startedAt, now)} by ${startedBy(status)}`],
    [
      "output",
      `stdout ${String(output.stdout.written)} bytes, stderr ${String(output.stderr.written)} bytes${gone}`,
    ],
  ]
    .map(([key, text]) => `${key!.padEnd(10)}${printable(text!)}`)
    .join("\n");
}

/** Jobs in a table, the newest first. */
export function jobsText(jobs: readonly JobStatus[], now: number): string {
  if (jobs.length === 0) return "no jobs";
  const rows = jobs.map((status) => {
    const { job, origin, state, startedAt } = status;
    const age = startedAt === undefined ? "-" : ageText(startedAt, now);
    return [
      job,
      origin?.name ?? "-",
      state,
      String(unreadBytes(status)),
      age,
      startedBy(status),
      origin?.command ?? "-",
    ];
  });
  return columns([["ID", "NAME", "STATE", "UNREAD", "STARTED", "BY", "COMMAND"], ...rows]);
}

function startedBy({ origin }: JobStatus): string {
  return origin?.user ?? "an operator";
}

export function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => printable(cell).padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
