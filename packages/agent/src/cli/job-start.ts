/** `outpost-agent job start`: a job of this host, started by its own user. */
import { isatty } from "node:tty";
import { resolve } from "node:path";
import { type Command, ErrorCode, JobName, type JobSpec, newJobId, OutpostError } from "@outpost/protocol";
import * as v from "valibot";
import { agentPaths } from "../directory.ts";
import { callerEnvironment, parseVariables } from "./caller-environment.ts";
import { parseDuration } from "./duration.ts";
import { type JobCommandOptions, readArgument, withAgent } from "./job-session.ts";
import { print, say } from "./output.ts";

export interface JobStartOptions extends JobCommandOptions {
  readonly name?: string | undefined;
  readonly env: readonly string[];
  readonly cwd?: string | undefined;
  readonly timeout?: string | undefined;
  /** Shell text. */
  readonly command?: string | undefined;
  /** What stands behind `--`. */
  readonly "--"?: readonly string[] | undefined;
}

/** @throws OutpostError `start_failed` when it cannot be started (it is on record as a job that failed) */
export async function startJob(options: JobStartOptions): Promise<void> {
  const job = newJobId();
  const spec = specOf(options);
  const name = options.name === undefined ? {} : { name: parseName(options.name) };
  // The id is ours, so asked twice it is one job.
  const { status } = await withAgent(options.dir, (client) =>
    client.ask((agent) => agent.request("job.start", { job, spec, ...name, inlineWaitMs: 0 })),
  );
  if (status.reason?.code === "start_failed") {
    throw new OutpostError(ErrorCode.startFailed, status.reason.message, { data: { job } });
  }
  await print(options.output, { job, ...name }, job);
  if (options.output === "text" && isatty(2)) {
    await say(`started; receive its output with: outpost-agent job receive ${options.name ?? job}`);
  }
}

function specOf(options: JobStartOptions): JobSpec {
  const { cwd = ".", timeout } = options;
  const added = readArgument(() => parseVariables(options.env));
  return {
    command: commandOf(options),
    env: callerEnvironment(process.env, added, agentPaths(options.dir).sessions),
    cwd: resolve(cwd),
    ...(timeout === undefined ? {} : { timeoutMs: parseTimeout(timeout) }),
    input: { kind: "none" },
  };
}

function commandOf({ command: text, "--": argv = [] }: JobStartOptions): Command {
  if (text !== undefined && argv.length > 0) {
    throw invalid("-c takes shell text alone; write the arguments into it");
  }
  if (text !== undefined) return { kind: "shell", text };
  if (argv.length === 0) {
    throw invalid("what to run is missing: outpost-agent job start -- COMMAND, or -c TEXT");
  }
  return { kind: "exec", argv: [...argv] };
}

function parseName(text: string): string {
  if (v.is(JobName, text)) return text;
  throw invalid(`--name: ${JSON.stringify(text)} is not a name: 1 to 128 characters`);
}

function parseTimeout(text: string): number {
  const ms = readArgument(() => parseDuration("timeout", text));
  if (ms === 0) throw invalid("--timeout: a job needs some time");
  return ms;
}

function invalid(message: string): OutpostError {
  return new OutpostError(ErrorCode.invalidArgument, message);
}
