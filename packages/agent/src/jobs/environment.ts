/** The environment of jobs: a clean base, never the agent's own, so that a job does not depend on how the agent was started. */
import { type Account, ownAccount } from "../platform/index.ts";

/** Where programs are looked for when the job's own environment has no PATH. */
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export type Environment = Readonly<Record<string, string>>;

/** What everything that runs as a user starts from. */
export type AccountEnvironment = Readonly<
  Record<"PATH" | "HOME" | "USER" | "LOGNAME" | "SHELL" | "LANG", string>
>;

export function accountEnvironment({ name, home, shell }: Account): AccountEnvironment {
  const path = process.platform === "darwin" ? `/opt/homebrew/bin:${defaultPath}` : defaultPath;
  return { PATH: path, HOME: home, USER: name, LOGNAME: name, SHELL: shell, LANG: "C.UTF-8" };
}

/** What every job starts from that runs as the agent's user. */
export function baseEnvironment(): AccountEnvironment {
  return accountEnvironment(ownAccount());
}

/**
 * What marks every process of a job, in its environment, as `NAME=value`. Both together: several agents may run on one
 * machine, and a fan-out job has the same id on each of its hosts.
 */
export function jobMarks(job: string, host: string): readonly [string, string] {
  return [`OUTPOST_JOB=${job}`, `OUTPOST_HOST=${host}`];
}

/** The marks come last: a job cannot pass for another. */
export function jobEnvironment(base: Environment, own: Environment, marks: readonly string[]): Environment {
  const environment: Record<string, string> = { ...base, ...own };
  for (const mark of marks) {
    const at = mark.indexOf("=");
    environment[mark.slice(0, at)] = mark.slice(at + 1);
  }
  // The wrapper asks BASH_VERSION whether its shell is bash. Another shell must not be told so by a job's environment.
  delete environment["BASH_VERSION"];
  return environment;
}
