/** On which hosts the check of a roll-out did not complete, and how it ended there. */
import { ErrorCode, type JobId, type JobInfo, OutpostError } from "@outpost/protocol";
import type { Client } from "../client/index.ts";
import { exitOf } from "./job-exit.ts";
import { endingText } from "./render/ending.ts";

/** By how it ended. Empty, too, when the check's job was removed. */
export async function checkFailures(
  client: Client,
  check: JobId,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const failures = new Map<string, string[]>();
  for (const info of await jobsOf(client, check)) {
    const exit = exitOf(info);
    const isBad = exit.ended
      ? exit.state === "failed" || exit.state === "lost"
      : exit.unreachableSince !== undefined;
    if (!isBad || exit.queued !== undefined) continue;
    const text = endingText(exit);
    failures.set(text, [...(failures.get(text) ?? []), info.host]);
  }
  return failures;
}

async function jobsOf(client: Client, check: JobId): Promise<readonly JobInfo[]> {
  try {
    const { jobs } = await (await client.job(check)).show();
    return jobs;
  } catch (error) {
    if (OutpostError.from(error).code === ErrorCode.notFound) return [];
    throw error;
  }
}
