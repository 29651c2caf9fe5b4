/** What a wait found. */
import { summarise } from "../client/summary.ts";
import { ExitCode, outcomeOf } from "../client/exit-code.ts";
import { withFailedChecks } from "../client/failed-checks.ts";
import type { Job, JobView } from "../client/index.ts";
import type { OutputFormat } from "./command.ts";
import { exitOf } from "./job-exit.ts";
import { print } from "./render/records.ts";
import { say } from "./render/sink.ts";
import { foldedNames } from "./render/names.ts";
import { summaryLines } from "./render/summary.ts";

/** Before a wait that may be long because somebody has to do something first. */
export async function warnOfPause({ rollout, id, name, hosts }: Job): Promise<void> {
  if (rollout?.state !== "paused") return;
  const { pausedText } = await import("./rollout-notices.ts");
  await say(`${pausedText(rollout, hosts.length)}; to go on: outpost job resume ${name ?? id}`);
}

/** @returns the exit code: the highest of the jobs that have ended */
export async function reportWait(
  job: Job,
  result: JobView & { readonly ended: boolean },
  format: OutputFormat,
): Promise<number> {
  const failures = result.fanout.rollout?.failures ?? 0;
  const exits = withFailedChecks(result.jobs.map(exitOf), failures === 0 ? [] : await job.failedChecks());
  const going = exits.filter(({ ended, queued }) => !ended && queued === undefined);
  const queued = exits.filter((exit) => !exit.ended && exit.queued !== undefined);
  await print(format, { json: result, records: result.jobs, text: () => "" });
  if (format === "text") {
    const ended = exits.filter((exit) => exit.ended);
    if (ended.some((exit) => outcomeOf(exit) !== "succeeded")) {
      for (const line of await summaryLines(ended)) await say(line);
    }
    if (!result.ended) {
      const parts = [
        ...(going.length === 0 ? [] : [`not ended on ${await foldedNames(going.map(({ host }) => host))}`]),
        ...(queued.length === 0
          ? []
          : [`not begun yet on ${await foldedNames(queued.map(({ host }) => host))}`]),
      ];
      await say(`timed out; ${parts.join("; ")}`);
    }
  }
  if (!result.ended) return ExitCode.timedOut;
  return summarise(result.fanout.job, exits, result.fanout.rollout).exitCode;
}
