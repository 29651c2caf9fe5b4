/** How a host gets its certificate. */
import * as v from "valibot";
import { HostId, HostName, Labels } from "../ids.ts";
import { Facts } from "./host.ts";
import { Time } from "./stream.ts";

/** Certificates and requests as PEM text (RFC 7468). */
const Pem = v.pipe(v.string(), v.maxLength(16 * 1024));

export const EnrolParams = v.object({
  /** The token's secret part; shown to the controller once, which keeps only its hash. */
  secret: v.pipe(v.string(), v.maxLength(256)),
  name: HostName,
  labels: Labels,
  facts: Facts,
  /** A PKCS #10 certificate signing request (RFC 2986). The private key stays on the host. */
  request: Pem,
});
export type EnrolParams = v.InferOutput<typeof EnrolParams>;

export const EnrolResult = v.object({
  host: HostId,
  name: HostName,
  /** The host's certificate, signed by the controller's CA. */
  certificate: Pem,
  /** The CA's certificate; the agent has checked it against the token's fingerprint before it got here. */
  authority: Pem,
});
export type EnrolResult = v.InferOutput<typeof EnrolResult>;

export const TokenCreateParams = v.object({
  /** How long the token can be used, in milliseconds from now. */
  ttlMs: v.pipe(v.number(), v.safeInteger(), v.minValue(1000)),
  /** How many hosts may enrol with it. */
  uses: v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(100_000)),
});
export type TokenCreateParams = v.InferOutput<typeof TokenCreateParams>;

export const TokenCreateResult = v.object({
  /** The whole token: secret and the CA's fingerprint. It is shown once. */
  token: v.string(),
  expiresAt: Time,
  uses: v.number(),
});
export type TokenCreateResult = v.InferOutput<typeof TokenCreateResult>;
