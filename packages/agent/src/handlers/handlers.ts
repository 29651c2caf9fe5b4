/** What the agent answers: each handler takes parsed params, calls the job store, and answers. */
import type { agentMethods, Handlers } from "@outpost/protocol";
import type { AgentPeer, HeldJobs } from "./context.ts";
import { receiveInput } from "./job-input.ts";
import { readJob } from "./job-read.ts";

export interface HandlerContext {
  readonly jobs: HeldJobs;
  /** The connection that the requests come from. A function: the handlers exist before their peer. */
  readonly peer: () => AgentPeer;
  /** The controller is about to close the connection. */
  readonly goodbye: (params: { reason: string; retryAfterMs: number }) => void;
}

export function createHandlers({ jobs, peer, goodbye }: HandlerContext): Handlers<typeof agentMethods> {
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
    goodbye,
  };
}
