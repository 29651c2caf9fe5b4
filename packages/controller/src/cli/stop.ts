/** Stops a job on some or all of its hosts. */
import { ErrorCode, type HostName, OutpostError } from "@outpost/protocol";
import { ExitCode } from "../client/exit-code.ts";
import type { Job } from "../client/index.ts";
import type { OutputFormat } from "./command.ts";
import { print } from "./render/records.ts";

export interface StopCommandOptions {
  readonly host: readonly string[];
  readonly grace: number | undefined;
  readonly output: OutputFormat;
}

/** @returns the exit code. @throws OutpostError `not_found` for a host that the job does not run on */
export async function stopJob(job: Job, { host, grace, output }: StopCommandOptions): Promise<number> {
  const hosts = host.map((name) => hostOf(job, name));
  const jobs = await job.stop({
    ...(hosts.length === 0 ? {} : { hosts }),
    ...(grace === undefined ? {} : { graceMs: grace }),
  });
  const text = async (): Promise<string> => (await import("./render/job-view.ts")).jobsText(jobs);
  await print(output, { json: { job: job.id, jobs }, records: jobs, text });
  return jobs.some(({ refused }) => refused !== undefined) ? ExitCode.denied : ExitCode.succeeded;
}

function hostOf(job: Job, name: string): HostName {
  const found = job.hosts.find(({ host }) => host === name);
  if (found !== undefined) return found.host;
  throw new OutpostError(ErrorCode.notFound, `the job ${job.id} does not run on ${name}`, {
    data: { job: job.id, host: name },
  });
}
