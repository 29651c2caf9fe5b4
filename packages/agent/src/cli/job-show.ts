/** `outpost-agent job show`. */
import { findJob } from "./job-find.ts";
import { type JobCommandOptions, withAgent } from "./job-session.ts";
import { jobDocument, jobText } from "./job-text.ts";
import { print } from "./output.ts";

export interface JobIdOptions extends JobCommandOptions {
  /** An id, the beginning of one, or a name. */
  readonly id: string;
}

/** @throws OutpostError as `findJob` */
export async function showJob({ dir, output, id }: JobIdOptions): Promise<void> {
  const status = await withAgent(dir, (client) => client.ask((agent) => findJob(agent, id)));
  await print(output, jobDocument(status), jobText(status, Date.now()));
}
