/** What the agent answers: each handler takes parsed params, calls the job store or the sessions, and answers. */
import type { agentMethods, Handlers } from "@outpost/protocol";
import type { AgentPeer, HeldJobs, HeldSessions } from "./context.ts";
import { receiveInput } from "./job-input.ts";
import { readJob } from "./job-read.ts";
import { sessionHandlers } from "./session.ts";

export interface HandlerContext {
  readonly jobs: HeldJobs;
  readonly sessions: HeldSessions;
  /** The connection that the requests come from. A function: the handlers exist before their peer. */
  readonly peer: () => AgentPeer;
  /** The controller is about to close the connection. */
  readonly goodbye: (params: { reason: string; retryAfterMs: number }) => void;
}

export function createHandlers(context: HandlerContext): Handlers<typeof agentMethods> {
  const { jobs, peer, goodbye } = context;
  return {
    "job.start": (params, call) => jobs.start(params, call.signal),
    "job.read": (params, call) => readJob(jobs, peer(), params, call),
    "job.acknowledge": async (params) => {
      await jobs.acknowledge(params);
      return {};
    },
    "job.status": (params) => ({ jobs: jobs.status(params.jobs) }),
    "job.stop": async (params) => ({ status: await jobs.stop(params) }),
    "job.remove": async (params) => {
      await jobs.remove(params.job);
      return {};
    },
    "job.input": (params, call) => receiveInput(jobs, peer(), params, call),
    ...sessionHandlers(context),
    goodbye,
  };
}
