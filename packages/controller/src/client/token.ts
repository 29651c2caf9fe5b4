/** Which authorities an enrolment token names: see the controller's `token.ts` for its form. */
import { createHash, timingSafeEqual, X509Certificate } from "node:crypto";
import { ErrorCode, OutpostError } from "@outpost/protocol";

/** `outpost2_` base64url( SHA-256 of the CA's certificate, 32 ‖ SHA-256 of the operators' authority's, 32 ‖ secret, 24 ) */
const prefix = "outpost2_";
const fingerprintBytes = 32;
const secretBytes = 24;

/**
 * Makes sure that a host which enrols with this token will believe our operators, and nobody else's: a stolen controller
 * could name an authority of its own.
 * @param operators the certificate of our operators' authority, PEM
 * @throws OutpostError `denied`
 */
export function checkToken(token: string, operators: string): void {
  const bytes = token.startsWith(prefix)
    ? Buffer.from(token.slice(prefix.length), "base64url")
    : Buffer.alloc(0);
  const isWhole = bytes.length === 2 * fingerprintBytes + secretBytes;
  const named = bytes.subarray(fingerprintBytes, 2 * fingerprintBytes);
  const ours = createHash("sha256").update(new X509Certificate(operators).raw).digest();
  if (isWhole && timingSafeEqual(named, ours)) return;
  throw new OutpostError(
    ErrorCode.denied,
    "the controller has made a token that names another authority of operators than this context does: hosts that enrol with " +
      "it would obey other operators. It was revoked and is not shown. Has somebody else taken the controller over, or was " +
      "it set up anew?",
    { data: { reason: "operators" } },
  );
}
