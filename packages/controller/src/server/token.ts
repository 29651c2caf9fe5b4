/**
 * Enrolment tokens as text.
 *
 *     outpost1_ base64url( SHA-256 of the CA certificate's DER, 32 bytes ‖ secret, 24 bytes )
 *
 * The catalogue keeps only the secret's hash. The secret is 192 random bits, so a plain hash is as good as a slow one.
 */
import { createHash, randomBytes } from "node:crypto";

const prefix = "outpost1_";
const secretBytes = 24;

export interface NewToken {
  /** What the operator hands to the host; shown once. */
  readonly text: string;
  /** What the catalogue keeps. */
  readonly hash: Uint8Array;
}

export function createToken(authorityFingerprint: Uint8Array): NewToken {
  const secret = randomBytes(secretBytes);
  return {
    text: prefix + Buffer.concat([authorityFingerprint, secret]).toString("base64url"),
    hash: sha256(secret),
  };
}

/** The hash of a secret as a host sends it: base64url of its bytes. */
export function hashSecret(secret: string): Uint8Array {
  return sha256(Buffer.from(secret, "base64url"));
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}
