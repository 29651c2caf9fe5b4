/** Commands that know groups: a scheduler, an inventory, a cloud's tool. */
import { execFile } from "node:child_process";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { wordsOf } from "./group-text.ts";

/** How long a command may take, in milliseconds. Somebody waits for it. */
const timeoutMs = 30_000;
/** How much it may print, in bytes. A longer list of hosts is no list of hosts. */
const maxOutputBytes = 16 * 1024 * 1024;

/**
 * What a source's command prints, word by word.
 * @param group `$GROUP` of its environment
 * @throws OutpostError `start_failed` when it fails; `timeout`; `limit_exceeded`
 */
export async function askSource(
  source: string,
  command: string,
  group: string | undefined,
): Promise<readonly string[]> {
  const env = { ...process.env, ...(group === undefined ? {} : { GROUP: group }) };
  const done = Promise.withResolvers<string>();
  const child = execFile(
    "/bin/sh",
    ["-c", command],
    { env, timeout: timeoutMs, maxBuffer: maxOutputBytes, encoding: "utf8" },
    (error, stdout, stderr) => {
      if (error === null) done.resolve(stdout);
      else done.reject(failure(source, group, error, stderr));
    },
  );
  // It is not to wait for somebody to type.
  child.stdin?.end();
  return wordsOf(await done.promise);
}

function failure(
  source: string,
  group: string | undefined,
  error: Error & { readonly code?: string | number | null; readonly killed?: boolean },
  stderr: string,
): OutpostError {
  const about = group === undefined ? `the source ${source}` : `the source ${source}, asked for ${group},`;
  const data = { source, ...(group === undefined ? {} : { group }) };
  if (error.code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER") {
    const message = `${about} has printed more than ${String(maxOutputBytes)} bytes`;
    return new OutpostError(ErrorCode.limitExceeded, message, { cause: error, data });
  }
  if (error.killed === true) {
    const message = `${about} has not answered within ${String(timeoutMs / 1000)} s`;
    return new OutpostError(ErrorCode.timeout, message, { cause: error, data });
  }
  const why = stderr.trim().split("\n").at(-1) ?? "";
  const how =
    typeof error.code === "number" ? `has failed (exit code ${String(error.code)})` : "could not be run";
  return new OutpostError(
    ErrorCode.startFailed,
    `${about} ${how}${why === "" ? "" : `: ${why.slice(0, 300)}`}`,
    {
      cause: error,
      data,
    },
  );
}
