/** After a restart: takes up every job that has a directory, as adoption.ts finds it. */
import { readdirSync } from "node:fs";
import { JobId } from "@outpost/protocol";
import * as v from "valibot";
import { Adoption, type Finding } from "./adoption.ts";
import { Job } from "./job.ts";
import type { JobDirectory } from "./job-directory.ts";
import type { JobStore } from "./job-store.ts";
import { removeDirectory } from "./removal.ts";
import { noSessions } from "./session-shells.ts";

/** Settles what ended, watches over what runs, removes what was being removed. One damaged job stops no other. */
export function takeUpJobs(store: JobStore): void {
  const { directory, platform, hostName, log, clock } = store.options;
  const adoption = new Adoption(platform, hostName);
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const id = v.safeParse(JobId, entry.name);
    if (!entry.isDirectory() || !id.success) continue;
    try {
      takeUp(store, store.directory(id.output), (found) => adoption.examine(found, clock.now()));
    } catch (error) {
      log.error({ job: entry.name, err: error }, "cannot take up a job");
    }
  }
}

function takeUp(
  store: JobStore,
  directory: JobDirectory,
  examine: (directory: JobDirectory) => Finding,
): void {
  // It was being removed when the agent ended.
  if (store.tombstones.has(directory.job)) return removeDirectory(directory.path);
  const ended = directory.readEnd();
  const job = new Job(directory.job, (ended ?? directory.readSpec())?.origin);
  job.inputBytes = directory.sizeOf("stdin") + directory.sizeOf("stdin.spool");
  if (ended !== undefined) {
    job.timelineBytes = directory.sizeOf("timeline");
    job.end(ended);
  }
  const finding = ended === undefined ? examine(directory) : undefined;
  if (finding?.kind === "nothing") return removeDirectory(directory.path);
  store.jobs.set(job.id, job);
  if (finding?.kind === "ended") store.endedUnwatched(job, finding.end);
  if (finding?.kind === "running") watch(store, job, directory, finding);
  if (finding?.kind === "inSession") watchInSession(store, job, directory, finding);
  const received = directory.readReceived();
  if (received !== undefined) job.acknowledged(received);
}

function watch(
  store: JobStore,
  job: Job,
  directory: JobDirectory,
  { process, spec }: Extract<Finding, { kind: "running" }>,
): void {
  guard(store, job, process.startedAt, () =>
    store.watch({ job, directory, process, spec }, spec.streamed === true).adopt(),
  );
}

function watchInSession(
  store: JobStore,
  job: Job,
  directory: JobDirectory,
  { process, spec }: Extract<Finding, { kind: "inSession" }>,
): void {
  const { session, operator, streamed } = spec;
  const shells = store.options.sessions ?? noSessions;
  guard(store, job, process?.startedAt, () =>
    store
      .watchInSession(
        {
          job,
          directory,
          session: session.id,
          busy: session.busy,
          operator,
          spec,
          shells,
          ...(process === undefined ? {} : { process }),
        },
        streamed,
      )
      .adopt(),
  );
}

/** Without its files a job cannot be watched. */
function guard(store: JobStore, job: Job, startedAt: number | undefined, adopt: () => void): void {
  try {
    adopt();
  } catch (error) {
    store.options.log.error({ job: job.id, err: error }, "the directory of a job is damaged");
    store.running.delete(job.id);
    store.endedUnwatched(job, {
      state: "lost",
      ...(startedAt === undefined ? {} : { startedAt }),
      reason: { code: "record_damaged", message: "files of the job's directory are missing or damaged" },
      written: { ...job.written },
      settledAt: store.options.clock.now(),
    });
  }
}
