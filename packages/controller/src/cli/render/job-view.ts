/** A fan-out job and its jobs, for people: a table of few hosts, and of many the hosts that stand alike together. */
import type { JobInfo } from "@outpost/protocol";
import { fold } from "@outpost/protocol/targets";
import type { JobView } from "../../client/index.ts";
import { ageText, durationText } from "../duration.ts";
import { exitOf } from "../job-exit.ts";
import { rolloutText } from "../rollout-notices.ts";
import { bytesText } from "./bytes-text.ts";
import { clockText, endingText } from "./ending.ts";
import { printable } from "./printable.ts";
import { table } from "./table.ts";

/** With more hosts than this they are shown by how they stand. */
const maxRows = 20;

/** @param everyHost true: a row for each host, however many there are */
export function jobViewText(view: JobView, now: number = Date.now(), everyHost = false): string {
  return `${headText(view, now)}\n\n${jobsText(view.jobs, now, everyHost)}`;
}

export function jobsText(jobs: readonly JobInfo[], now: number = Date.now(), everyHost = false): string {
  return everyHost || jobs.length <= maxRows ? jobsTable(jobs, now) : groupsTable(jobs);
}

function headText({ fanout }: JobView, now: number): string {
  const { job, name, state, operator, command, mode, createdAt, unreadBytes, rollout } = fanout;
  const output = mode === "collect" ? "collected by the controller" : "kept on the hosts";
  return [
    ["job", name === undefined ? job : `${job} (${name})`],
    ["state", state],
    ...(rollout === undefined
      ? []
      : [["roll-out", rolloutText(rollout, { title: name ?? job, hosts: fanout.hosts }, now)]]),
    ...(rollout?.check === undefined
      ? []
      : [["check", `${rollout.check} (outpost job show ${rollout.check})`]]),
    ["command", command],
    ["started", `${clockText(createdAt, now)} (${ageText(createdAt, now)}) by ${operator}`],
    ["output", `${output}, ${bytesText(unreadBytes)} unread`],
  ]
    .map(([key, text]) => `${key!.padEnd(10)}${printable(text!)}`)
    .join("\n");
}

/** One row for each host. */
function jobsTable(jobs: readonly JobInfo[], now: number): string {
  return table({
    head: ["HOST", "STATE", "FOR", "STDOUT", "STDERR", "UNREAD", "NOTE"],
    rows: jobs.map((info) => {
      const { state, startedAt, endedAt, output } = info.status;
      return [
        info.host,
        state,
        startedAt === undefined ? "-" : durationText((endedAt ?? now) - startedAt),
        bytesText(output.stdout.written),
        bytesText(output.stderr.written),
        bytesText(unreadOf(info)),
        noteText(info),
      ];
    }),
  });
}

/** What has gone wrong first, and what has not begun last. */
const order: readonly JobInfo["status"]["state"][] = [
  "failed",
  "lost",
  "stopped",
  "running",
  "completed",
  "pending",
];

/** One row for each way that hosts stand. */
function groupsTable(jobs: readonly JobInfo[]): string {
  const groups = new Map<
    string,
    { readonly state: string; readonly note: string; readonly jobs: JobInfo[] }
  >();
  const sorted = jobs.toSorted((a, b) => order.indexOf(a.status.state) - order.indexOf(b.status.state));
  for (const info of sorted) {
    const { state } = info.status;
    const note = commonNote(info);
    const key = `${state} ${note}`;
    const group = groups.get(key) ?? { state, note, jobs: [] };
    group.jobs.push(info);
    groups.set(key, group);
  }
  return table({
    head: ["STATE", "COUNT", "UNREAD", "NOTE", "HOSTS"],
    rows: [...groups.values()].map((group) => [
      group.state,
      String(group.jobs.length),
      bytesText(group.jobs.reduce((sum, info) => sum + unreadOf(info), 0)),
      group.note === "" ? "-" : group.note,
      fold(group.jobs.map(({ host }) => host)),
    ]),
  });
}

function unreadOf({ status: { output, removed } }: JobInfo): number {
  if (removed === true) return 0;
  return output.stdout.written - output.stdout.received + output.stderr.written - output.stderr.received;
}

/** Without what differs from host to host. */
function commonNote(info: JobInfo): string {
  if (info.unreachableSince !== undefined && info.queued === undefined && !exitOf(info).ended) {
    return info.waiting === undefined ? "unreachable" : `unreachable; ${info.waiting} waits for the host`;
  }
  if (info.status.reason?.code === "host_unreachable") return "unreachable; nothing ran there";
  return noteText(info);
}

function noteText(info: JobInfo): string {
  const { unreachableSince, waiting, refused, status } = info;
  const ending = exitOf(info);
  const attempts = status.attempts ?? 1;
  const waits =
    waiting === undefined
      ? undefined
      : `${waiting} waits for ${unreachableSince === undefined ? "its end" : "the host"}`;
  const half =
    !ending.ended && status.exit !== undefined
      ? "main process ended, others hold the output open"
      : undefined;
  const text = endingText(ending);
  return [
    text === status.state ? undefined : text,
    attempts > 1 ? `run ${String(attempts)}` : undefined,
    half,
    waits,
    refused === undefined ? undefined : `the host refused: ${refused.message}`,
  ]
    .filter((note) => note !== undefined)
    .join("; ");
}
