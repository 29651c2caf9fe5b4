/** Operators: who may use the controller, what the policy lets them do, and what they did. */
import * as v from "valibot";
import { ConfigurationName, HostName, OperatorId, OperatorName, UserName } from "../ids.ts";
import { maxExpressionLength } from "../limits.ts";
import { Action } from "./authorization.ts";
import { Offset, Time } from "./stream.ts";

/** `invited`: the sign-in bundle was not used yet. */
export type OperatorInfo = v.InferOutput<typeof OperatorInfo>;
export const OperatorInfo = v.object({
  id: OperatorId,
  name: OperatorName,
  state: v.picklist(["invited", "active"]),
  createdAt: Time,
  /** Until when the sign-in bundle can be used; of an `invited` one. */
  invitedUntil: v.optional(Time),
  /** SHA-256 of the public key (its SubjectPublicKeyInfo), in hexadecimal; of an `active` one. */
  key: v.optional(v.string()),
  lastSeen: v.optional(Time),
});

export const OperatorListResult = v.object({ operators: v.array(OperatorInfo) });
export type OperatorListResult = v.InferOutput<typeof OperatorListResult>;

/** Enters an operator. Whoever first shows a certificate of theirs within `ttlMs` is it. */
export const OperatorAddParams = v.object({
  name: OperatorName,
  ttlMs: v.pipe(v.number(), v.safeInteger(), v.minValue(1000)),
});
export type OperatorAddParams = v.InferOutput<typeof OperatorAddParams>;
export const OperatorAddResult = v.object({ added: OperatorInfo });
export type OperatorAddResult = v.InferOutput<typeof OperatorAddResult>;

/** Their connections end at once, and no other is let in. Their jobs and sessions stay. */
export const OperatorRemoveParams = v.object({ name: OperatorName });
export type OperatorRemoveParams = v.InferOutput<typeof OperatorRemoveParams>;
export const OperatorRemoveResult = v.object({ removed: OperatorInfo });
export type OperatorRemoveResult = v.InferOutput<typeof OperatorRemoveResult>;

// ---------------------------------------------------------------------------------------------- policy

export const PolicyShowResult = v.object({
  /** The policy that is in force, YAML. */
  text: v.string(),
  /** The file at the controller. */
  file: v.string(),
  loadedAt: Time,
  /** Why what is in the file now is not in force. */
  problem: v.optional(v.string()),
});
export type PolicyShowResult = v.InferOutput<typeof PolicyShowResult>;

/** What the policy says. Asking about oneself is always allowed, about others it is `policy.read`. */
export const PolicyExplainParams = v.object({
  /** An operator's name; default oneself. */
  as: v.optional(OperatorName),
  action: Action,
  /** Default all hosts; an action that is about no host ignores it. */
  targets: v.optional(v.pipe(v.string(), v.maxLength(maxExpressionLength))),
  configuration: v.optional(ConfigurationName),
  user: v.optional(UserName),
  /** Whose job or session it is; default nobody's. */
  owner: v.optional(OperatorName),
});
export type PolicyExplainParams = v.InferOutput<typeof PolicyExplainParams>;

export type PolicyDecision = v.InferOutput<typeof PolicyDecision>;
export const PolicyDecision = v.object({
  /** Absent for an action that is about no host. */
  host: v.optional(HostName),
  allowed: v.boolean(),
  /** The name of the rule that decides; `owner` or `default` when none does. */
  rule: v.string(),
  /** A sentence for people. */
  reason: v.string(),
});
export const PolicyExplainResult = v.object({
  decisions: v.array(PolicyDecision),
  /** Every rule in its order, and why it says nothing here, or what. */
  rules: v.array(v.object({ rule: v.string(), says: v.string() })),
});
export type PolicyExplainResult = v.InferOutput<typeof PolicyExplainResult>;

// ---------------------------------------------------------------------------------------------- audit

/**
 * One line of an audit log. `request`: somebody asked, and this was decided. `outcome`: how what was allowed has ended;
 * `of` says of which request. `event`: something that nobody asked for over the wire (a policy was loaded, a
 * certificate renewed, a connection refused).
 */
export type AuditEntry = v.InferOutput<typeof AuditEntry>;
export const AuditEntry = v.object({
  /** Counts from 1, without a hole. */
  sequence: Offset,
  time: Time,
  kind: v.picklist(["request", "outcome", "event"]),
  /** An `Action`, or for events a word. */
  action: v.string(),
  /** The operator by name, or `user@host` of a person on the host. */
  operator: v.optional(v.string()),
  hosts: v.optional(v.array(v.string())),
  /** The job, session, token, host or operator that it is about. */
  subject: v.optional(v.string()),
  /** What exactly, for people: a command line, a name. Never a secret. */
  what: v.optional(v.string()),
  decision: v.optional(v.picklist(["allowed", "denied"])),
  rule: v.optional(v.string()),
  of: v.optional(Offset),
  /** `ok`, an error code, a job's state. */
  outcome: v.optional(v.string()),
  /** A sentence: why it was denied, why it failed. */
  message: v.optional(v.string()),
  /** Bytes of output that went out, or that a job wrote. */
  bytes: v.optional(Offset),
  durationMs: v.optional(v.number()),
  /** SHA-256 of the line before this one, in hexadecimal. */
  previous: v.string(),
});

export const AuditListParams = v.object({
  since: v.optional(Time),
  until: v.optional(Time),
  /** Only what this operator did. */
  by: v.optional(v.string()),
  host: v.optional(v.string()),
  /** An action, or `job.*`. */
  action: v.optional(v.string()),
  /** `denied`: also what was let in and came to that later, e.g. by a configuration of the host. */
  decision: v.optional(v.picklist(["allowed", "denied"])),
  /** A job, session, … */
  subject: v.optional(v.string()),
  /** Only older ones than this sequence number: the next page. */
  before: v.optional(Offset),
  /** At most this many, the newest. Default 200. */
  newest: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000))),
});
export type AuditListParams = v.InferOutput<typeof AuditListParams>;
/** The oldest first. `more`: there are older ones that fit. */
export const AuditListResult = v.object({ entries: v.array(AuditEntry), more: v.boolean() });
export type AuditListResult = v.InferOutput<typeof AuditListResult>;

/** The whole log from its oldest file on. */
export type AuditVerification = v.InferOutput<typeof AuditVerification>;
export const AuditVerification = v.object({
  entries: Offset,
  /** The first sequence number that is still there; later than 1 when old files were removed by rotation. */
  first: Offset,
  last: Offset,
  /** SHA-256 of the last line: compare it with one that was noted elsewhere. */
  head: v.string(),
  /** In the order of the files; empty: nothing was edited, taken out or put in. */
  problems: v.array(v.object({ file: v.string(), line: Offset, message: v.string() })),
});
