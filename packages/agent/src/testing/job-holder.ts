/**
 * A process that holds a job store as an agent does, to be killed: opens it, starts what it is told, says so, stays.
 *
 *     node job-holder.ts DIRECTORY [REQUEST as JSON]…
 */
import type { JobStartParams } from "@outpost/protocol";
import { openJobs } from "./job-store.ts";

const [directory, ...requests] = process.argv.slice(2);
const jobs = await openJobs(directory!);
for (const text of requests) {
  const { status } = await jobs.start(JSON.parse(text) as JobStartParams);
  process.stdout.write(`${JSON.stringify(status)}\n`);
}
setInterval(() => {}, 60_000);
process.stdout.write("ready\n");
