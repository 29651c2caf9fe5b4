/** A job as it stands, as the last that a receive would tell of its host. */
import type { JobInfo } from "@outpost/protocol";
import type { ExitEvent } from "../client/index.ts";

export function exitOf({ host, status, unreachableSince, queued }: JobInfo): ExitEvent {
  const { job, state, exit, reason } = status;
  return {
    type: "exit",
    job,
    host,
    ended: state !== "pending" && state !== "running",
    state,
    ...(exit === undefined ? {} : { exit }),
    ...(reason === undefined ? {} : { reason }),
    ...(unreachableSince === undefined ? {} : { unreachableSince }),
    ...(queued === undefined ? {} : { queued }),
  };
}
