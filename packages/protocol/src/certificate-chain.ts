/**
 * Certificates as PEM text (RFC 7468), and those between a client's own and the authority, told in a header of the upgrade.
 *
 * A TLS client shows them in the handshake, and OpenSSL verifies with them; but Node (24) gives a server the client's own
 * certificate only, and who issued it must be looked at, too. They are no secret.
 */
import { ErrorCode, OutpostError } from "./errors.ts";

/** In lower case, as Node names headers. */
export const chainHeader = "outpost-certificates";

/** An operator's has one: the invitation. */
const maxCertificates = 2;

/** The certificates of a PEM bundle, one by one. */
export function splitPem(bundle: string): string[] {
  return bundle.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [];
}

/** @param certificates PEM, the client's own first. `undefined` when there are no others */
export function chainHeaderOf(certificates: string): string | undefined {
  const others = splitPem(certificates)
    .slice(1)
    .map((pem) => pem.replace(/-----[^-]+-----|\s/g, ""));
  return others.length === 0 ? undefined : others.join(",");
}

/** What the header says: DER. @throws OutpostError `denied` when these are no certificates, or too many */
export function chainOfHeader(header: string | string[] | undefined): Uint8Array[] {
  if (header === undefined) return [];
  const parts = String(header).split(",");
  if (parts.length > maxCertificates || parts.some((part) => !/^[A-Za-z0-9+/]+=*$/.test(part))) {
    throw new OutpostError(ErrorCode.denied, `the header ${chainHeader} holds no certificates`);
  }
  return parts.map((part) => Buffer.from(part, "base64"));
}
