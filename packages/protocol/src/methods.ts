/**
 * Which side answers which method, with the schemas of params, result and events, and the version that brought it.
 * Handlers and callers are typed from here: a message that is not here does not compile.
 *
 * `result: null` marks a notification: nothing comes back. `events` are notifications that belong to a request while
 * it is open: they go from the side that answers to the side that asked, and carry the request's id in `request`.
 */
import * as v from "valibot";
import * as agent from "./messages/agent.ts";
import * as certificate from "./messages/certificate.ts";
import * as enrolment from "./messages/enrolment.ts";
import * as hello from "./messages/hello.ts";
import * as host from "./messages/host.ts";
import * as job from "./messages/job.ts";
import * as operator from "./messages/operator.ts";
import * as session from "./messages/session.ts";
import * as stream from "./messages/stream.ts";

type Schema = v.GenericSchema;

export interface MethodDefinition {
  /** The protocol version that introduced it. */
  readonly since: number;
  readonly params: Schema;
  readonly result: Schema | null;
  readonly events?: { readonly [event: string]: Schema };
}

export interface MethodMap {
  readonly [method: string]: MethodDefinition;
}

export type Params<M extends MethodMap, K extends keyof M> = v.InferOutput<M[K]["params"]>;
export type Result<M extends MethodMap, K extends keyof M> = M[K]["result"] extends Schema
  ? v.InferOutput<M[K]["result"]>
  : void;
/** Every event of a method as `{event, params}`. */
export type EventOf<M extends MethodMap, K extends keyof M> = M[K]["events"] extends {
  readonly [event: string]: Schema;
}
  ? {
      [E in keyof M[K]["events"] & string]: { event: E; params: v.InferOutput<M[K]["events"][E]> };
    }[keyof M[K]["events"] & string]
  : never;
/** The methods that answer. */
export type RequestMethod<M extends MethodMap> = {
  [K in keyof M & string]: M[K]["result"] extends null ? never : K;
}[keyof M & string];
/** The methods that do not. */
export type NotificationMethod<M extends MethodMap> = {
  [K in keyof M & string]: M[K]["result"] extends null ? K : never;
}[keyof M & string];

const Nothing = v.object({});

/** What both sides answer on every connection. */
const common = {
  /** Answers at once; shows that the other side is there. */
  ping: { since: 1, params: Nothing, result: Nothing },
} as const satisfies MethodMap;

/** What a session host answers to its agent, and what the agent passes on from the controller. */
export const sessionMethods = {
  "session.open": { since: 1, params: session.SessionOpenParams, result: session.SessionOpenResult },
  "session.list": { since: 1, params: Nothing, result: session.SessionListResult },
  "session.attach": {
    since: 1,
    params: session.SessionAttachParams,
    result: session.SessionAttachResult,
    events: {
      "attach.opened": session.AttachOpened,
      "input.ready": stream.InputReady,
      "attach.gap": session.AttachGap,
      "attach.repaint": session.AttachRepaint,
      "attach.changed": session.AttachChanged,
    },
  },
  "session.resize": { since: 1, params: session.SessionResizeParams, result: Nothing },
  "session.role": { since: 1, params: session.SessionRoleParams, result: Nothing },
  "session.acknowledge": { since: 1, params: session.SessionAcknowledgeParams, result: Nothing },
  "session.read": {
    since: 1,
    params: session.SessionReadParams,
    result: session.SessionReadResult,
    events: { "read.opened": session.SessionReadOpened, "read.gap": session.SessionReadGap },
  },
  "session.disconnect": {
    since: 1,
    params: session.SessionDisconnectParams,
    result: session.SessionStatusResult,
  },
  "session.remove": { since: 1, params: session.SessionRemoveParams, result: Nothing },
} as const satisfies MethodMap;

/** What a session host answers to its agent. */
export const sessionHostMethods = {
  ...common,
  hello: { since: 1, params: hello.HelloParams, result: hello.HelloResult },
  ...sessionMethods,
  /** Runs a job's command in the session's shell; answered at its end. */
  "session.run": {
    since: 1,
    params: session.SessionRunParams,
    result: session.SessionRunResult,
    events: { "run.started": session.RunStarted },
  },
  "session.stopRun": { since: 1, params: session.SessionStopRunParams, result: Nothing },
} as const satisfies MethodMap;

/** What an agent answers to its session host. */
export const sessionHostAgentMethods = {
  ...common,
  "session.changed": { since: 1, params: session.SessionChanged, result: null },
  "session.gone": { since: 1, params: session.SessionGone, result: null },
} as const satisfies MethodMap;

/** What an agent answers about jobs. */
const jobMethods = {
  /** Starts a job, unless a job of that id was started before: then it says how that one stands. */
  "job.start": { since: 1, params: job.JobStartParams, result: job.JobStartResult },
  /** Reads a job's output from given offsets, following it while it runs if asked. */
  "job.read": {
    since: 1,
    params: job.JobReadParams,
    result: job.JobReadResult,
    events: { "read.opened": stream.StreamOpened, "read.gap": job.ReadGap },
  },
  /** The bytes below these offsets are safe elsewhere; the host may forget them. */
  "job.acknowledge": { since: 1, params: job.JobAcknowledgeParams, result: Nothing },
  "job.status": { since: 1, params: job.JobStatusParams, result: job.JobStatusResult },
  "job.stop": { since: 1, params: job.JobStopParams, result: job.JobStopResult },
  "job.remove": { since: 1, params: job.JobRemoveParams, result: Nothing },
  /** Sends a job's standard input on a stream of the caller's; the answer comes when all of it is stored on the host. */
  "job.input": {
    since: 1,
    params: job.JobInputParams,
    result: job.JobInputResult,
    events: { "input.ready": stream.InputReady },
  },
} as const satisfies MethodMap;

/** What an agent answers to the controller. */
export const agentMethods = {
  ...common,
  ...jobMethods,
  ...sessionMethods,
  goodbye: { since: 1, params: hello.Goodbye, result: null },
  /** The controller's CA changes: the host should ask for a new certificate soon. */
  "certificate.outdated": { since: 2, params: Nothing, result: null },
} as const satisfies MethodMap;

/** What an agent answers to programs on its own host, over its Unix socket. */
export const agentLocalMethods = {
  ...common,
  hello: { since: 1, params: hello.HelloParams, result: hello.HelloResult },
  ...jobMethods,
  /** As the controller's, but such a job has an origin instead of an operator. */
  "job.start": { since: 1, params: job.JobStartLocallyParams, result: job.JobStartResult },
  "job.list": { since: 1, params: job.JobListParams, result: job.JobListResult },
  /** How the agent is, and whether it is connected. */
  "agent.status": { since: 2, params: Nothing, result: agent.AgentStatus },
} as const satisfies MethodMap;

/** What a program on the host answers to its agent. */
export const agentLocalClientMethods = { ...common } as const satisfies MethodMap;

/** What the controller answers to an agent. */
export const controllerAgentMethods = {
  ...common,
  hello: { since: 1, params: hello.HelloParams, result: hello.HelloResult },
  /** What the host holds, page by page, right after hello. */
  inventory: { since: 1, params: job.InventoryParams, result: Nothing },
  "job.changed": { since: 1, params: job.JobChanged, result: null },
  /** The sessions that the host holds, right after its jobs. */
  "session.inventory": { since: 1, params: session.SessionInventoryParams, result: Nothing },
  "session.changed": { since: 1, params: session.SessionChanged, result: null },
  "session.gone": { since: 1, params: session.SessionGone, result: null },
  "facts.changed": { since: 3, params: host.FactsChanged, result: null },
  /** A new certificate for the same host. The connection goes on with the old one; the next uses the new one. */
  "certificate.renew": {
    since: 2,
    params: certificate.CertificateRenewParams,
    result: certificate.CertificateRenewResult,
  },
} as const satisfies MethodMap;

/** What the controller answers to a host that has no certificate yet. */
export const controllerEnrolmentMethods = {
  ...common,
  hello: { since: 1, params: hello.HelloParams, result: hello.HelloResult },
  enrol: { since: 1, params: enrolment.EnrolParams, result: enrolment.EnrolResult },
} as const satisfies MethodMap;

/** What the controller answers to an operator. */
export const controllerOperatorMethods = {
  ...common,
  hello: { since: 1, params: hello.HelloParams, result: hello.HelloResult },
  "host.list": { since: 1, params: host.HostListParams, result: host.HostListResult },
  "host.approve": { since: 2, params: host.HostApproveParams, result: host.HostApproveResult },
  "host.remove": { since: 2, params: host.HostRemoveParams, result: host.HostRemoveResult },
  "token.create": { since: 1, params: enrolment.TokenCreateParams, result: enrolment.TokenCreateResult },
  "token.list": { since: 2, params: Nothing, result: enrolment.TokenListResult },
  "token.revoke": { since: 2, params: enrolment.TokenRevokeParams, result: enrolment.TokenRevokeResult },
  "operator.list": { since: 2, params: Nothing, result: operator.OperatorListResult },
  "operator.add": { since: 2, params: operator.OperatorAddParams, result: operator.OperatorAddResult },
  "operator.remove": {
    since: 2,
    params: operator.OperatorRemoveParams,
    result: operator.OperatorRemoveResult,
  },
  "policy.show": { since: 2, params: Nothing, result: operator.PolicyShowResult },
  "policy.explain": { since: 2, params: operator.PolicyExplainParams, result: operator.PolicyExplainResult },
  "audit.list": { since: 2, params: operator.AuditListParams, result: operator.AuditListResult },
  "audit.verify": { since: 2, params: Nothing, result: operator.AuditVerification },
  "authority.show": { since: 2, params: Nothing, result: certificate.AuthorityShowResult },
  "authority.rotate": {
    since: 2,
    params: certificate.AuthorityRotateParams,
    result: certificate.AuthorityShowResult,
  },
  "fanout.start": { since: 1, params: job.FanOutStartParams, result: job.FanOutStartResult },
  /** Sends the standard input of all the fan-out job's jobs; stored at the controller, then sent on to each host. */
  "fanout.input": {
    since: 1,
    params: job.JobInputParams,
    result: job.JobInputResult,
    events: { "input.ready": stream.InputReady },
  },
  "fanout.receive": {
    since: 1,
    params: job.FanOutReceiveParams,
    result: job.FanOutReceiveResult,
    events: {
      "receive.opened": job.FanOutStreamOpened,
      "receive.gap": job.FanOutGap,
      "receive.changed": job.FanOutChanged,
      "receive.done": job.FanOutDone,
      "receive.rollout": job.FanOutRollout,
    },
  },
  "fanout.acknowledge": { since: 1, params: job.FanOutAcknowledgeParams, result: Nothing },
  "fanout.list": { since: 1, params: job.FanOutListParams, result: job.FanOutListResult },
  "fanout.show": { since: 1, params: job.FanOutShowParams, result: job.FanOutShowResult },
  "fanout.wait": { since: 1, params: job.FanOutWaitParams, result: job.FanOutWaitResult },
  /** Begins no more hosts of a roll-out until it is resumed; what runs goes on. */
  "fanout.pause": { since: 3, params: job.FanOutPauseParams, result: job.FanOutRolloutResult },
  /** Goes on with a roll-out that is paused, or ends the pause between two stages. */
  "fanout.resume": { since: 3, params: job.FanOutResumeParams, result: job.FanOutRolloutResult },
  /** What a fan-out job runs, for running it again. */
  "fanout.spec": { since: 3, params: job.FanOutSpecParams, result: job.FanOutSpecResult },
  "fanout.stop": { since: 1, params: job.FanOutStopParams, result: job.FanOutStopResult },
  "fanout.remove": { since: 1, params: job.FanOutRemoveParams, result: job.FanOutRemoveResult },
  "session.open": { since: 1, params: session.SessionsOpenParams, result: session.SessionsOutcome },
  "session.list": { since: 1, params: session.SessionsListParams, result: session.SessionsListResult },
  "session.attach": {
    since: 1,
    params: session.SessionsAttachParams,
    result: session.SessionAttachResult,
    events: { ...sessionMethods["session.attach"].events, "attach.waiting": session.AttachWaiting },
  },
  "session.resize": { since: 1, params: session.SessionsResizeParams, result: Nothing },
  "session.role": { since: 1, params: session.SessionsRoleParams, result: Nothing },
  "session.acknowledge": { since: 1, params: session.SessionsAcknowledgeParams, result: Nothing },
  "session.read": {
    since: 1,
    params: session.SessionsReadParams,
    result: session.SessionReadResult,
    events: sessionMethods["session.read"].events,
  },
  "session.disconnect": {
    since: 1,
    params: session.SessionsDisconnectParams,
    result: session.SessionsOutcome,
  },
  "session.remove": { since: 1, params: session.SessionsRemoveParams, result: session.SessionsOutcome },
  "session.wait": { since: 1, params: session.SessionsWaitParams, result: session.SessionsWaitResult },
} as const satisfies MethodMap;

/** What an operator's client answers to the controller. */
export const operatorMethods = {
  ...common,
  goodbye: { since: 1, params: hello.Goodbye, result: null },
} as const satisfies MethodMap;

/** What a host that enrols answers to the controller. */
export const enrolmentMethods = { ...common } as const satisfies MethodMap;
