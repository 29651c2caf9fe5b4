/** `outpost-agent job wait`. */
import { parseDuration } from "./duration.ts";
import { ExitCode } from "./exit-code.ts";
import { jobExitCode } from "./job-exit-code.ts";
import { findJob } from "./job-find.ts";
import { readArgument, withAgent } from "./job-session.ts";
import type { JobIdOptions } from "./job-show.ts";
import { isEnded, jobDocument, stateText } from "./job-text.ts";
import { print, say } from "./output.ts";

export interface JobWaitOptions extends JobIdOptions {
  readonly timeout?: string | undefined;
}

/** @returns the exit code. @throws OutpostError as `findJob` */
export async function waitForJob({ dir, output, id, timeout }: JobWaitOptions): Promise<number> {
  const ms = timeout === undefined ? undefined : readArgument(() => parseDuration("timeout", timeout));
  return withAgent(dir, async (client, interrupted) => {
    const { job } = await client.ask((agent) => findJob(agent, id));
    const deadline = ms === undefined ? undefined : AbortSignal.timeout(ms);
    const signal = deadline === undefined ? interrupted : AbortSignal.any([interrupted, deadline]);
    try {
      // A read of no stream at all: it is answered at the job's end.
      const { status } = await client.ask((agent) =>
        agent.request("job.read", { job, from: {}, follow: true, window: 0 }, { signal }),
      );
      await print(output, jobDocument(status), "");
      if (output === "text" && isEnded(status) && status.state !== "completed") {
        await say(`${job}: ${stateText(status)}`);
      }
      return jobExitCode(status);
    } catch (error) {
      if (interrupted.aborted) return ExitCode.interrupted;
      if (deadline?.aborted !== true) throw error;
      await say(`timed out; ${job} has not ended`);
      return ExitCode.timedOut;
    }
  });
}
