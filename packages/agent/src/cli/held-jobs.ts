/** The jobs of a directory, read without touching them: a running agent may be at work there. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { JobId } from "@outpost/protocol";
import * as v from "valibot";

export interface HeldJob {
  readonly job: string;
  /** `ended`: its exit is on record. `unfinished`: it runs, or nobody has settled it since it ended. */
  readonly state: "ended" | "unfinished";
  /** Bytes written so far. */
  readonly stdout: number;
  readonly stderr: number;
}

/** The oldest first. */
export async function heldJobs(directory: string): Promise<HeldJob[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const jobs = await Promise.all(
    names.filter((name) => v.is(JobId, name)).map((name) => held(directory, name)),
  );
  return jobs.toSorted((a, b) => a.since - b.since).map(({ job }) => job);
}

async function held(
  directory: string,
  job: string,
): Promise<{ readonly job: HeldJob; readonly since: number }> {
  const file = (name: string): string => join(directory, job, name);
  const [since, stdout, stderr, exit] = await Promise.all([
    stat(file("spec.json")).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    ),
    size(file("stdout")),
    size(file("stderr")),
    readFile(file("exit"), "latin1").catch(() => ""),
  ]);
  // The record counts only when its line is complete; before, the file holds spaces.
  return { job: { job, state: /exit .*\n/.test(exit) ? "ended" : "unfinished", stdout, stderr }, since };
}

async function size(file: string): Promise<number> {
  return stat(file).then(
    (found) => found.size,
    () => 0,
  );
}
