/** How a fan-out job and its jobs stand, asked for in pages: of thousands of hosts it is more than a message holds. */
import type { FanOutInfo, JobInfo } from "@outpost/protocol";
import type { Connection } from "./connection.ts";

export interface JobView {
  readonly fanout: FanOutInfo;
  /** In the order of the plan. */
  readonly jobs: readonly JobInfo[];
}

/** How many jobs are asked for at a time. */
const pageSize = 500;

/** @param job an id, the beginning of one, or a name. @throws OutpostError `not_found`; `conflict` when several fit */
export async function viewOf(connection: Connection, job: string, signal?: AbortSignal): Promise<JobView> {
  const options = signal === undefined ? {} : { signal };
  let page = await connection.request("fanout.show", { job, limit: pageSize }, options);
  const jobs = [...page.jobs];
  while (page.more === true && jobs.length > 0) {
    const after = jobs.at(-1)!.host;
    page = await connection.request("fanout.show", { job: page.fanout.job, after, limit: pageSize }, options);
    jobs.push(...page.jobs);
    if (page.jobs.length === 0) break;
  }
  return { fanout: page.fanout, jobs };
}
