import { createHash, createPrivateKey, webcrypto, X509Certificate } from "node:crypto";
import "reflect-metadata";
import { Pkcs10CertificateRequestGenerator } from "@peculiar/x509";
import { describe, expect, test } from "vitest";
import { createRoot, generateKeys, Issuer, type IssueOptions, requestedKey } from "./issuing.ts";
import { keyFingerprint, splitPem } from "./pem.ts";

const dayMs = 24 * 60 * 60 * 1000;

async function issued(
  options: Partial<IssueOptions> = {},
): Promise<{ root: X509Certificate; certificate: X509Certificate }> {
  const root = await createRoot("Test", 10, 1);
  const { publicKey } = await generateKeys();
  const alternativeNames = [{ type: "dns", value: "web1.example.org" } as const];
  const pem = await new Issuer(root).issue({
    name: "web1",
    publicKey,
    usage: "clientAuth",
    alternativeNames,
    days: 30,
    ...options,
  });
  return { root: new X509Certificate(root.certificate), certificate: new X509Certificate(pem) };
}

describe("a root", () => {
  test("is a CA that has signed itself, with a P-256 key and a name of its own", async () => {
    const [one, two] = [await createRoot("Test", 10, 0), await createRoot("Test", 10, 0)];
    const root = new X509Certificate(one.certificate);
    expect(root.ca).toBe(true);
    expect(root.verify(root.publicKey)).toBe(true);
    expect(root.publicKey.asymmetricKeyDetails?.namedCurve).toBe("prime256v1");
    expect(root.checkPrivateKey(createPrivateKey(one.key))).toBe(true);
    expect(root.subject).toMatch(/^CN=Test [0-9a-f]{8}$/);
    expect(root.subject).not.toBe(new X509Certificate(two.certificate).subject);
  });
});

describe("a certificate", () => {
  test("says what it was issued for and nothing else", async () => {
    const { root, certificate } = await issued();
    expect(certificate.checkIssued(root)).toBe(true);
    expect(certificate.verify(root.publicKey)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(certificate.subject).toBe("CN=web1");
    expect(certificate.subjectAltName).toBe("DNS:web1.example.org");
    expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
    expect(certificate.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
  });

  test("begins an hour ago, for hosts whose clocks are behind", async () => {
    const { certificate } = await issued();
    const now = Date.now();
    expect(Math.abs(Date.parse(certificate.validFrom) - (now - dayMs / 24))).toBeLessThan(10_000);
    expect(Math.abs(Date.parse(certificate.validTo) - (now + 30 * dayMs))).toBeLessThan(10_000);
  });

  test("of a server or an issuer is for that", async () => {
    expect((await issued({ usage: "serverAuth" })).certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
    expect((await issued({ usage: "issuer" })).certificate.ca).toBe(true);
  });

  test("cannot be issued by what is no CA, or with another key", async () => {
    const root = await createRoot("Test", 10, 1);
    const other = await createRoot("Test", 10, 1);
    const { publicKey } = await generateKeys();
    const pem = await new Issuer({ certificate: root.certificate, key: other.key }).issue({
      name: "web1",
      publicKey,
      usage: "clientAuth",
      alternativeNames: [{ type: "dns", value: "x" }],
      days: 1,
    });
    expect(new X509Certificate(pem).verify(new X509Certificate(root.certificate).publicKey)).toBe(false);
  });
});

describe("a certificate request", () => {
  const request = async (namedCurve = "P-256"): Promise<string> => {
    const keys = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve }, true, ["sign", "verify"]);
    const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" };
    const made = await Pkcs10CertificateRequestGenerator.create({
      name: "CN=root, O=evil",
      keys,
      signingAlgorithm,
    });
    return made.toString("pem");
  };
  const refused = (message: string): unknown =>
    expect.objectContaining({ code: "invalid_argument", message: expect.stringContaining(message) });

  test("gives its key, and nothing of what it says of itself", async () => {
    const publicKey = await requestedKey(await request());
    const { certificate } = await issued({ publicKey });
    expect(certificate.subject).toBe("CN=web1");
  });

  test("that is none is refused", async () => {
    await expect(requestedKey("x")).rejects.toThrow(refused("is malformed"));
    await expect(requestedKey("")).rejects.toThrow(refused("is malformed"));
  });

  test("that was changed is refused", async () => {
    const pem = await request();
    const der = Buffer.from(pem.replaceAll(/-----.*-----|\s/g, ""), "base64");
    // A letter of the name.
    der[der.indexOf("evil")]! ^= 1;
    const changed = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----`;
    await expect(requestedKey(changed)).rejects.toThrow(refused("is not signed with its own key"));
  });

  test("for another kind of key is refused", async () => {
    await expect(requestedKey(await request("P-384"))).rejects.toThrow(refused("is not for a P-256 key"));
  });
});

describe("PEM", () => {
  test("bundles are split into their certificates, whatever is between them", async () => {
    const [one, two] = [(await createRoot("a", 1, 0)).certificate, (await createRoot("b", 1, 0)).certificate];
    expect(splitPem(`# ours\r\n${one}\n\nsubject: x\n${two}`)).toEqual([one.trim(), two.trim()]);
    expect(splitPem("")).toEqual([]);
    expect(splitPem((await createRoot("a", 1, 0)).key)).toEqual([]);
    expect(splitPem("-----BEGIN CERTIFICATE-----\nabc")).toEqual([]);
  });

  test("a key's fingerprint is that of its SubjectPublicKeyInfo", async () => {
    const { certificate } = await issued();
    const der = certificate.publicKey.export({ format: "der", type: "spki" });
    expect(keyFingerprint(certificate)).toBe(createHash("sha256").update(der).digest("hex"));
  });
});
