/** Asks the hosts how much their running jobs have written, so that "unread" is true and not as of the last change. */
import type { Bus, HostLink } from "./bus.ts";
import type { FanOut } from "./fan-out.ts";
import type { FanOuts } from "./fan-outs.ts";
import type { Job } from "./job.ts";

const maxStatusIds = 1_000;

/** Some jobs of a fan-out job, or all. */
interface Selected {
  readonly fanOut: FanOut;
  readonly jobs: readonly Job[];
}

/** Resolves when every connected host of a running job has answered, or after `timeoutMs`. Never throws. */
export async function refreshRunning(
  fanOuts: FanOuts,
  bus: Bus,
  among: Iterable<Pick<Selected, "fanOut"> & Partial<Selected>>,
  timeoutMs: number,
): Promise<void> {
  const byLink = new Map<HostLink, [FanOut, Job][]>();
  for (const { fanOut, jobs: some = fanOut.jobs } of among) {
    for (const job of some) {
      const link = job.status.state === "running" ? bus.link(job.host) : undefined;
      if (link === undefined) continue;
      const jobs = byLink.get(link) ?? [];
      byLink.set(link, jobs);
      // Beyond what one question takes, the last known extents must do.
      if (jobs.length < maxStatusIds) jobs.push([fanOut, job]);
    }
  }
  await Promise.all([...byLink].map(([link, jobs]) => ask(fanOuts, link, jobs, timeoutMs)));
}

async function ask(
  fanOuts: FanOuts,
  link: HostLink,
  jobs: readonly [FanOut, Job][],
  timeoutMs: number,
): Promise<void> {
  try {
    const answer = await link.request("job.status", { jobs: jobs.map(([{ id }]) => id) }, { timeoutMs });
    const statuses = new Map(answer.jobs.map((status) => [status.job, status]));
    for (const [fanOut, job] of jobs) {
      const status = statuses.get(fanOut.id);
      if (status !== undefined) fanOuts.note(fanOut, job, job.report(status, link));
    }
  } catch {
    // A slow or lost host leaves its last known extents.
  }
}
