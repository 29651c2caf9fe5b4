/** A throw-away CA for tests: what the controller's is in earnest. */
import "reflect-metadata";
import { createHash, randomBytes, type webcrypto, X509Certificate as Certificate } from "node:crypto";
import {
  BasicConstraintsExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const dayMs = 24 * 60 * 60 * 1000;

/** @param days from now on; from a day ago */
function validity(days: number): { notBefore: Date; notAfter: Date; serialNumber: string } {
  return {
    notBefore: new Date(Date.now() - dayMs),
    notAfter: new Date(Date.now() + days * dayMs),
    serialNumber: randomBytes(8).toString("hex"),
  };
}

export interface KeyAndCertificate {
  readonly key: string;
  readonly certificate: string;
}

export class TestAuthority {
  readonly #keys: webcrypto.CryptoKeyPair;
  readonly #certificate: X509Certificate;

  private constructor(keys: webcrypto.CryptoKeyPair, certificate: X509Certificate) {
    this.#keys = keys;
    this.#certificate = certificate;
  }

  static async create(): Promise<TestAuthority> {
    const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const certificate = await X509CertificateGenerator.createSelfSigned({
      // Of two CAs of one name OpenSSL takes the first for the issuer.
      name: [{ CN: [`test CA ${randomBytes(4).toString("hex")}`] }],
      keys,
      signingAlgorithm: algorithm,
      ...validity(10),
      extensions: [new BasicConstraintsExtension(true, undefined, true)],
    });
    return new TestAuthority(keys, certificate);
  }

  /** PEM. */
  get certificate(): string {
    return this.#certificate.toString("pem");
  }

  /**
   * A token with this CA's fingerprint.
   * @param operators the operators' authority, PEM
   */
  token(operators: string, secret: Buffer = randomBytes(24)): string {
    const parts = [this.certificate, operators].map((pem) => new Certificate(pem).raw);
    const fingerprints = parts.map((der) => createHash("sha256").update(der).digest());
    return `outpost2_${Buffer.concat([...fingerprints, secret]).toString("base64url")}`;
  }

  /** A certificate for a server on this machine. */
  async issueServer(): Promise<KeyAndCertificate> {
    const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const names = new SubjectAlternativeNameExtension([
      { type: "dns", value: "localhost" },
      { type: "ip", value: "127.0.0.1" },
    ]);
    const certificate = await this.#issue("localhost", keys.publicKey, names);
    const der = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
    return { key: `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`, certificate };
  }

  /** A host's certificate for the key of this PKCS #10 request (PEM). */
  async issueHost(request: string, name: string, host: string, days = 5): Promise<string> {
    const parsed = new Pkcs10CertificateRequest(request);
    if (!(await parsed.verify())) throw new Error("the request is not signed by its own key");
    // x509 names types of the DOM, which Node calls otherwise.
    const publicKey = (await parsed.publicKey.export()) as webcrypto.CryptoKey;
    const identity = new SubjectAlternativeNameExtension([
      { type: "url", value: `urn:outpost:host:${host}` },
    ]);
    return this.#issue(name, publicKey, identity, days);
  }

  async #issue(
    name: string,
    publicKey: webcrypto.CryptoKey,
    names: SubjectAlternativeNameExtension,
    days = 5,
  ): Promise<string> {
    const certificate = await X509CertificateGenerator.create({
      subject: [{ CN: [name] }],
      issuer: this.#certificate.subject,
      publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: algorithm,
      ...validity(days),
      extensions: [names],
    });
    return certificate.toString("pem");
  }
}
