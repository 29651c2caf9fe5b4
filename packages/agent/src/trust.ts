/** Whether what a controller answers about certificates can be used: one that does not fit would fail far from its cause. */
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { identityOf, splitPem } from "@outpost/access";
import { ErrorCode, type HostId, OutpostError } from "@outpost/protocol";

/** A certificate, and the CAs beside it. PEM. */
export interface Issued {
  readonly certificate: string;
  readonly authority: string;
}

/**
 * The certificate must be the host's, for our key, and come from one of the CAs.
 * @throws OutpostError `protocol_error`
 */
export function checkCertificate({ certificate, authority }: Issued, key: string, host: HostId): void {
  const bad = (what: string, cause?: unknown): OutpostError =>
    new OutpostError(
      ErrorCode.protocolError,
      `the controller answered with a certificate that ${what}; report this as a bug`,
      { cause },
    );
  const cas = certificatesOf(authority);
  let own: X509Certificate;
  try {
    own = new X509Certificate(certificate);
  } catch (cause) {
    throw bad("cannot be read", cause);
  }
  if (!own.checkPrivateKey(createPrivateKey(key))) throw bad("is not for our key");
  if (!cas.some((ca) => ca.ca && own.verify(ca.publicKey))) throw bad("is not from its own CA");
  const identity = identityOf(own);
  if (identity?.kind !== "host" || identity.id !== host) throw bad("is not this host's");
}

/** SHA-256 of each certificate's DER. @throws OutpostError `protocol_error` when one cannot be read, or there is none */
export function fingerprintsOf(pem: string): Buffer[] {
  return certificatesOf(pem).map(({ raw }) => createHash("sha256").update(raw).digest());
}

function certificatesOf(pem: string): X509Certificate[] {
  const parts = splitPem(pem);
  try {
    if (parts.length > 0) return parts.map((part) => new X509Certificate(part));
  } catch (cause) {
    throw unreadable(cause);
  }
  throw unreadable();
}

function unreadable(cause?: unknown): OutpostError {
  return new OutpostError(
    ErrorCode.protocolError,
    "the controller answered with authorities that cannot be read; report this as a bug",
    { cause },
  );
}

/** As people compare them: `AB:CD:…`. */
export function fingerprintText(fingerprint: Buffer): string {
  return fingerprint.toString("hex").toUpperCase().match(/../g)!.join(":");
}
