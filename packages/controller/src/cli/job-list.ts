/** The controller's jobs, once or as they go. */
import type { FanOutInfo, FanOutListParams } from "@outpost/protocol";
import type { Client } from "../client/index.ts";
import { ExitCode } from "../client/exit-code.ts";
import type { OutputFormat } from "./command.ts";
import { ageText } from "./duration.ts";
import { bytesText } from "./render/bytes-text.ts";
import { printableLines } from "./render/printable.ts";
import { print } from "./render/records.ts";
import { table } from "./render/table.ts";
import { watchIntervalMs } from "./watch-options.ts";

/** @returns the exit code */
export async function listJobs(
  client: Client,
  filter: FanOutListParams,
  format: OutputFormat,
): Promise<number> {
  const fanouts = await client.jobs(filter);
  await print(format, { json: { fanouts }, records: fanouts, text: () => asTable(fanouts) });
  return ExitCode.succeeded;
}

/** Until somebody leaves. @param filter asked each time: it may speak of now. @returns the exit code */
export async function watchJobs(
  client: Client,
  filter: () => FanOutListParams,
  format: OutputFormat,
): Promise<number> {
  if (format === "ndjson") {
    const { watchChanges } = await import("./watch-changes.ts");
    await watchChanges({
      intervalMs: watchIntervalMs,
      load: async () => new Map((await client.jobs(filter())).map((info) => [info.job, info] as const)),
      gone: (job) => ({ job, gone: true }),
    });
    return ExitCode.succeeded;
  }
  const { fitHeight, watch } = await import("./terminal/watch.ts");
  await watch({
    intervalMs: watchIntervalMs,
    render: async (columns, rows) => {
      const fanouts = await client.jobs(filter());
      const open = fanouts.filter(({ endedAt }) => endedAt === undefined).length;
      const lines = printableLines(asTable(fanouts, columns)).split("\n");
      return fitHeight(lines, `${String(fanouts.length)} jobs, ${String(open)} of them not ended`, rows);
    },
  });
  return ExitCode.succeeded;
}

function asTable(fanouts: readonly FanOutInfo[], width?: number): string {
  if (fanouts.length === 0) return "no jobs";
  const now = Date.now();
  return table({
    head: ["ID", "NAME", "STATE", "HOSTS", "UNREAD", "STARTED", "COMMAND"],
    rows: fanouts.map((info) => [
      info.job,
      info.name ?? "-",
      stateText(info),
      String(info.hosts),
      bytesText(info.unreadBytes),
      ageText(info.createdAt, now),
      info.command,
    ]),
    ...(width === undefined ? {} : { width }),
  });
}

/** The state, with how many hosts are in it when they are not all; of a roll-out that goes on, how far it is. */
function stateText({ state, counts, hosts, rollout }: FanOutInfo): string {
  if (rollout !== undefined && rollout.state !== "done" && rollout.state !== "stopped") {
    const what = rollout.state === "running" ? state : rollout.state;
    const stage = rollout.stages === 1 ? "" : `, stage ${String(rollout.stage)}/${String(rollout.stages)}`;
    return `${what} (${String(rollout.begun)}/${String(hosts)}${stage})`;
  }
  const count = counts[state];
  // Its jobs have completed by themselves.
  if (state === "completed" && rollout?.check !== undefined && rollout.failures > 0) return "check failed";
  return count === undefined || count === hosts ? state : `${state} (${String(count)})`;
}
