/**
 * The certificate of an operator who holds the key of the operators' authority, made anew before it ends. Everybody else is
 * given a new bundle by such an operator; this one has nobody to ask, and could be locked out with everybody.
 */
import { createPrivateKey, createPublicKey, webcrypto, X509Certificate } from "node:crypto";
import { splitPem } from "@outpost/access/signing";
import type { Context } from "./context.ts";

/** With less than this left it is made anew, in milliseconds. */
const renewBeforeMs = 60 * 24 * 60 * 60 * 1000;
const days = 365;

/** When the first of these certificates ends, in milliseconds since 1970. */
export function firstEnd(certificates: string): number {
  return Math.min(...splitPem(certificates).map((pem) => Date.parse(new X509Certificate(pem).validTo)));
}

/** @returns undefined when it need not be made anew, or cannot: then it is for the controller to refuse */
export async function renewed(context: Context, now: number = Date.now()): Promise<Context | undefined> {
  const { name, certificate, key, operators, operatorsKey } = context;
  if (operatorsKey === undefined || firstEnd(certificate) - now > renewBeforeMs) return undefined;
  const { identityOf, identityUrn, Issuer } = await import("@outpost/access");
  const identity = identityOf(new X509Certificate(certificate));
  if (identity === undefined) return undefined;
  // The same key: the controller knows the operator by it.
  const spki = createPublicKey(createPrivateKey(key)).export({ format: "der", type: "spki" });
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const publicKey = await webcrypto.subtle.importKey("spki", spki, algorithm, true, ["verify"]);
  const issued = await new Issuer({ certificate: operators, key: operatorsKey }).issue({
    name,
    publicKey,
    usage: "clientAuth",
    alternativeNames: [{ type: "url", value: identityUrn(identity) }],
    days,
  });
  return { ...context, certificate: issued };
}
