/**
 * What the agent answers: each handler takes parsed params, asks the gate whether they may be carried out, calls the job
 * store or the sessions, and answers.
 */
import type { agentMethods, Handlers, JobId, JobStartResult } from "@outpost/protocol";
import type { Gate } from "../access/gate.ts";
import type { AgentPeer, HeldJobs, HeldSessions } from "./context.ts";
import { inputWindows, receiveInput } from "./job-input.ts";
import { readJob } from "./job-read.ts";
import { SentBytes } from "./sent-bytes.ts";
import type { Starts } from "./starts.ts";
import { sessionHandlers } from "./session.ts";
import { unsigned } from "./unsigned.ts";

export interface HandlerContext {
  readonly jobs: HeldJobs;
  readonly sessions: HeldSessions;
  readonly gate: Pick<Gate, "admit" | "input">;
  /** Holds back what the answers to starts tell. Default: nothing is held back. */
  readonly starts?: Pick<Starts, "answering"> | undefined;
  /** The connection that the requests come from. A function: the handlers exist before their peer. */
  readonly peer: () => AgentPeer;
  /** The controller is about to close the connection. */
  readonly goodbye: (params: { reason: string; retryAfterMs: number }) => void;
  /** The controller's CA changes, and our certificate with it. */
  readonly certificateOutdated: () => void;
}

export function createHandlers(context: HandlerContext): Handlers<typeof agentMethods> {
  const { jobs, sessions, gate, starts, peer, goodbye, certificateOutdated } = context;
  const answering = (job: JobId, start: () => Promise<JobStartResult>): Promise<JobStartResult> =>
    starts === undefined ? start() : starts.answering(job, start);
  const windows = inputWindows();
  return {
    "job.start": async (params, call) => {
      // Whose session it is is known once the session host was asked. Else no turn may pass: a stop that comes right
      // behind must find the job.
      if (params.spec.session !== undefined && sessions.list() === undefined) await sessions.ready();
      const admission = gate.admit("job.start", params);
      return admission.carryOut(() =>
        answering(params.job, () =>
          jobs.start({ ...unsigned(params), request: admission.request }, call.signal),
        ),
      );
    },
    "job.read": (params, call) => {
      const sent = new SentBytes();
      return gate.admit("job.read", params).carryOut(
        () => readJob(jobs, peer(), unsigned(params), call, sent),
        () => sent.bytes,
      );
    },
    "job.acknowledge": async (params) => {
      await jobs.acknowledge(params);
      return {};
    },
    "job.status": (params) => ({ jobs: jobs.status(params.jobs) }),
    "job.stop": async (params) => {
      const status = await gate.admit("job.stop", params).carryOut(() => jobs.stop(params));
      return { status };
    },
    "job.remove": async (params) => {
      await gate.admit("job.remove", params).carryOut(() => jobs.remove(params.job));
      return {};
    },
    "job.input": (params, call) => {
      gate.input(params.job);
      return receiveInput(jobs, peer(), params, call, windows);
    },
    ...sessionHandlers(context),
    goodbye,
    "certificate.outdated": certificateOutdated,
  };
}
