/** Which job is meant: by its id, the beginning of it, or its name. */
import { ErrorCode, JobId, type JobStatus, OutpostError } from "@outpost/protocol";
import * as v from "valibot";
import type { LocalAgent } from "../local/agent-client.ts";

/** How many of several fitting jobs an error names. */
const maxNamed = 5;

/** @throws OutpostError `not_found`; `conflict` when several fit */
export async function findJob(agent: LocalAgent, text: string): Promise<JobStatus> {
  // By its whole id one is found that was removed, too.
  if (v.is(JobId, text)) {
    const { jobs } = await agent.request("job.status", { jobs: [text] });
    if (jobs[0] !== undefined) return jobs[0];
  }
  const held = await heldJobs(agent);
  const named = held.filter(({ origin }) => origin?.name === text);
  const found = named.length > 0 ? named : held.filter(({ job }) => text !== "" && job.startsWith(text));
  if (found.length === 1) return found[0]!;
  if (found.length === 0) {
    throw new OutpostError(
      ErrorCode.notFound,
      `there is no job ${text} on this host; \`outpost-agent job list\` shows its jobs`,
      { data: { job: text } },
    );
  }
  const jobs = found.slice(0, maxNamed).map(({ job }) => job);
  throw new OutpostError(
    ErrorCode.conflict,
    `${text} fits several jobs (${jobs.join(", ")}${found.length > maxNamed ? ", …" : ""}); give a whole id`,
    { data: { jobs } },
  );
}

/** All jobs that the host holds, in the order of their ids. */
export async function heldJobs(agent: LocalAgent): Promise<JobStatus[]> {
  const held: JobStatus[] = [];
  for (;;) {
    const after = held.at(-1)?.job;
    const { jobs, last } = await agent.request("job.list", after === undefined ? {} : { after });
    held.push(...jobs);
    // An agent that said "more" and gave nothing would be asked for ever.
    if (last || jobs.length === 0) return held;
  }
}
