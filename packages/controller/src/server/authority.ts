/**
 * The private CA: makes and signs the certificates of the server, of hosts and of operators. The only importer of
 * @peculiar/x509, which takes 60 ms to load and is loaded when something is to be signed.
 *
 * All keys are EC P-256. What a certificate says comes from here alone: of a certificate request (RFC 2986) the
 * signature is verified, and nothing but its public key is taken.
 */
import { createHash, createPrivateKey, randomBytes, webcrypto, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import type * as x509 from "@peculiar/x509";
import { identityUrn, type Identity } from "./identity.ts";

const dayMs = 24 * 60 * 60 * 1000;
const authorityDays = 3650;
const leafDays = 365;

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

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
}

async function keyToPem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" })
    .export({ format: "pem", type: "pkcs8" })
    .toString();
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

type PublicKey = webcrypto.CryptoKey | x509.PublicKey;

interface LeafOptions {
  readonly name: string;
  readonly publicKey: PublicKey;
  readonly usage: "serverAuth" | "clientAuth";
  readonly alternativeNames: x509.JsonGeneralNames;
}

export class Authority {
  /** PEM. */
  readonly certificate: string;
  /** SHA-256 of the certificate's DER: what tokens carry. */
  readonly fingerprint: Uint8Array;
  readonly #key: string;
  #signer: Promise<{ issuer: x509.X509Certificate; key: webcrypto.CryptoKey }> | undefined;

  private constructor(credentials: Credentials) {
    this.certificate = credentials.certificate;
    this.#key = credentials.key;
    this.fingerprint = createHash("sha256").update(new X509Certificate(credentials.certificate).raw).digest();
  }

  /** Makes a new CA, valid for ten years. */
  static async create(): Promise<{ authority: Authority; credentials: Credentials }> {
    const x = await library();
    const keys = await generateKeys();
    const certificate = await x.X509CertificateGenerator.createSelfSigned({
      serialNumber: newSerial(),
      // CAs of different controllers have different names, so that a wrong one is told from a damaged one.
      name: commonName(`Outpost CA ${randomBytes(4).toString("hex")}`),
      ...validity(authorityDays),
      signingAlgorithm,
      keys,
      extensions: [
        new x.BasicConstraintsExtension(true, 0, true),
        new x.KeyUsagesExtension(x.KeyUsageFlags.keyCertSign | x.KeyUsageFlags.cRLSign, true),
        await x.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    const credentials = {
      certificate: `${certificate.toString("pem")}\n`,
      key: await keyToPem(keys.privateKey),
    };
    return { authority: new Authority(credentials), credentials };
  }

  /** Takes up the CA that `create` made. */
  static load(credentials: Credentials): Authority {
    return new Authority(credentials);
  }

  /** A certificate for the server under these DNS names and IP addresses, with a new key. Valid for a year. */
  async issueServer(names: readonly string[]): Promise<Credentials> {
    const keys = await generateKeys();
    const certificate = await this.#issue({
      name: names[0] ?? "outpost controller",
      publicKey: keys.publicKey,
      usage: "serverAuth",
      alternativeNames: names.map((name) => ({ type: isIP(name) === 0 ? "dns" : "ip", value: name })),
    });
    return { certificate, key: await keyToPem(keys.privateKey) };
  }

  /** An operator's certificate with a new key; for the first operator, who sits at the controller. */
  async issueOperator(identity: Identity & { kind: "operator" }, name: string): Promise<Credentials> {
    const keys = await generateKeys();
    return {
      certificate: await this.#issueClient(identity, name, keys.publicKey),
      key: await keyToPem(keys.privateKey),
    };
  }

  /**
   * A host's certificate for the key of its certificate request.
   * @param request PKCS #10 in PEM
   * @throws OutpostError `invalid_argument` when the request is malformed, not self-signed, or its key is not P-256
   */
  async issueHost(identity: Identity & { kind: "host" }, name: string, request: string): Promise<string> {
    return this.#issueClient(identity, name, await requestedKey(request));
  }

  #issueClient(identity: Identity, name: string, publicKey: PublicKey): Promise<string> {
    const alternativeNames = [{ type: "url", value: identityUrn(identity) } as const];
    return this.#issue({ name, publicKey, usage: "clientAuth", alternativeNames });
  }

  async #issue({ name, publicKey, usage, alternativeNames }: LeafOptions): Promise<string> {
    const x = await library();
    const { issuer, key } = await (this.#signer ??= this.#loadSigner());
    const certificate = await x.X509CertificateGenerator.create({
      serialNumber: newSerial(),
      subject: commonName(name),
      issuer: issuer.subjectName,
      ...validity(leafDays),
      signingAlgorithm,
      publicKey,
      signingKey: key,
      extensions: [
        new x.BasicConstraintsExtension(false, undefined, true),
        new x.KeyUsagesExtension(x.KeyUsageFlags.digitalSignature, true),
        new x.ExtendedKeyUsageExtension([x.ExtendedKeyUsage[usage]]),
        new x.SubjectAlternativeNameExtension(alternativeNames),
        await x.AuthorityKeyIdentifierExtension.create(issuer, false),
        await x.SubjectKeyIdentifierExtension.create(publicKey, false),
      ],
    });
    return `${certificate.toString("pem")}\n`;
  }

  async #loadSigner(): Promise<{ issuer: x509.X509Certificate; key: webcrypto.CryptoKey }> {
    const x = await library();
    const der = createPrivateKey(this.#key).export({ format: "der", type: "pkcs8" });
    const key = await webcrypto.subtle.importKey("pkcs8", der, keyAlgorithm, false, ["sign"]);
    return { issuer: new x.X509Certificate(this.certificate), key };
  }
}

async function requestedKey(pem: string): Promise<x509.PublicKey> {
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
