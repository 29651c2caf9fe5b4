/** Enrolment tokens as a person pastes them: the CA's fingerprint and a secret in one word. */
import { ErrorCode, OutpostError } from "@outpost/protocol";

const prefix = "outpost1_";
const fingerprintBytes = 32;
const secretBytes = 24;

export interface Token {
  /** SHA-256 of the CA certificate's DER: whom the secret may be shown to. */
  readonly fingerprint: Buffer;
  /** The part that the controller checks, base64url. */
  readonly secret: string;
}

/**
 *     outpost1_ base64url( fingerprint of the CA, 32 bytes ‖ secret, 24 bytes )
 *
 * @throws OutpostError `invalid_argument`
 */
export function parseToken(text: string): Token {
  const bad = (what: string): OutpostError =>
    new OutpostError(
      ErrorCode.invalidArgument,
      `the token ${what}; copy the whole line that \`outpost token create\` printed`,
    );
  const trimmed = text.trim();
  if (!trimmed.startsWith(prefix)) throw bad(`does not begin with ${prefix}`);
  const body = trimmed.slice(prefix.length);
  if (!/^[A-Za-z0-9_-]*$/.test(body)) throw bad("holds characters that no token has");
  const bytes = Buffer.from(body, "base64url");
  if (bytes.byteLength !== fingerprintBytes + secretBytes) throw bad("is cut short or too long");
  return {
    fingerprint: bytes.subarray(0, fingerprintBytes),
    secret: bytes.subarray(fingerprintBytes).toString("base64url"),
  };
}
