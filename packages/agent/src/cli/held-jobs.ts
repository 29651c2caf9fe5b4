/** The jobs of a directory, read without touching them: a running agent may be at work there. */
import { readdir } from "node:fs/promises";
import { JobId, type JobState } from "@outpost/protocol";
import * as v from "valibot";
import { JobDirectory } from "../jobs/job-directory.ts";
import { isReplaced } from "../jobs/job-file.ts";
import type { Platform } from "../platform/index.ts";

export interface HeldJob {
  readonly job: JobId;
  /** `unsettled`: its process is gone, and how it ended is not on record yet: the agent concludes that, within moments
   * while it runs, else at its next start. */
  readonly state: JobState | "unsettled";
  /** Bytes written so far. */
  readonly stdout: number;
  readonly stderr: number;
}

/** The oldest first, as far as their specs say when they came. */
export async function heldJobs(directory: string, platform: Platform): Promise<HeldJob[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names
    .filter((name): name is JobId => v.is(JobId, name))
    .map((job) => new JobDirectory(directory, job))
    .map((found) => ({ job: held(found, platform), since: sinceOf(found) }))
    .toSorted((a, b) => a.since - b.since)
    .map(({ job }) => job);
}

function held(found: JobDirectory, platform: Platform): HeldJob {
  const stdout = found.sizeOf("stdout");
  const stderr = found.sizeOf("stderr");
  const state = unlessReplaced(() => stateOf(found, platform)) ?? "unsettled";
  return { job: found.job, state, stdout, stderr };
}

function sinceOf(found: JobDirectory): number {
  return unlessReplaced(() => found.readSpec())?.acceptedAt ?? 0;
}

/** Something else in the place of a job's file is the agent's to report. */
function unlessReplaced<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isReplaced(error)) return undefined;
    throw error;
  }
}

function stateOf(found: JobDirectory, platform: Platform): HeldJob["state"] {
  const end = found.readEnd();
  if (end !== undefined) return end.state;
  const process = found.readProcess();
  // The shell lives longer than a job in it, and one that waits has none yet.
  const spec = found.readSpec();
  if (spec?.session !== undefined) {
    if (spec.bootId !== platform.bootId || found.readExit().record.kind === "complete") return "unsettled";
    if (process === undefined) return "pending";
  }
  const lives = process?.bootId === platform.bootId && platform.startTime(process.pid) === process.startTime;
  return lives ? "running" : "unsettled";
}
