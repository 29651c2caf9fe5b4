/** `outpost-agent job stop`. */
import { parseDuration } from "./duration.ts";
import { findJob } from "./job-find.ts";
import { readArgument, withAgent } from "./job-session.ts";
import type { JobIdOptions } from "./job-show.ts";
import { isEnded, jobDocument, stateText } from "./job-text.ts";
import { print } from "./output.ts";

export interface JobStopOptions extends JobIdOptions {
  readonly grace?: string | undefined;
}

/** Returns when it was told to; what resists is killed after the grace. @throws OutpostError as `findJob` */
export async function stopJob({ dir, output, id, grace }: JobStopOptions): Promise<void> {
  const graceMs = grace === undefined ? {} : { graceMs: readArgument(() => parseDuration("grace", grace)) };
  const status = await withAgent(dir, (client) =>
    client.ask(async (agent) => {
      const { job } = await findJob(agent, id);
      // Who stops it the agent knows better: whom its socket lets in.
      return (await agent.request("job.stop", { job, operator: "", ...graceMs })).status;
    }),
  );
  const text = isEnded(status) ? stateText(status) : "stopping";
  await print(output, jobDocument(status), `${status.job}: ${text}`);
}
