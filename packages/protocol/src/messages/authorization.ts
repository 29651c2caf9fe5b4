/**
 * Who asks, end to end: what an operator signs and a host verifies, whatever the controller between them says.
 *
 * A request that makes a host do or tell something carries an `Authorization`: a statement, signed with the operator's
 * key, and the certificates that lead from that key to the operators' authority, which the host has known since it
 * enrolled. The controller passes it on and cannot make one.
 */
import * as v from "valibot";
import { OperatorName } from "../ids.ts";
import { maxExpressionLength } from "../limits.ts";
import { Bytes, Time } from "./stream.ts";

/** What somebody may be allowed to do. Policies, audit logs and statements use these words. */
export const Action = v.picklist([
  /** See hosts: name, state, labels, facts. */
  "host.list",
  /** Let a host out of quarantine. */
  "host.approve",
  /** Revoke a host. */
  "host.remove",
  "token.create",
  "token.list",
  "token.revoke",
  "operator.list",
  "operator.add",
  "operator.remove",
  /** Run a command. */
  "invoke",
  /** List and show a job, wait for it, receive its output. */
  "job.read",
  "job.stop",
  "job.remove",
  "session.open",
  /** See that a session is there, and how it stands. */
  "session.list",
  /** Look on, and read what a session printed. */
  "session.watch",
  /** Type in a session that is there; send its viewers away. */
  "session.control",
  "session.remove",
  /** See the policy; ask what somebody else may do. */
  "policy.read",
  "audit.read",
  /** Collect the controller's metrics. */
  "metrics.read",
  /** See the certificate authorities. */
  "authority.read",
  "authority.rotate",
]);
export type Action = v.InferOutput<typeof Action>;

/**
 * What is signed, as MessagePack with the keys of every map in the order of their UTF-8 bytes and numbers and lengths in
 * their shortest form.
 */
export type Statement = v.InferOutput<typeof Statement>;
export const Statement = v.object({
  action: Action,
  /** Whose key signs: the name in the certificate. */
  operator: OperatorName,
  /** The job or session that it is about. */
  subject: v.string(),
  /** A target expression; a host that it does not select MUST refuse. Absent: every host that has the subject. */
  targets: v.optional(v.pipe(v.string(), v.maxLength(maxExpressionLength))),
  /** SHA-256 of what else is bound, written as a statement is: for each action `docs/protocol.md` says what. */
  digest: Bytes(32),
  issuedAt: Time,
  /** After this moment it means nothing. */
  expiresAt: Time,
  /** 16 random bytes. */
  nonce: Bytes(16),
});

export type Authorization = v.InferOutput<typeof Authorization>;
export const Authorization = v.object({
  /** X.509 in DER: the operator's, then whoever issued it, up to but without the operators' authority. */
  certificates: v.pipe(v.array(Bytes(4 * 1024)), v.minLength(1), v.maxLength(2)),
  /** A `Statement` as it was signed. */
  statement: Bytes(128 * 1024),
  /** ECDSA over P-256 with SHA-256: r and s, 32 bytes each (IEEE P1363). */
  signature: Bytes(64),
});
