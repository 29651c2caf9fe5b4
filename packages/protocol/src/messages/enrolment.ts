/** How a host gets its certificate, and how the tokens for that are made and taken back. */
import * as v from "valibot";
import { HostId, HostName, Labels, TokenId } from "../ids.ts";
import { Pem, Trust } from "./certificate.ts";
import { Facts } from "./host.ts";
import { Time } from "./stream.ts";

export const EnrolParams = v.object({
  /** The token's secret part; shown to the controller once, which keeps only its hash. */
  secret: v.pipe(v.string(), v.maxLength(256)),
  name: HostName,
  /** True: nobody has chosen `name`, so a token that fixes another one decides. Default false. */
  isDefaultName: v.optional(v.boolean()),
  labels: Labels,
  facts: Facts,
  /** A PKCS #10 certificate signing request (RFC 2986). The private key stays on the host. */
  request: Pem,
});
export type EnrolParams = v.InferOutput<typeof EnrolParams>;

export const EnrolResult = v.object({
  host: HostId,
  /** As enrolled: the token may fix name and labels. */
  name: HostName,
  labels: Labels,
  /** True: nothing runs there until the host is approved. */
  quarantined: v.boolean(),
  ...Trust,
});
export type EnrolResult = v.InferOutput<typeof EnrolResult>;

export const TokenCreateParams = v.object({
  /** How long the token can be used, in milliseconds from now. */
  ttlMs: v.pipe(v.number(), v.safeInteger(), v.minValue(1000)),
  /** How many hosts may enrol with it. */
  uses: v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(100_000)),
  /** The host MUST be called so; only with `uses` 1. Default: the host says. */
  name: v.optional(HostName),
  /** Labels that the host gets; of these keys it may ask for no other value. */
  labels: v.optional(Labels),
  /** True: hosts begin in quarantine. Default false. */
  quarantine: v.optional(v.boolean()),
});
export type TokenCreateParams = v.InferOutput<typeof TokenCreateParams>;

/** A token as it is listed: never its secret. */
export type TokenInfo = v.InferOutput<typeof TokenInfo>;
export const TokenInfo = v.object({
  id: TokenId,
  createdAt: Time,
  /** The operator who made it. */
  createdBy: v.string(),
  expiresAt: Time,
  uses: v.number(),
  used: v.number(),
  name: v.optional(HostName),
  labels: Labels,
  quarantine: v.boolean(),
  revokedAt: v.optional(Time),
});

export const TokenCreateResult = v.object({
  id: TokenId,
  /** The whole token: secret and both authorities' fingerprints. It is shown once. */
  token: v.string(),
  expiresAt: Time,
  uses: v.number(),
});
export type TokenCreateResult = v.InferOutput<typeof TokenCreateResult>;

export const TokenListResult = v.object({ tokens: v.array(TokenInfo) });
export type TokenListResult = v.InferOutput<typeof TokenListResult>;
/** Hosts that have enrolled with it stay. Revoking twice is revoking once. */
export const TokenRevokeParams = v.object({ id: TokenId });
export type TokenRevokeParams = v.InferOutput<typeof TokenRevokeParams>;
export const TokenRevokeResult = v.object({ token: TokenInfo });
export type TokenRevokeResult = v.InferOutput<typeof TokenRevokeResult>;
