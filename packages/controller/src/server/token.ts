/**
 * Enrolment tokens as text.
 *
 *     outpost2_ base64url( SHA-256 of the CA's certificate (DER), 32 bytes
 *                        ‖ SHA-256 of the operators' authority's certificate (DER), 32 bytes
 *                        ‖ secret, 24 bytes )
 *
 * The host checks both before it believes in either. The catalogue keeps only the secret's hash. The secret is 192
 * random bits, so a plain hash is as good as a slow one.
 */
import { createHash, randomBytes } from "node:crypto";

const prefix = "outpost2_";
const secretBytes = 24;

export interface NewToken {
  /** What the operator hands to the host; shown once. */
  readonly text: string;
  /** What the catalogue keeps. */
  readonly hash: Uint8Array;
}

/** @param authority,operators fingerprints */
export function createToken(authority: Uint8Array, operators: Uint8Array): NewToken {
  const secret = randomBytes(secretBytes);
  return {
    text: prefix + Buffer.concat([authority, operators, secret]).toString("base64url"),
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
