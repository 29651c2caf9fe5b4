/**
 * The few lines of POSIX sh around every job. The wrapper is the leader of the job's session and process group, waits
 * for the main process, and writes how it ended as one line. Builtins only: an external command would double its cost.
 */
import { oomReset } from "../platform/index.ts";

/**
 * - The wrapper's own standard error is the `exit` file; the job's is passed as descriptor 3.
 * - The traps are handlers, not ignores, so the main process has the default actions again, while signals to the whole
 *   group leave the wrapper there to write its record.
 * - `(exec "$@")`: never a builtin or function of the shell. No `--`: dash takes it for the program's name.
 * - Where the agent is spared when memory runs out, its wrapper is, too, and the job is not.
 * - A shell says "Killed" and the like on its standard error when a signal ended the command. So that line stands in
 *   the exit file before the record, and tells a signal from an exit code of 128 + n (see exit-record.ts). bash is
 *   silent in POSIX mode, hence `set +o posix`, which only bash may be given: dash would exit.
 */
export const wrapperScript =
  "case $BASH_VERSION in ?*) set +o posix;; esac; trap : HUP INT QUIT TERM; " +
  `(${oomReset()}exec "$@" 2>&3 3>&-); echo "exit $?" >&2`;

/** `$0` of the wrapper: what a shell's complaint begins with when it cannot execute the program. */
export const wrapperName = "outpost";

/** The size of the exit file before the wrapper writes to it. Longer than any record with the shell's remark before it. */
const exitFileBytes = 512;

/** What the exit file holds at first: spaces, no newline. Its block on disk is allocated then, so a disk that fills up
 * meanwhile cannot swallow the record. */
export const emptyExitRecord = Buffer.alloc(exitFileBytes, " ");
