/** Certificates as PEM text (RFC 7468). */
import { createHash, type X509Certificate } from "node:crypto";

export { splitPem } from "@outpost/protocol";

/** SHA-256 of a certificate's public key (its SubjectPublicKeyInfo), in hexadecimal. */
export function keyFingerprint({ publicKey }: X509Certificate): string {
  return createHash("sha256")
    .update(publicKey.export({ format: "der", type: "spki" }))
    .digest("hex");
}
