/**
 * Branded identifiers and their parsers. Nothing from outside is used as an id before it went through one of these.
 */
import { customAlphabet } from "nanoid";
import * as v from "valibot";

/** Lower-case letters and digits without the look-alikes i, l, o and u (Crockford's base 32). */
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
const idLength = 12;
const generate = customAlphabet(alphabet, idLength);
const idPattern = new RegExp(`^[${alphabet}]{${String(idLength)}}$`);

/** A fan-out job, and with a host's name beside it one of its jobs: on its host a job carries its fan-out job's id. */
export type JobId = v.InferOutput<typeof JobId>;
export const JobId = v.pipe(
  v.string(),
  v.regex(idPattern, "is not a job id (12 characters of 0-9 a-z)"),
  v.brand("JobId"),
);

/** A session, and with a host's name beside it one session of those that were opened together. */
export type SessionId = v.InferOutput<typeof SessionId>;
export const SessionId = v.pipe(v.string(), v.regex(idPattern, "is not a session id"), v.brand("SessionId"));

/** One terminal that shows a session; it keeps its id when its connection is cut. */
export type ViewerId = v.InferOutput<typeof ViewerId>;
export const ViewerId = v.pipe(v.string(), v.regex(idPattern, "is not a viewer id"), v.brand("ViewerId"));

/** What a session is called: 1 to 64 letters, digits, `-`, `_` and `.`, beginning with a letter or digit. */
export type SessionName = v.InferOutput<typeof SessionName>;
export const SessionName = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    "is not a session name (1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit)",
  ),
  v.brand("SessionName"),
);

/** A host's identity, fixed at enrolment and written into its certificate. Names may be reused, ids never are. */
export type HostId = v.InferOutput<typeof HostId>;
export const HostId = v.pipe(v.string(), v.regex(idPattern, "is not a host id"), v.brand("HostId"));

/** An operator's identity, written into its certificate. */
export type OperatorId = v.InferOutput<typeof OperatorId>;
export const OperatorId = v.pipe(
  v.string(),
  v.regex(idPattern, "is not an operator id"),
  v.brand("OperatorId"),
);

/** An enrolment token, to list and revoke it; says nothing about its secret. */
export type TokenId = v.InferOutput<typeof TokenId>;
export const TokenId = v.pipe(v.string(), v.regex(idPattern, "is not a token id"), v.brand("TokenId"));

/** What an operator is called: 1 to 64 letters, digits, `-`, `_`, `.`, `+` and `@`, beginning with a letter or digit. */
export type OperatorName = v.InferOutput<typeof OperatorName>;
export const OperatorName = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9._+@-]{0,63}$/,
    "is not an operator's name (1 to 64 of A-Z a-z 0-9 . _ + @ -, beginning with a letter or digit)",
  ),
  v.brand("OperatorName"),
);

/** What a configuration of a host is called: 1 to 63 lower-case letters, digits, `-`, `_` and `.`, beginning with a
 * letter or digit. It is the name of its file, too. */
export type ConfigurationName = v.InferOutput<typeof ConfigurationName>;
export const ConfigurationName = v.pipe(
  v.string(),
  v.regex(
    /^[a-z0-9][a-z0-9._-]{0,62}$/,
    "is not a configuration's name (1 to 63 of a-z 0-9 . _ -, beginning with a letter or digit)",
  ),
  v.brand("ConfigurationName"),
);

/** A user of a host's operating system, by name (useradd(8)'s portable form, and a `$` at the end for machines). */
export type UserName = v.InferOutput<typeof UserName>;
export const UserName = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?$/, "is not the name of a user"),
  v.brand("UserName"),
);

/** What a host is called: 1 to 63 lower-case letters, digits, `-`, `_` and `.`, beginning with a letter or digit. */
export type HostName = v.InferOutput<typeof HostName>;
export const HostName = v.pipe(
  v.string(),
  v.regex(
    /^[a-z0-9][a-z0-9._-]{0,62}$/,
    "is not a host name (1 to 63 of a-z 0-9 . _ -, beginning with a letter or digit)",
  ),
  v.brand("HostName"),
);

/** The key of a label. */
export type LabelKey = v.InferOutput<typeof LabelKey>;
export const LabelKey = v.pipe(
  v.string(),
  v.regex(/^[a-z][a-z0-9._/-]{0,62}$/, "is not a label key (a-z 0-9 . _ / -)"),
);

/** A host's labels: at most 64, each value at most 256 characters. */
export type Labels = v.InferOutput<typeof Labels>;
export const Labels = v.pipe(
  v.record(LabelKey, v.pipe(v.string(), v.maxLength(256))),
  v.check((labels) => Object.keys(labels).length <= 64, "has more than 64 labels"),
);

/** Makes a job id. The caller of a request makes it, so that asking twice starts one job. 60 random bits. */
export function newJobId(): JobId {
  return v.parse(JobId, generate());
}

/** Makes a session id, as `newJobId`. */
export function newSessionId(): SessionId {
  return v.parse(SessionId, generate());
}

export function newViewerId(): ViewerId {
  return v.parse(ViewerId, generate());
}

export function newHostId(): HostId {
  return v.parse(HostId, generate());
}

export function newTokenId(): TokenId {
  return v.parse(TokenId, generate());
}

export function newOperatorId(): OperatorId {
  return v.parse(OperatorId, generate());
}
