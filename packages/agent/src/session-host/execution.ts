/**
 * What is executed on a session's terminal: the shell with what stands in front of it. As jobs/execution.ts, and for the
 * same reasons: what is still the agent's user sees no variable of the session's.
 *
 *     limits ─▶ shell                                          as the agent's user
 *     limits ─▶ setpriv ─▶ sh: cd, variables ─▶ shell           as another: from setpriv on
 */
import type { HandedDirectory } from "../handed-directory.ts";
import { exportText } from "../jobs/execution.ts";
import { accountEnvironment } from "../jobs/environment.ts";
import { limitsPrefix, ownAccount, runAsPrefix } from "../platform/index.ts";
import type { ShellStart } from "./environment.ts";
import type { PreparedShell } from "./shell/index.ts";

export interface ShellExecution {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/** POSIX sh, as the shell's user: $1 is the working directory, $2 the file of variables. */
const enterFixed = 'cd -- "$1" || exit 126; ';
/** Service users often have a home that is not there. */
const enterHome = 'cd -- "$1" 2>/dev/null || cd /; ';
const takeVariables = '. "$2"; shift 2; unset OLDPWD; exec "$@"';

/** @param handed where another user finds the shell's files @throws OutpostError `start_failed` */
export function shellExecution(
  { runAs, limits, cwd, isCwdFixed }: ShellStart,
  { file, argv, env }: PreparedShell,
  session: string,
  handed: HandedDirectory | undefined,
): ShellExecution {
  const account = runAs?.account ?? ownAccount();
  const front = limitsPrefix({ limits, uid: account.uid, description: `Outpost session ${session}` });
  if (runAs === undefined || handed === undefined) {
    const [first, ...rest] = [...front, file, ...argv];
    return { file: first!, args: rest, env, cwd };
  }
  const variables = handed.write("environment", exportText(env));
  const enter = isCwdFixed ? enterFixed : enterHome;
  const shell = ["/bin/sh", "-c", enter + takeVariables, "outpost", cwd, variables, file, ...argv];
  const [first, ...rest] = [...front, ...runAsPrefix(runAs), ...shell];
  const { PATH, LANG } = accountEnvironment(account);
  return { file: first!, args: rest, env: { PATH, LANG, TERM: env["TERM"]! }, cwd: "/" };
}
