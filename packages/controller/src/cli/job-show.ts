/** How a job stands, once or as it goes. */
import type { FanOutState } from "@outpost/protocol";
import { ExitCode } from "../client/exit-code.ts";
import type { Job, JobView } from "../client/index.ts";
import type { OutputFormat } from "./command.ts";
import { endingText } from "./render/ending.ts";
import { jobViewText } from "./render/job-view.ts";
import { allNames } from "./render/names.ts";
import { printable, printableLines } from "./render/printable.ts";
import { print } from "./render/records.ts";
import { watchIntervalMs } from "./watch-options.ts";

/** @param everyHost true: a row for each host, however many there are. @returns the exit code */
export async function showJob(job: Job, format: OutputFormat, everyHost: boolean): Promise<number> {
  const view = await job.show();
  const text = async (): Promise<string> => pictureOf(job, view, everyHost);
  await print(format, { json: view, records: view.jobs, text });
  return ExitCode.succeeded;
}

/** With the hosts where its check has failed, which have succeeded by themselves. */
async function pictureOf(job: Job, view: JobView, everyHost: boolean): Promise<string> {
  const text = jobViewText(view, Date.now(), everyHost);
  if ((view.fanout.rollout?.failures ?? 0) === 0) return text;
  const byEnding = new Map<string, string[]>();
  for (const check of await job.failedChecks()) {
    const why = endingText(check);
    byEnding.set(why, [...(byEnding.get(why) ?? []), check.host]);
  }
  const lines: string[] = [];
  for (const [why, names] of byEnding) lines.push(`check failed on ${await allNames(names)}: ${why}`);
  return lines.length === 0 ? text : `${text}\n\n${lines.join("\n")}`;
}

/** Until it has ended, or somebody leaves. @returns the exit code */
export async function watchJob(job: Job, format: OutputFormat, everyHost: boolean): Promise<number> {
  let last: JobView | undefined;
  const isOver = (): boolean => last !== undefined && hasEnded(last);
  const load = async (): Promise<JobView> => (last = await job.show());
  if (format === "ndjson") {
    const { watchChanges } = await import("./watch-changes.ts");
    await watchChanges({
      intervalMs: watchIntervalMs,
      load: async () => records(await load()),
      gone: (key) => ({ type: "gone", key }),
      isOver,
    });
    return ExitCode.succeeded;
  }
  const { fitHeight, watch } = await import("./terminal/watch.ts");
  await watch({
    intervalMs: watchIntervalMs,
    isOver,
    render: async (_columns, rows) => {
      const view = await load();
      const lines = printableLines(await pictureOf(job, view, everyHost)).split("\n");
      return fitHeight(lines, printable(statusLine(view)), rows);
    },
  });
  return ExitCode.succeeded;
}

/** The job itself, and each of its hosts. */
function records({ fanout, jobs }: JobView): ReadonlyMap<string, object> {
  return new Map<string, object>([
    [`job ${fanout.job}`, { type: "job", ...fanout }],
    ...jobs.map((info) => [info.host, { type: "host", ...info }] as const),
  ]);
}

const openStates: ReadonlySet<FanOutState> = new Set(["pending", "running", "disconnected"]);

function hasEnded({ fanout }: JobView): boolean {
  const state = fanout.rollout?.state;
  const isOver = state === undefined || state === "done" || state === "stopped";
  return isOver && !openStates.has(fanout.state);
}

function statusLine(view: JobView): string {
  const { state, counts } = view.fanout;
  const parts = Object.entries(counts).map(([each, count]) => `${String(count)} ${each}`);
  return `${hasEnded(view) ? "ended" : state}: ${parts.join(", ")}`;
}
