/**
 * Makes a new identity: a key pair and the request for its certificate. The only importer of @peculiar/x509 in this
 * package, and itself imported on `join` only: the library and its schemas would cost a running agent about 10 MB.
 */
import "reflect-metadata";
import { Pkcs10CertificateRequestGenerator } from "@peculiar/x509";

export interface NewIdentity {
  /** PKCS #8 (RFC 5958), PEM. Stays on the host. */
  readonly key: string;
  /** PKCS #10 (RFC 2986), PEM. */
  readonly request: string;
}

const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** @param name becomes the subject's common name; the controller decides what the certificate says */
export async function createIdentity(name: string): Promise<NewIdentity> {
  const keys = await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [name] }],
    keys,
    signingAlgorithm: keyAlgorithm,
  });
  const key = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  return { key: pem("PRIVATE KEY", key), request: request.toString("pem") };
}

/** RFC 7468. */
function pem(label: string, der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g)!;
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
