/**
 * What the agent answers to programs on its own host. As to its controller, but who asks is the user as whom the agent
 * runs: the socket lets nobody else in, so nothing that a program says of itself is taken for it.
 */
import {
  type agentLocalClientMethods,
  type agentLocalMethods,
  type Clock,
  commandText,
  ErrorCode,
  type Handlers,
  type JobListParams,
  type JobListResult,
  type JobStartLocallyParams,
  OutpostError,
  type Peer,
} from "@outpost/protocol";
import type { HeldJobs } from "../handlers/context.ts";
import { receiveInput } from "../handlers/job-input.ts";
import { readJob } from "../handlers/job-read.ts";
import type { StartRequest } from "../jobs/index.ts";
import { greet } from "./greeting.ts";

/** The connection of one program. */
export type LocalPeer = Peer<typeof agentLocalMethods, typeof agentLocalClientMethods>;

export interface LocalHandlerContext {
  readonly jobs: HeldJobs;
  /** The user as whom the agent runs, by name. */
  readonly user: string;
  /** The host's name. */
  readonly host: string;
  readonly clock: Clock;
  /** A function: the handlers exist before their peer. */
  readonly peer: () => LocalPeer;
}

/** How many jobs one page of a list holds. */
const pageJobs = 1_000;

/** A start that waits longer than this in a queue of requests is not wanted any more, in milliseconds. */
const startExpiryMs = 60_000;

export function createLocalHandlers(context: LocalHandlerContext): Handlers<typeof agentLocalMethods> {
  const { jobs, host, clock, peer } = context;
  return {
    hello: (params) => greet(params, host, clock.now()),
    "job.start": (params, call) => jobs.start(asRequest(params, context), call.signal),
    "job.list": (params) => listPage(jobs, params),
    "job.read": (params, call) => readJob(jobs, peer(), params, call),
    "job.acknowledge": async (params) => {
      await jobs.acknowledge(params);
      return {};
    },
    "job.status": (params) => ({ jobs: jobs.status(params.jobs) }),
    "job.stop": async (params) => ({ status: await jobs.stop({ ...params, operator: operatorOf(context) }) }),
    "job.remove": async (params) => {
      await jobs.remove(params.job);
      return {};
    },
    "job.input": (params, call) => receiveInput(jobs, peer(), params, call),
  };
}

/** As the controller shows who started such a job. */
function operatorOf({ user, host }: LocalHandlerContext): string {
  return `${user}@${host}`;
}

/** @throws OutpostError `invalid_argument` for a job in a session */
function asRequest(params: JobStartLocallyParams, context: LocalHandlerContext): StartRequest {
  const { job, spec, name, inlineWaitMs } = params;
  if (spec.session !== undefined) {
    throw new OutpostError(
      ErrorCode.invalidArgument,
      "jobs in sessions are started by operators: `outpost invoke --session`",
    );
  }
  const now = context.clock.now();
  return {
    job,
    spec,
    operator: operatorOf(context),
    expiresAt: now + startExpiryMs,
    inlineWaitMs,
    origin: {
      user: context.user,
      command: commandText(spec.command),
      ...(name === undefined ? {} : { name }),
      acceptedAt: now,
    },
  };
}

function listPage(jobs: HeldJobs, { after }: JobListParams): JobListResult {
  const rest = jobs
    .list()
    .filter(({ job }) => after === undefined || job > after)
    .toSorted((a, b) => (a.job < b.job ? -1 : 1));
  return { jobs: rest.slice(0, pageJobs), last: rest.length <= pageJobs };
}
