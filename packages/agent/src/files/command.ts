/** The command that a job runs to copy files: this agent's own Node with the program beside this file. */
import { accessSync, constants, statSync } from "node:fs";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { type Command, ErrorCode, OutpostError } from "@outpost/protocol";
import { closedDirectory } from "../handed-directory.ts";
import type { Account } from "../platform/index.ts";

const program = fileURLToPath(new URL(`./main${extname(import.meta.url)}`, import.meta.url));

/**
 * @param account the user that it runs as, if that is not ours
 * @throws OutpostError `start_failed` when that user cannot get at the program
 */
export function copyCommand(
  command: Command & { kind: "put" | "get" },
  account: Account | undefined,
): string[] {
  if (account !== undefined) checkReadable(account);
  const argv = [process.execPath, ...process.execArgv, program, command.kind];
  return command.kind === "put"
    ? [...argv, command.into ? "into" : "at", command.path]
    : [...argv, ...command.paths];
}

function checkReadable(account: Account): void {
  for (const path of [process.execPath, program]) {
    const closed = closedDirectory(path, account) ?? (isReadable(path, account) ? undefined : path);
    if (closed === undefined) continue;
    throw new OutpostError(
      ErrorCode.startFailed,
      `user ${account.name} cannot run the agent's program that copies files, because ${closed} is closed to others; ` +
        "install the agent with `outpost-agent install`, which puts it where everybody can",
    );
  }
}

/** As far as can be told by the mode. */
function isReadable(path: string, { uid, gid }: Account): boolean {
  accessSync(path, constants.R_OK);
  const { mode, uid: owner, gid: group } = statSync(path);
  const bit = owner === uid ? 0o400 : group === gid ? 0o040 : 0o004;
  return uid === 0 || (mode & bit) !== 0;
}
