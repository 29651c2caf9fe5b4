/**
 * Whether certificates make somebody an operator.
 *
 *     operators' authority ──signs──▶ operator                     the first one
 *                          └─signs──▶ invitation ──signs──▶ operator   everybody else: the invitation (a CA for this one
 *                                                                      operator) came in the sign-in bundle
 *
 * The authority's key is with an operator and never at the controller, so that a controller cannot make operators.
 */
import { type KeyObject, X509Certificate } from "node:crypto";
import { ErrorCode, OperatorName, OutpostError, type OperatorId } from "@outpost/protocol";
import * as v from "valibot";
import { identityOf } from "./identity.ts";
import { keyFingerprint } from "./pem.ts";

export interface OperatorIdentity {
  readonly id: OperatorId;
  readonly name: OperatorName;
  readonly publicKey: KeyObject;
  /** SHA-256 of the public key, in hexadecimal. */
  readonly key: string;
  /** When the first of the certificates ends, in milliseconds since 1970. */
  readonly expiresAt: number;
}

/** id-kp-clientAuth, RFC 5280, section 4.2.1.12. */
const clientAuth = "1.3.6.1.5.5.7.3.2";

/**
 * @param certificates DER, the operator's own first, without the authority
 * @param authorities those that are trusted
 * @throws OutpostError `denied`, `data.reason` `certificate`
 */
export function verifyOperatorChain(
  certificates: readonly Uint8Array[],
  authorities: readonly X509Certificate[],
  now: number,
): OperatorIdentity {
  try {
    return verifyChain(certificates, authorities, now);
  } catch (error) {
    if (error instanceof OutpostError) throw error;
    // OpenSSL reads a certificate piece by piece: a key that is none shows when it is asked for.
    throw refused("a certificate cannot be used", error);
  }
}

function verifyChain(
  certificates: readonly Uint8Array[],
  authorities: readonly X509Certificate[],
  now: number,
): OperatorIdentity {
  const chain = certificates.map(parse);
  const [leaf, invitation, ...more] = chain;
  if (leaf === undefined || more.length > 0) throw refused("there are none or too many certificates");
  const top = invitation ?? leaf;
  const authority = authorities.find((each) => isIssuedBy(top, each));
  if (authority === undefined)
    throw refused(
      "the operator's certificate does not come from the operators' authority that is known here",
    );
  const { id, name } = ownerOf(leaf);
  if (leaf.ca || leaf.keyUsage?.includes(clientAuth) !== true || !isP256(leaf.publicKey))
    throw refused("the certificate is not one of an operator");
  if (invitation !== undefined) {
    if (!invitation.ca || !isIssuedBy(leaf, invitation))
      throw refused("the operator's certificate was not signed by the invitation beside it");
    const invited = ownerOf(invitation);
    if (invited.id !== id || invited.name !== name)
      throw refused(`the invitation is for ${invited.name}, not for ${name}`);
  }
  const all = [...chain, authority];
  for (const certificate of all) checkValidity(certificate, now);
  const expiresAt = Math.min(...all.map(({ validTo }) => Date.parse(validTo)));
  return { id, name, publicKey: leaf.publicKey, key: keyFingerprint(leaf), expiresAt };
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

/** Whoever was invited chooses the key. A signature is verified in one way only, and with no key that is weaker. */
function isP256({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
  return asymmetricKeyType === "ec" && asymmetricKeyDetails?.namedCurve === "prime256v1";
}

function ownerOf(certificate: X509Certificate): { id: OperatorId; name: OperatorName } {
  const identity = identityOf(certificate);
  const name = /^CN=(.*)$/m.exec(certificate.subject)?.[1];
  const parsed = v.safeParse(OperatorName, name);
  if (identity?.kind !== "operator" || !parsed.success) throw refused("the certificate names no operator");
  return { id: identity.id, name: parsed.output };
}

function checkValidity({ validFrom, validTo }: X509Certificate, now: number): void {
  if (now > Date.parse(validTo)) throw refused(`the operator's certificate has expired on ${validTo}`);
  if (now < Date.parse(validFrom))
    throw refused(`the operator's certificate is valid from ${validFrom} on; is a clock wrong?`);
}

function parse(der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (cause) {
    throw refused("a certificate cannot be read", cause);
  }
}

function refused(message: string, cause?: unknown): OutpostError {
  return new OutpostError(ErrorCode.denied, message, { data: { reason: "certificate" }, cause });
}
