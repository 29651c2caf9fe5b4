/** What `--rerun JOB KIND[,KIND]` and `--plan` are on the command line. */
import type { StartOptions } from "../client/index.ts";
import { flag, type Positional, value } from "./command.ts";
import { UsageError } from "./usage-error.ts";

/** Which hosts of a job, by how it came out there. */
export const rerunKinds = [
  "failed",
  "timed-out",
  "unreachable",
  "stopped",
  "lost",
  "not-begun",
  "skipped",
  "all",
] as const;
export type RerunKind = (typeof rerunKinds)[number];

export const rerunOptions = {
  plan: flag("Run nothing: show the hosts, which of them are offline, and the stages"),
  rerun: value(
    "Run what an earlier job ran, as a new job, on those of its hosts where it came out as KIND says; options that are " +
      "given, and a command behind -- or -c, go before that job's",
    { argument: "JOB", complete: "jobs" },
  ),
} as const;

export const kindPositional: Positional = {
  name: "KIND",
  describe: `with --rerun, which of the job's hosts: ${rerunKinds.join(", ")}; several separated by commas`,
  when: "rerun",
  choices: rerunKinds,
};

/** What is given on the command line: a job, or what is to be different of an earlier one that is run again. */
export interface GivenStart extends Omit<StartOptions, "command"> {
  /** Absent only with `rerun`. */
  readonly command: StartOptions["command"] | undefined;
  readonly rerun: Rerun | undefined;
}

export interface Rerun {
  /** An id, the beginning of one, or a name. */
  readonly job: string;
  readonly kinds: ReadonlySet<RerunKind>;
}

/** @param command for errors. @throws UsageError */
export function parseKinds(text: string, command: string): ReadonlySet<RerunKind> {
  const kinds = text.split(",").map((word) => {
    const found = rerunKinds.find((kind) => kind === word.trim());
    if (found !== undefined) return found;
    throw new UsageError(`--rerun: ${JSON.stringify(word)} is none of ${rerunKinds.join(", ")}`, command);
  });
  return new Set(kinds);
}
