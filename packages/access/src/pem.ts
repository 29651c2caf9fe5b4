/** Certificates as PEM text (RFC 7468). */
import { createHash, type X509Certificate } from "node:crypto";

/** The certificates of a bundle, one by one. */
export function splitPem(bundle: string): string[] {
  return bundle.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [];
}

/** SHA-256 of a certificate's public key (its SubjectPublicKeyInfo), in hexadecimal. */
export function keyFingerprint({ publicKey }: X509Certificate): string {
  return createHash("sha256")
    .update(publicKey.export({ format: "der", type: "spki" }))
    .digest("hex");
}
