/** Enrolment tokens as a person pastes them: whom to believe, and a secret, in one word. */
import { ErrorCode, OutpostError } from "@outpost/protocol";

const prefix = "outpost2_";
/** Of controllers up to 0.1, which say nothing of operators. */
const oldPrefix = "outpost1_";
const fingerprintBytes = 32;
const secretBytes = 24;

export interface Token {
  /** SHA-256 of the CA certificate's DER: whom the secret may be shown to. */
  readonly fingerprint: Buffer;
  /** SHA-256 of the DER of the operators' authority: whose operators the host will obey. */
  readonly operators: Buffer;
  /** The part that the controller checks, base64url. */
  readonly secret: string;
}

/**
 *     outpost2_ base64url( fingerprint of the CA, 32 bytes ‖ of the operators' authority, 32 bytes ‖ secret, 24 bytes )
 *
 * @throws OutpostError `invalid_argument`; `version_mismatch` for a token of a controller that is too old
 */
export function parseToken(text: string): Token {
  const bad = (what: string): OutpostError =>
    new OutpostError(
      ErrorCode.invalidArgument,
      `the token ${what}; copy the whole line that \`outpost token create\` printed`,
    );
  const trimmed = text.trim();
  if (trimmed.startsWith(oldPrefix)) {
    throw new OutpostError(
      ErrorCode.versionMismatch,
      "the token comes from a controller that is older than this agent and does not say who its operators are; " +
        "upgrade the controller to 0.2 or later, and make a new token there",
    );
  }
  if (!trimmed.startsWith(prefix)) throw bad(`does not begin with ${prefix}`);
  const body = trimmed.slice(prefix.length);
  if (!/^[A-Za-z0-9_-]*$/.test(body)) throw bad("holds characters that no token has");
  const bytes = Buffer.from(body, "base64url");
  if (bytes.byteLength !== 2 * fingerprintBytes + secretBytes) throw bad("is cut short or too long");
  return {
    fingerprint: bytes.subarray(0, fingerprintBytes),
    operators: bytes.subarray(fingerprintBytes, 2 * fingerprintBytes),
    secret: bytes.subarray(2 * fingerprintBytes).toString("base64url"),
  };
}
