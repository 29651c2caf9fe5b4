/** After a restart: takes up every job that has a directory, as adoption.ts finds it. */
import { readdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { JobId, type OutpostError } from "@outpost/protocol";
import * as v from "valibot";
import { handedIds, handedPath } from "../handed-directory.ts";
import { Adoption, type Finding } from "./adoption.ts";
import { Job } from "./job.ts";
import type { JobDirectory, Received } from "./job-directory.ts";
import { isReplaced } from "./job-file.ts";
import type { JobStore } from "./job-store.ts";
import { removeDirectory } from "./removal.ts";
import { noSessions } from "./session-shells.ts";

/** Settles what ended, watches over what runs, removes what was being removed. One damaged job stops no other. */
export function takeUpJobs(store: JobStore): void {
  const { directory, platform, hostName, log, clock, handed } = store.options;
  const adoption = new Adoption(platform, hostName);
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const id = v.safeParse(JobId, entry.name);
    if (!id.success) continue;
    try {
      if (!entry.isDirectory()) {
        takeUpReplaced(store, id.output, entry.isSymbolicLink());
        continue;
      }
      takeUp(store, store.directory(id.output), (found) => adoption.examine(found, clock.now()));
    } catch (error) {
      log.error({ job: entry.name, err: error }, "cannot take up a job");
      if (isReplaced(error)) damaged(store, new Job(id.output), error);
    }
  }
  if (handed === undefined) return;
  for (const id of handedIds(handed, "jobs")) if (!store.running.has(id as JobId)) store.takeBack(id);
}

/**
 * Something stands in the place of the job's directory. It is not entered; that the job was here is remembered, so that
 * nothing is started in its name again.
 */
function takeUpReplaced(store: JobStore, id: JobId, isLink: boolean): void {
  const { directory, log } = store.options;
  if (!isLink || store.tombstones.has(id)) return;
  const path = join(directory, id);
  const message = `the job's directory ${path} is a symbolic link now; Outpost made a directory, so something else put it there, and it is not entered`;
  log.error({ job: id }, message);
  store.gone(id, { code: "record_damaged", message });
  unlinkSync(path);
}

/** Its files are not what they were. */
function damaged(store: JobStore, job: Job, { message }: OutpostError): void {
  store.jobs.set(job.id, job);
  store.endedUnwatched(job, {
    state: "lost",
    reason: { code: "record_damaged", message },
    written: { ...job.written },
    settledAt: store.options.clock.now(),
  });
}

function takeUp(
  store: JobStore,
  directory: JobDirectory,
  examine: (directory: JobDirectory) => Finding,
): void {
  // It was being removed when the agent ended.
  if (store.tombstones.has(directory.job)) return removeDirectory(directory.path);
  const ended = directory.readEnd();
  // Agents up to 0.1 recorded in the spec only who had asked.
  const record = ended?.operator === undefined ? directory.readSpec() : ended;
  const configuration = record !== undefined && "configuration" in record ? record.configuration : undefined;
  const job = new Job(directory.job, record?.origin, record, configuration);
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
  const received = readReceived(store, directory);
  if (received !== undefined) job.acknowledged(received);
}

/** Without it the output is received once more; that is no reason to lose a job. */
function readReceived({ options }: JobStore, directory: JobDirectory): Received | undefined {
  try {
    return directory.readReceived();
  } catch (error) {
    options.log.error({ job: directory.job, err: error }, "cannot read what was received of a job");
    return undefined;
  }
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
          ...runDirectory(store, job.id, spec),
          ...(process === undefined ? {} : { process }),
        },
        streamed,
      )
      .adopt(),
  );
}

/** Where the session's shell finds a job's files, when it is another user's. */
function runDirectory(
  { options: { handed } }: JobStore,
  job: JobId,
  { user }: { readonly user?: string | undefined },
): { readonly runDirectory?: string } {
  return handed === undefined || user === undefined ? {} : { runDirectory: handedPath(handed, "jobs", job) };
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
      reason: {
        code: "record_damaged",
        message: isReplaced(error) ? error.message : "files of the job's directory are missing or damaged",
      },
      written: { ...job.written },
      settledAt: store.options.clock.now(),
    });
  }
}
