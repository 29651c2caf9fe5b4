/**
 * What of an operator's requests is signed for the hosts: as what action, for which of them, and for how long. What is
 * bound besides is in `bound.ts` of @outpost/access.
 *
 * A request that is sent again is signed again, because a host takes a nonce once. Two are not: a start and an opening are
 * known by their ids, and their one authorization says the same however often it arrives.
 */
import {
  type Authorization,
  type controllerOperatorMethods,
  type HostName,
  limits,
  type Params,
} from "@outpost/protocol";
import type { SignOptions } from "@outpost/access/signing";

type Methods = typeof controllerOperatorMethods;
type Unsigned<K extends keyof Methods> = Omit<Params<Methods, K>, "authorization" | "stopAuthorization">;

/** Who signs: `Connection`. */
export interface Authorizer {
  authorize(options: SignOptions): Authorization;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** A start or an opening is carried out soon or not at all, unless it was told to wait. */
const startMs = 15 * minuteMs;
/** A read or an attachment goes on at the host, through cuts between it and the controller. */
const useMs = 24 * hourMs;
/** A stop or a removal waits at the controller for a host that is away. */
const patientMs = 30 * 24 * hourMs;
/** No host takes a signature that is valid for longer. */
const maxMs = 31 * 24 * hourMs;

export function signedStart(
  authorizer: Authorizer,
  params: Unsigned<"fanout.start">,
): Params<Methods, "fanout.start"> {
  const { job, targets, spec, mode, secrets, expiresInMs, check } = params;
  // What is started late was signed long ago.
  const lifetimeMs = Math.min(maxMs, startMs + (expiresInMs ?? 0));
  const collect = mode === "collect";
  const authorization = authorizer.authorize({
    action: "invoke",
    subject: job,
    targets,
    bound: { method: "job.start", spec, collect, secrets },
    lifetimeMs,
  });
  if (check === undefined) return { ...params, authorization };
  const checking = authorizer.authorize({
    action: "invoke",
    subject: check.job,
    targets,
    bound: { method: "job.start", spec: check.spec, collect, secrets: undefined },
    lifetimeMs,
  });
  return { ...params, authorization, check: { ...check, authorization: checking } };
}

/** @param named the hosts that were asked for by name */
export function signedReceive(
  authorizer: Authorizer,
  params: Unsigned<"fanout.receive">,
  named: readonly string[] | undefined,
): Params<Methods, "fanout.receive"> {
  const authorization = authorizer.authorize({
    action: "job.read",
    subject: params.job,
    targets: expression(named),
    bound: { method: "job.read" },
    lifetimeMs: useMs,
  });
  return { ...params, authorization };
}

export function signedStop(
  authorizer: Authorizer,
  params: Unsigned<"fanout.stop">,
): Params<Methods, "fanout.stop"> {
  const { job, hosts, graceMs } = params;
  return { ...params, authorization: stopping(authorizer, job, graceMs, hosts) };
}

export function signedRemove(
  authorizer: Authorizer,
  params: Unsigned<"fanout.remove">,
): Params<Methods, "fanout.remove"> {
  const { job, force } = params;
  const authorization = authorizer.authorize({
    action: "job.remove",
    subject: job,
    bound: { method: "job.remove" },
    lifetimeMs: patientMs,
  });
  return {
    ...params,
    authorization,
    ...(force ? { stopAuthorization: stopping(authorizer, job, undefined, undefined) } : {}),
  };
}

function stopping(
  authorizer: Authorizer,
  job: string,
  graceMs: number | undefined,
  hosts: readonly HostName[] | undefined,
): Authorization {
  return authorizer.authorize({
    action: "job.stop",
    subject: job,
    targets: expression(hosts),
    bound: { method: "job.stop", graceMs },
    lifetimeMs: patientMs,
  });
}

export function signedOpen(
  authorizer: Authorizer,
  params: Unsigned<"session.open">,
): Params<Methods, "session.open"> {
  const { session, targets, spec } = params;
  const authorization = authorizer.authorize({
    action: "session.open",
    subject: session,
    targets,
    bound: { method: "session.open", spec },
    lifetimeMs: startMs,
  });
  return { ...params, authorization };
}

export function signedAttach<P extends Omit<Unsigned<"session.attach">, "window" | "input">>(
  authorizer: Authorizer,
  params: P,
): P & { readonly authorization: Authorization } {
  const { host, session, viewer, role, takeOver } = params;
  const authorization = authorizer.authorize({
    action: role === "control" ? "session.control" : "session.watch",
    subject: session,
    targets: host,
    bound: { method: "session.attach", viewer, role, takeOver },
    lifetimeMs: useMs,
  });
  return { ...params, authorization };
}

export function signedRole(
  authorizer: Authorizer,
  params: Unsigned<"session.role">,
): Params<Methods, "session.role"> {
  const { host, session, viewer, role } = params;
  const authorization = authorizer.authorize({
    action: role === "control" ? "session.control" : "session.watch",
    subject: session,
    targets: host,
    bound: { method: "session.role", viewer, role },
    lifetimeMs: useMs,
  });
  return { ...params, authorization };
}

export function signedRead(
  authorizer: Authorizer,
  params: Unsigned<"session.read">,
): Params<Methods, "session.read"> {
  const { host, session, what } = params;
  const authorization = authorizer.authorize({
    action: "session.watch",
    subject: session,
    targets: host,
    bound: { method: "session.read", what },
    lifetimeMs: useMs,
  });
  return { ...params, authorization };
}

export function signedDisconnect(
  authorizer: Authorizer,
  params: Unsigned<"session.disconnect">,
): Params<Methods, "session.disconnect"> {
  const { session, hosts, idleTimeoutMs, buffering } = params;
  const authorization = authorizer.authorize({
    action: "session.control",
    subject: session,
    targets: expression(hosts),
    bound: { method: "session.disconnect", idleTimeoutMs, buffering },
    lifetimeMs: useMs,
  });
  return { ...params, authorization };
}

export function signedRemoval(
  authorizer: Authorizer,
  params: Unsigned<"session.remove">,
): Params<Methods, "session.remove"> {
  const { session, hosts } = params;
  const authorization = authorizer.authorize({
    action: "session.remove",
    subject: session,
    targets: expression(hosts),
    bound: { method: "session.remove" },
    lifetimeMs: useMs,
  });
  return { ...params, authorization };
}

/** The most terms of an expression that may be signed. */
const maxTerms = 10_000;

/** These hosts; with more than an expression may name, every host that has the subject. */
function expression(hosts: readonly string[] | undefined): string | undefined {
  if (hosts === undefined || hosts.length === 0 || hosts.length > maxTerms) return undefined;
  const text = hosts.join(",");
  return text.length > limits.maxExpressionLength ? undefined : text;
}
