/**
 * A private CA of the controller: signs the certificates of the server and of hosts. Operators have an authority of their
 * own, whose key is not here (`operators-authority.ts` of @outpost/access).
 */
import { createHash, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import {
  createRoot,
  type Credentials,
  generateKeys,
  type Identity,
  identityUrn,
  Issuer,
  requestedKey,
} from "@outpost/access";

const authorityDays = 3650;

/** The server's certificate is issued anew when a third of this is left (`server-certificate.ts`). */
export const serverCertificateDays = 90;

/** What can be known of a CA without its key. */
export class AuthorityCertificate {
  /** PEM. */
  readonly certificate: string;
  /** SHA-256 of the certificate's DER: what tokens carry. */
  readonly fingerprint: Uint8Array;
  /** The same in hexadecimal. */
  readonly id: string;
  /** In milliseconds since 1970. */
  readonly expiresAt: number;
  readonly x509: X509Certificate;

  /** @param certificate PEM */
  constructor(certificate: string) {
    this.certificate = certificate;
    this.x509 = new X509Certificate(certificate);
    const digest = createHash("sha256").update(this.x509.raw).digest();
    this.fingerprint = digest;
    this.id = digest.toString("hex");
    this.expiresAt = Date.parse(this.x509.validTo);
  }

  hasSigned(certificate: X509Certificate): boolean {
    return certificate.checkIssued(this.x509) && certificate.verify(this.x509.publicKey);
  }
}

export class Authority extends AuthorityCertificate {
  readonly #issuer: Issuer;

  private constructor(credentials: Credentials) {
    super(credentials.certificate);
    this.#issuer = new Issuer(credentials);
  }

  /** Makes a new CA, valid for ten years. */
  static async create(): Promise<{ authority: Authority; credentials: Credentials }> {
    // The digits behind the label differ, so that a wrong CA is told from a damaged one. No CAs below it.
    const credentials = await createRoot("Outpost CA", authorityDays, 0);
    return { authority: new Authority(credentials), credentials };
  }

  /** Takes up the CA that `create` made. */
  static load(credentials: Credentials): Authority {
    return new Authority(credentials);
  }

  /** A certificate for the server under these DNS names and IP addresses, with a new key. */
  async issueServer(names: readonly string[]): Promise<Credentials> {
    const { publicKey, key } = await generateKeys();
    const certificate = await this.#issuer.issue({
      name: names[0] ?? "outpost controller",
      publicKey,
      usage: "serverAuth",
      alternativeNames: names.map((name) => ({ type: isIP(name) === 0 ? "dns" : "ip", value: name })),
      days: serverCertificateDays,
    });
    return { certificate, key };
  }

  /**
   * A host's certificate for the key of its certificate request.
   * @param request PKCS #10 in PEM
   * @throws OutpostError `invalid_argument` when the request is malformed, not self-signed, or its key is not P-256
   */
  async issueHost(
    identity: Identity & { kind: "host" },
    name: string,
    request: string,
    days: number,
  ): Promise<string> {
    return this.#issuer.issue({
      name,
      publicKey: await requestedKey(request),
      usage: "clientAuth",
      alternativeNames: [{ type: "url", value: identityUrn(identity) }],
      days,
    });
  }
}
