/** `outpost-agent job remove`. */
import { findJob } from "./job-find.ts";
import { withAgent } from "./job-session.ts";
import type { JobIdOptions } from "./job-show.ts";
import { print } from "./output.ts";

/** @throws OutpostError `conflict` while it runs; as `findJob` */
export async function removeJob({ dir, output, id }: JobIdOptions): Promise<void> {
  const job = await withAgent(dir, (client) =>
    client.ask(async (agent) => {
      const found = await findJob(agent, id);
      await agent.request("job.remove", { job: found.job });
      return found.job;
    }),
  );
  await print(output, { job, removed: true }, `removed ${job}`);
}
