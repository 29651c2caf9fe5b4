/** `--rerun`: from an earlier job, and what is to be different, to the job that runs it again. */
import { ErrorCode, type JobSpec, OutpostError } from "@outpost/protocol";
import { outcomeOf } from "../client/exit-code.ts";
import type { Client, ExitEvent, Job, StartOptions } from "../client/index.ts";
import { withFailedChecks } from "../client/failed-checks.ts";
import { exitOf } from "./job-exit.ts";
import type { GivenStart, Rerun, RerunKind } from "./rerun-options.ts";
import { say } from "./render/sink.ts";

/**
 * What is to be started: as the earlier job, with what is given instead.
 * @throws OutpostError `not_found` when that job is forgotten, or came out like that on no host; `invalid_argument` when
 * something must be given again
 */
export async function resolved(
  client: Client,
  { command, ...given }: Omit<GivenStart, "rerun">,
  rerun: Rerun,
): Promise<StartOptions> {
  const job = await client.job(rerun.job);
  const { targets, running } = await hostsOf(client, job, rerun, given.targets);
  if (running.length > 0) {
    const { foldedNames } = await import("./render/names.ts");
    await say(`not run again on ${await foldedNames(running)}: it has not ended there`);
  }
  if (command !== undefined) return { ...given, command, targets };
  const { spec, hadSecrets } = await client.spec(job.id);
  return again(rerun.job, spec, hadSecrets, { ...given, targets });
}

/** The earlier job's specification, under what was given. */
function again(
  job: string,
  spec: JobSpec,
  hadSecrets: boolean,
  given: Omit<StartOptions, "command">,
): StartOptions {
  const { command, session } = spec;
  if (command.kind === "put" || command.kind === "get") {
    throw wrong(`${job} copied files; copy them again with: outpost copy`);
  }
  const secrets = given.secrets ?? {};
  const isSecretive = Object.keys(secrets.env ?? {}).length + Object.keys(secrets.files ?? {}).length > 0;
  if (hadSecrets && !isSecretive) {
    throw wrong(
      `${job} was started with secrets, which are kept nowhere; give them again with --env-secret or --secret-file`,
    );
  }
  if (spec.input.kind === "stream" && given.input === undefined) {
    throw wrong(
      `${job} was given its standard input as it came, and that is kept nowhere; give it again with --stdin`,
    );
  }
  const inherited = spec.input.kind === "inline" ? spec.input.bytes : undefined;
  const place = {
    env: { ...spec.env, ...given.env },
    cwd: given.cwd ?? spec.cwd,
    configuration: given.configuration ?? spec.configuration,
    user: given.user ?? spec.user,
    timeoutMs: given.timeoutMs ?? spec.timeoutMs,
  };
  return {
    ...given,
    ...place,
    command,
    graceMs: given.graceMs ?? spec.graceMs,
    retry: given.retry ?? spec.retry,
    ...(given.input !== undefined || inherited === undefined ? {} : { input: inherited }),
    ...(given.check === undefined ? {} : { check: { ...given.check, ...place } }),
    ...(session === undefined ? {} : { sessions: session.ids, busy: session.busy }),
  };
}

/** Where the job came out as wanted; where it has not ended it may still run, and is not run a second time. */
async function hostsOf(
  client: Client,
  earlier: Job,
  { job, kinds }: Rerun,
  narrowing: string | undefined,
): Promise<{ readonly targets: string; readonly running: readonly string[] }> {
  const allowed =
    narrowing === undefined
      ? undefined
      : new Set<string>((await client.hosts(narrowing)).map(({ name }) => name));
  const { fanout, jobs } = await earlier.show();
  const checks = (fanout.rollout?.failures ?? 0) === 0 ? [] : await earlier.failedChecks();
  const wanted = withFailedChecks(jobs.map(exitOf), checks).filter(
    (exit) => (kinds.has("all") || kinds.has(kindOf(exit))) && allowed?.has(exit.host) !== false,
  );
  const hosts = wanted.filter(({ ended }) => ended).map(({ host }) => host);
  const running = wanted.filter(({ ended }) => !ended).map(({ host }) => host);
  if (hosts.length === 0) {
    const where = narrowing === undefined ? "" : ` among ${narrowing}`;
    const which = kinds.has("all") ? "has ended on no host" : `is ${[...kinds].join(" or ")} on no host`;
    throw new OutpostError(ErrorCode.notFound, `${job} ${which}${where}: there is nothing to run again`, {
      data: { rerun: fanout.job },
    });
  }
  const { fold } = await import("@outpost/protocol/targets");
  return { targets: fold(hosts), running };
}

function kindOf(exit: ExitEvent): RerunKind {
  const outcome = outcomeOf(exit);
  switch (outcome) {
    case "timedOut":
      return "timed-out";
    case "notBegun":
      return "not-begun";
    case "checkFailed":
      return "failed";
    case "failed":
    case "stopped":
    case "lost":
    case "unreachable":
    case "skipped":
      return outcome;
    // Only `all` means these.
    case "succeeded":
    case "running":
    case "queued":
      return "all";
    default:
      return outcome satisfies never;
  }
}

function wrong(message: string): OutpostError {
  return new OutpostError(ErrorCode.invalidArgument, message);
}
