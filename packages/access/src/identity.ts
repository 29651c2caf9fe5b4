/** Whom a client certificate speaks for: a URN among its subject alternative names. Needs no certificate library. */
import type { X509Certificate } from "node:crypto";
import { HostId, OperatorId } from "@outpost/protocol";
import * as v from "valibot";

export type Identity =
  | { readonly kind: "host"; readonly id: HostId }
  | { readonly kind: "operator"; readonly id: OperatorId };

const pattern = /^URI:urn:outpost:(host|operator):([0-9a-z]+)$/;

export function identityUrn(identity: Identity): string {
  return `urn:outpost:${identity.kind}:${identity.id}`;
}

/** The identity in a certificate, or `undefined` when it has none or more than one. Says nothing about who signed it. */
export function identityOf(certificate: Pick<X509Certificate, "subjectAltName">): Identity | undefined {
  const found = (certificate.subjectAltName ?? "")
    .split(", ")
    .map((name) => pattern.exec(name))
    .filter((match) => match !== null);
  if (found.length !== 1) return undefined;
  const [, kind, id] = found[0]!;
  if (kind === "host") {
    const host = v.safeParse(HostId, id);
    return host.success ? { kind, id: host.output } : undefined;
  }
  const operator = v.safeParse(OperatorId, id);
  return operator.success ? { kind: "operator", id: operator.output } : undefined;
}
