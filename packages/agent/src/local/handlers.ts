/**
 * What the agent answers to programs on its own host. As to its controller, but who asks is the user as whom the agent
 * runs: the socket lets nobody else in, so nothing that a program says of itself is taken for it.
 */
import {
  type agentLocalClientMethods,
  type agentLocalMethods,
  type AgentStatus,
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
import type { Gate } from "../access/gate.ts";
import type { HeldJobs } from "../handlers/context.ts";
import { inputWindows, receiveInput } from "../handlers/job-input.ts";
import { readJob } from "../handlers/job-read.ts";
import { SentBytes } from "../handlers/sent-bytes.ts";
import type { StartRequest } from "../jobs/index.ts";
import { greet } from "./greeting.ts";

/** The connection of one program. */
export type LocalPeer = Peer<typeof agentLocalMethods, typeof agentLocalClientMethods>;

export interface LocalHandlerContext {
  readonly jobs: HeldJobs;
  readonly gate: Pick<Gate, "admitLocally">;
  /** The user as whom the agent runs, by name. */
  readonly user: string;
  /** The host's name. */
  readonly host: string;
  readonly clock: Clock;
  /** How the agent is, now. */
  readonly status: () => AgentStatus;
  /** A function: the handlers exist before their peer. */
  readonly peer: () => LocalPeer;
}

/** How many jobs one page of a list holds. */
const pageJobs = 1_000;

/** A start that waits longer than this in a queue of requests is not wanted any more, in milliseconds. */
const startExpiryMs = 60_000;

export function createLocalHandlers(context: LocalHandlerContext): Handlers<typeof agentLocalMethods> {
  const { jobs, gate, host, clock, peer } = context;
  const user = operatorOf(context);
  const windows = inputWindows();
  return {
    hello: (params) => greet(params, host, clock.now()),
    "job.start": (params, call) => {
      refuseUnlocal(params);
      const admission = gate.admitLocally(user, "invoke", params.job, commandText(params.spec.command));
      const request = asRequest(params, context, admission.request);
      return admission.carryOut(() => jobs.start(request, call.signal));
    },
    "job.list": (params) => listPage(jobs, params),
    "job.read": (params, call) => {
      const sent = new SentBytes();
      return gate.admitLocally(user, "job.read", params.job).carryOut(
        () => readJob(jobs, peer(), params, call, sent),
        () => sent.bytes,
      );
    },
    "job.acknowledge": async (params) => {
      await jobs.acknowledge(params);
      return {};
    },
    "job.status": (params) => ({ jobs: jobs.status(params.jobs) }),
    "job.stop": async (params) => {
      const stop = () => jobs.stop({ ...params, operator: user });
      return { status: await gate.admitLocally(user, "job.stop", params.job).carryOut(stop) };
    },
    "job.remove": async (params) => {
      await gate.admitLocally(user, "job.remove", params.job).carryOut(() => jobs.remove(params.job));
      return {};
    },
    "job.input": (params, call) => receiveInput(jobs, peer(), params, call, windows),
    "agent.status": () => context.status(),
  };
}

/** As the controller shows who started such a job. */
function operatorOf({ user, host }: LocalHandlerContext): string {
  return `${user}@${host}`;
}

/** @throws OutpostError `invalid_argument` */
function refuseUnlocal({ spec }: JobStartLocallyParams): void {
  if (spec.configuration !== undefined || spec.user !== undefined) {
    throw new OutpostError(
      ErrorCode.invalidArgument,
      "configurations and users are for operators: a job that is started here runs as the user who starts it",
    );
  }
  if (spec.session === undefined) return;
  throw new OutpostError(
    ErrorCode.invalidArgument,
    "jobs in sessions are started by operators: `outpost invoke --session`",
  );
}

/** @param request the sequence number in the audit log */
function asRequest(
  { job, spec, name, inlineWaitMs }: JobStartLocallyParams,
  context: LocalHandlerContext,
  request: number,
): StartRequest {
  const now = context.clock.now();
  return {
    job,
    spec,
    operator: operatorOf(context),
    expiresAt: now + startExpiryMs,
    inlineWaitMs,
    request,
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
