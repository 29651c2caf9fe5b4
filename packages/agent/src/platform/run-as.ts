/**
 * Becoming another user between fork and exec, by a program of the system: Node can set a user and a group, but no
 * supplementary groups, and the process in front of it (a job's wrapper, the session host) has to stay who it is.
 */
import { ErrorCode, OutpostError } from "@outpost/protocol";
import type { Account } from "./account.ts";
import { findTool } from "./tool.ts";

export interface RunAs {
  readonly account: Account;
  /** Supplementary groups. Absent: the user's own, as at a login. */
  readonly groups?: readonly number[] | undefined;
}

/** What stands in front of a program so that it runs as that user: no other groups, no capabilities. @throws OutpostError `start_failed` */
export function runAsPrefix(runAs: RunAs): readonly string[] {
  return process.platform === "darwin" ? darwinPrefix(runAs) : linuxPrefix(runAs);
}

/** setpriv(1) execs at once, so the process keeps its number. Changing from root to another user clears its capabilities. */
function linuxPrefix({ account: { uid, gid }, groups }: RunAs): readonly string[] {
  const setpriv = findTool("setpriv");
  if (setpriv === undefined) {
    throw new OutpostError(
      ErrorCode.startFailed,
      "running as another user needs setpriv(1), which is not on this host: install util-linux",
    );
  }
  const supplementary =
    groups === undefined
      ? "--init-groups"
      : groups.length === 0
        ? "--clear-groups"
        : `--groups=${groups.join(",")}`;
  return [
    setpriv,
    `--reuid=${String(uid)}`,
    `--regid=${String(gid)}`,
    supplementary,
    "--inh-caps=-all",
    "--",
  ];
}

/** Not run by our tests. sudo(8) keeps the supplementary groups of the user, and cannot be given others. */
function darwinPrefix({ account: { name }, groups }: RunAs): readonly string[] {
  if (groups !== undefined) {
    throw new OutpostError(ErrorCode.startFailed, "on macOS a configuration cannot set supplementary groups");
  }
  return ["/usr/bin/sudo", "-n", "-u", name, "--"];
}
