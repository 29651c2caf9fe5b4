/**
 * Makes and signs certificates. With the agent's `identity.ts` the only importer of @peculiar/x509, which takes 60 ms to
 * load and is loaded when something is to be signed. All keys are EC P-256.
 *
 * What a certificate says comes from here alone: of a certificate request (RFC 2986) the signature is verified, and
 * nothing but its public key is taken.
 */
import { createPrivateKey, randomBytes, webcrypto } from "node:crypto";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import type * as x509 from "@peculiar/x509";

const dayMs = 24 * 60 * 60 * 1000;

/** Clocks of hosts may be behind ours; a certificate that is not valid yet would lock them out. */
const backdateMs = 60 * 60 * 1000;

const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256" } as const;
const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" } as const;

/** A certificate and its private key, both PEM. */
export interface Credentials {
  readonly certificate: string;
  readonly key: string;
}

type Library = typeof x509;
let loading: Promise<Library> | undefined;

function library(): Promise<Library> {
  loading ??= (async () => {
    // Its dependency injection reads decorators' metadata, and says so only at import.
    await import("reflect-metadata");
    return import("@peculiar/x509");
  })();
  return loading;
}

export type PublicKey = webcrypto.CryptoKey | x509.PublicKey;
export type AlternativeName = { readonly type: "dns" | "ip" | "url"; readonly value: string };

export interface KeyPair {
  readonly publicKey: PublicKey;
  /** PKCS #8, PEM. */
  readonly key: string;
  readonly pair: webcrypto.CryptoKeyPair;
}

export async function generateKeys(): Promise<KeyPair> {
  const pair = await webcrypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", pair.privateKey));
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" })
    .export({ format: "pem", type: "pkcs8" })
    .toString();
  return { publicKey: pair.publicKey, key, pair };
}

/** 16 random bytes, positive and without leading zeros (RFC 5280, section 4.1.2.2). */
function newSerial(): string {
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  return serial.toString("hex");
}

function validity(days: number): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - backdateMs), notAfter: new Date(now + days * dayMs) };
}

/** `name` is one of ours or was checked: it holds nothing that a distinguished name would need escaped. */
function commonName(name: string): Array<Record<string, string[]>> {
  return [{ CN: [name] }];
}

/** @param label begins the name; random digits follow, so that a wrong CA is told from a damaged one
 * @param pathLength how many CAs may come between it and a certificate */
export async function createRoot(label: string, days: number, pathLength: number): Promise<Credentials> {
  const x = await library();
  const { pair, key } = await generateKeys();
  const certificate = await x.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: commonName(`${label} ${randomBytes(4).toString("hex")}`),
    ...validity(days),
    signingAlgorithm,
    keys: pair,
    extensions: [
      new x.BasicConstraintsExtension(true, pathLength, true),
      new x.KeyUsagesExtension(x.KeyUsageFlags.keyCertSign | x.KeyUsageFlags.cRLSign, true),
      await x.SubjectKeyIdentifierExtension.create(pair.publicKey),
    ],
  });
  return { certificate: `${certificate.toString("pem")}\n`, key };
}

export interface IssueOptions {
  readonly name: string;
  readonly publicKey: PublicKey;
  /** `issuer`: a CA that may sign certificates and no further CAs. */
  readonly usage: "serverAuth" | "clientAuth" | "issuer";
  readonly alternativeNames: readonly AlternativeName[];
  readonly days: number;
}

/** Signs certificates as one CA. */
export class Issuer {
  readonly #credentials: Credentials;
  #loaded: Promise<{ certificate: x509.X509Certificate; key: webcrypto.CryptoKey }> | undefined;

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
  }

  /** @returns PEM */
  async issue({ name, publicKey, usage, alternativeNames, days }: IssueOptions): Promise<string> {
    const x = await library();
    const { certificate: issuer, key } = await (this.#loaded ??= this.#load());
    const isIssuer = usage === "issuer";
    const certificate = await x.X509CertificateGenerator.create({
      serialNumber: newSerial(),
      subject: commonName(name),
      issuer: issuer.subjectName,
      ...validity(days),
      signingAlgorithm,
      publicKey,
      signingKey: key,
      extensions: [
        new x.BasicConstraintsExtension(isIssuer, isIssuer ? 0 : undefined, true),
        new x.KeyUsagesExtension(
          isIssuer ? x.KeyUsageFlags.keyCertSign : x.KeyUsageFlags.digitalSignature,
          true,
        ),
        new x.ExtendedKeyUsageExtension([x.ExtendedKeyUsage[isIssuer ? "clientAuth" : usage]]),
        new x.SubjectAlternativeNameExtension([...alternativeNames]),
        await x.AuthorityKeyIdentifierExtension.create(issuer, false),
        await x.SubjectKeyIdentifierExtension.create(publicKey, false),
      ],
    });
    return `${certificate.toString("pem")}\n`;
  }

  async #load(): Promise<{ certificate: x509.X509Certificate; key: webcrypto.CryptoKey }> {
    const x = await library();
    const der = createPrivateKey(this.#credentials.key).export({ format: "der", type: "pkcs8" });
    const key = await webcrypto.subtle.importKey("pkcs8", der, keyAlgorithm, false, ["sign"]);
    return { certificate: new x.X509Certificate(this.#credentials.certificate), key };
  }
}

/**
 * The public key of a certificate request.
 * @param pem PKCS #10
 * @throws OutpostError `invalid_argument` when the request is malformed, not self-signed, or its key is not P-256
 */
export async function requestedKey(pem: string): Promise<PublicKey> {
  const x = await library();
  const bad = (what: string, cause?: unknown): OutpostError =>
    new OutpostError(ErrorCode.invalidArgument, `the certificate request ${what}`, { cause });
  let request: x509.Pkcs10CertificateRequest;
  let isSigned: boolean;
  try {
    request = new x.Pkcs10CertificateRequest(pem);
    isSigned = await request.verify();
  } catch (cause) {
    throw bad("is malformed", cause);
  }
  if (!isSigned) throw bad("is not signed with its own key");
  const { name, namedCurve } = request.publicKey.algorithm as { name?: string; namedCurve?: string };
  if (name !== "ECDSA" || namedCurve !== "P-256") throw bad("is not for a P-256 key");
  return request.publicKey;
}
