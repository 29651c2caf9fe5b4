/**
 * What each request asks for, in the words of statements, policies and audit logs. One entry for each method of an agent,
 * so that a new one does not compile before somebody has decided what it takes.
 */
import type { Bound } from "@outpost/access";
import {
  type Action,
  type agentMethods,
  type Authorization,
  commandText,
  type ConfigurationName,
  type JobId,
  type Params,
  type SessionId,
  type UserName,
} from "@outpost/protocol";

type Methods = typeof agentMethods;

/** What a request is about. */
export type Subject =
  | { readonly kind: "job"; readonly id: JobId }
  | { readonly kind: "session"; readonly id: SessionId };

export interface Asked {
  readonly action: Action;
  readonly subject: Subject;
  readonly bound: Bound;
  readonly authorization: Authorization | undefined;
  /** Who asks, as the controller says; to be the one who signed. */
  readonly operator?: string | undefined;
  /** It must not be carried out twice: by a controller that repeats it at a time of its own choosing. Others do
   * nothing new when they are repeated, as a stop, or nothing but what was asked for, as a read. */
  readonly once: boolean;
  readonly configuration?: ConfigurationName | undefined;
  readonly user?: UserName | undefined;
  /** For people. */
  readonly what?: string | undefined;
}

/**
 * Needs no signature: it tells nothing but that something is there, or goes on with what was authorised when it began.
 * `job.input`: the signature of the job's start says that its input is a stream; who sends that is whoever started it
 * (see `Gate.input`). Signing every piece would cost more than the input is worth.
 */
const open = "open";

export const askedBy = {
  ping: open,
  goodbye: open,
  "certificate.outdated": open,
  "job.status": open,
  "job.acknowledge": open,
  "job.input": open,
  "session.list": open,
  "session.resize": open,
  "session.acknowledge": open,
  "job.start": ({ job, spec, collect = false, secrets, operator, authorization }) => ({
    action: "invoke",
    subject: { kind: "job", id: job },
    bound: { method: "job.start", spec, collect, secrets },
    authorization,
    operator,
    // By the job's id, which is remembered when the job is removed.
    once: false,
    configuration: spec.configuration,
    user: spec.user,
    what: commandText(spec.command),
  }),
  "job.read": ({ job, authorization }) => ({
    action: "job.read",
    subject: { kind: "job", id: job },
    bound: { method: "job.read" },
    authorization,
    once: false,
  }),
  "job.stop": ({ job, operator, graceMs, authorization }) => ({
    action: "job.stop",
    subject: { kind: "job", id: job },
    bound: { method: "job.stop", graceMs },
    authorization,
    operator,
    once: false,
  }),
  "job.remove": ({ job, authorization }) => ({
    action: "job.remove",
    subject: { kind: "job", id: job },
    bound: { method: "job.remove" },
    authorization,
    once: false,
  }),
  "session.open": ({ session, spec, operator, authorization }) => ({
    action: "session.open",
    subject: { kind: "session", id: session },
    bound: { method: "session.open", spec },
    authorization,
    operator,
    once: true,
    configuration: spec.configuration,
    user: spec.user,
    what: [spec.name, spec.shell].filter((word) => word !== undefined).join(" ") || undefined,
  }),
  "session.attach": ({ session, viewer, role, takeOver, operator, authorization }) => ({
    action: role === "control" ? "session.control" : "session.watch",
    subject: { kind: "session", id: session },
    bound: { method: "session.attach", viewer, role, takeOver },
    authorization,
    operator,
    once: true,
    what: takeOver ? "attach, take over" : "attach",
  }),
  "session.role": ({ session, viewer, role, authorization }) => ({
    action: role === "control" ? "session.control" : "session.watch",
    subject: { kind: "session", id: session },
    bound: { method: "session.role", viewer, role },
    authorization,
    once: true,
    what: role === "control" ? "take over" : "only watch",
  }),
  "session.read": ({ session, what, authorization }) => ({
    action: "session.watch",
    subject: { kind: "session", id: session },
    bound: { method: "session.read", what },
    authorization,
    once: false,
    what: `read the ${what}`,
  }),
  "session.disconnect": ({ session, operator, idleTimeoutMs, buffering, authorization }) => ({
    action: "session.control",
    subject: { kind: "session", id: session },
    bound: { method: "session.disconnect", idleTimeoutMs, buffering },
    authorization,
    operator,
    once: true,
    what: "disconnect",
  }),
  "session.remove": ({ session, operator, authorization }) => ({
    action: "session.remove",
    subject: { kind: "session", id: session },
    bound: { method: "session.remove" },
    authorization,
    operator,
    once: false,
  }),
} as const satisfies { readonly [M in keyof Methods]: typeof open | ((params: Params<Methods, M>) => Asked) };

/** The methods that need a signature. */
export type SignedMethod = {
  [M in keyof typeof askedBy]: (typeof askedBy)[M] extends typeof open ? never : M;
}[keyof typeof askedBy];
