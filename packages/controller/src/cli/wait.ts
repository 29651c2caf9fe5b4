/** What a wait found. */
import { ExitCode, exitCodeOf } from "../client/exit-code.ts";
import type { ExitEvent, JobView } from "../client/index.ts";
import type { OutputFormat } from "./command.ts";
import { print } from "./render/records.ts";
import { say } from "./render/sink.ts";
import { namesText, summaryLines } from "./render/summary.ts";

/** @returns the exit code: the highest of the jobs that have ended */
export async function reportWait(
  result: JobView & { readonly ended: boolean },
  format: OutputFormat,
): Promise<number> {
  const exits = result.jobs.map((info) => exitOf(info));
  const running = exits.filter(({ ended }) => !ended);
  await print(format, { json: result, records: result.jobs, text: () => "" });
  if (format === "text") {
    for (const line of summaryLines(
      exits.filter(({ ended }) => ended),
      true,
    ))
      await say(line);
    if (!result.ended) await say(`timed out; not ended on ${namesText(running.map(({ host }) => host))}`);
  }
  if (!result.ended) return ExitCode.timedOut;
  return Math.max(ExitCode.succeeded, ...exits.map(exitCodeOf));
}

function exitOf({ host, status, unreachableSince }: JobView["jobs"][number]): ExitEvent {
  const { job, state, exit, reason } = status;
  return {
    type: "exit",
    job,
    host,
    ended: state !== "pending" && state !== "running",
    state,
    ...(exit === undefined ? {} : { exit }),
    ...(reason === undefined ? {} : { reason }),
    ...(unreachableSince === undefined ? {} : { unreachableSince }),
  };
}
