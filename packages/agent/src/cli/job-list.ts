/** `outpost-agent job list`. */
import { heldJobs } from "./job-find.ts";
import { type JobCommandOptions, withAgent } from "./job-session.ts";
import { jobDocument, jobsText } from "./job-text.ts";
import { print } from "./output.ts";

export async function listJobs({ dir, output }: JobCommandOptions): Promise<void> {
  const held = await withAgent(dir, (client) => client.ask(heldJobs));
  const jobs = held.toSorted((a, b) => (b.startedAt ?? Infinity) - (a.startedAt ?? Infinity));
  await print(output, { jobs: jobs.map(jobDocument) }, jobsText(jobs, Date.now()));
}
