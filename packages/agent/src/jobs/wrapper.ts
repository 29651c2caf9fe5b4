/**
 * The few lines of POSIX sh around every job. The wrapper is the leader of the job's session and process group, waits
 * for the main process, and writes how it ended as one line. Builtins only: an external command would double its cost.
 */
import { oomReset } from "../platform/index.ts";

/** Before the traps. bash is silent about signals in POSIX mode, and only bash may be given this: dash would exit. */
const loud = "case $BASH_VERSION in ?*) set +o posix;; esac; ";

/** The main process, and what the wrapper waits for. */
const run = `(${oomReset()}exec "$@" 2>&3 3>&-); `;

/**
 * - The wrapper's own standard error is the `exit` file; the job's is passed as descriptor 3.
 * - The traps are handlers, not ignores, so the main process has the default actions again, while signals to the whole
 *   group leave the wrapper there to write its record.
 * - `(exec "$@")`: never a builtin or function of the shell. No `--`: dash takes it for the program's name.
 * - Where the agent is spared when memory runs out, its wrapper is, too, and the job is not.
 * - A shell says "Killed" and the like on its standard error when a signal ended the command. So that line stands in
 *   the exit file before the record, and tells a signal from an exit code of 128 + n (see exit-record.ts).
 */
export const wrapperScript = `${loud}trap : HUP INT QUIT TERM; ${run}echo "exit $?" >&2`;

/**
 * The same for a job that is retried: its first two arguments say how often, and how many seconds after each end. A line for
 * each end that is not the last goes before the record. A signal to the group (a stop) is noted, and nothing begins after it.
 * `sleep` is the one external command: it runs only where a run has failed.
 */
export const retryingScript =
  `${loud}s=; trap s=1 HUP INT QUIT TERM; n=$1; d=$2; shift 2; while :; do ${run}r=$?; ` +
  'case $r:$n:$s in 0:* | *:0:* | *:1) break;; esac; n=$((n - 1)); echo "again $r" >&2; ' +
  'sleep "$d" 2>/dev/null 3>&-; case $s in 1) break;; esac; done; echo "exit $r" >&2';

/** `$0` of the wrapper: what a shell's complaint begins with when it cannot execute the program. */
export const wrapperName = "outpost";

/** Whether this is how a wrapper was called. */
export function isWrapper(commandLine: string): boolean {
  return commandLine.includes(wrapperScript) || commandLine.includes(retryingScript);
}

/** The size of the exit file before the wrapper writes to it. Longer than any record with the shell's remark before it. */
const exitFileBytes = 512;
/** The same with a remark and a line for each of a hundred retries. */
const retryingExitFileBytes = 32 * 1024;

/** What the exit file holds at first: spaces, no newline. Its block on disk is allocated then, so a disk that fills up
 * meanwhile cannot swallow the record. */
export const emptyExitRecord = Buffer.alloc(exitFileBytes, " ");

export function emptyRetryingExitRecord(): Buffer {
  return Buffer.alloc(retryingExitFileBytes, " ");
}
