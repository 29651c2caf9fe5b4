import { X509Certificate, createPrivateKey, generateKeyPairSync, sign, webcrypto } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type TLSSocket } from "node:tls";
import type { AddressInfo } from "node:net";
import { type Credentials, identityOf } from "@outpost/access";
import { newHostId } from "@outpost/protocol";
import "reflect-metadata";
import { Pkcs10CertificateRequestGenerator } from "@peculiar/x509";
import { describe, expect, test } from "vitest";
import { Authority } from "./authority.ts";

async function requestFor(namedCurve = "P-256"): Promise<{ request: string; key: string }> {
  const keys = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve }, true, ["sign", "verify"]);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: "CN=evil, O=not taken",
    keys,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
  });
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" }).export({
    format: "pem",
    type: "pkcs8",
  });
  return { request: request.toString("pem"), key: key.toString() };
}

async function hostOf(authority: Authority, id: ReturnType<typeof newHostId>): Promise<Credentials> {
  const { request, key } = await requestFor();
  return { certificate: await authority.issueHost({ kind: "host", id }, "web1", request, 30), key };
}

/** A TLS 1.3 handshake both ways; what the server thinks of the client, or the error. */
async function handshake(
  server: Credentials,
  client: Credentials | undefined,
  ca: string,
  servername?: string,
) {
  const seen = Promise.withResolvers<{
    authorized: boolean;
    error: string | undefined;
    peer: X509Certificate | undefined;
  }>();
  const listener = createServer(
    {
      cert: server.certificate,
      key: server.key,
      ca,
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: "TLSv1.3",
    },
    (socket: TLSSocket) => {
      seen.resolve({
        authorized: socket.authorized,
        error: socket.authorized ? undefined : String(socket.authorizationError),
        peer: socket.getPeerX509Certificate(),
      });
      socket.end();
    },
  ).listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const socket = connect({
    host: "127.0.0.1",
    port,
    ca,
    minVersion: "TLSv1.3",
    ...(servername === undefined ? {} : { servername }),
    ...(client === undefined ? {} : { cert: client.certificate, key: client.key }),
  });
  try {
    await once(socket, "secureConnect");
    return await seen.promise;
  } finally {
    socket.destroy();
    listener.close();
  }
}

describe("the CA", () => {
  test("is a CA that may sign leafs and nothing below them", async () => {
    const { authority } = await Authority.create();
    const certificate = new X509Certificate(authority.certificate);
    expect(certificate.ca).toBe(true);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.fingerprint256.replaceAll(":", "").toLowerCase()).toBe(
      Buffer.from(authority.fingerprint).toString("hex"),
    );
  });

  test("signs a host's request, and takes nothing but its key", async () => {
    const { authority } = await Authority.create();
    const { request, key } = await requestFor();
    const id = newHostId();
    const certificate = new X509Certificate(
      await authority.issueHost({ kind: "host", id }, "web1", request, 30),
    );
    expect(certificate.subject).toBe("CN=web1");
    expect(certificate.ca).toBe(false);
    expect(certificate.checkPrivateKey(createPrivateKey(key))).toBe(true);
    expect(certificate.checkIssued(new X509Certificate(authority.certificate))).toBe(true);
    expect(certificate.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
    expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
    expect(identityOf(certificate)).toEqual({ kind: "host", id });
    expect(authority.hasSigned(certificate)).toBe(true);
    expect((await Authority.create()).authority.hasSigned(certificate)).toBe(false);
    expect(Date.parse(certificate.validTo) - Date.now()).toBeLessThanOrEqual(30 * 24 * 60 * 60 * 1000);
  });

  test("refuses requests that are damaged, signed by another key, or for another kind of key", async () => {
    const { authority } = await Authority.create();
    const identity = { kind: "host", id: newHostId() } as const;
    await expect(authority.issueHost(identity, "web1", "nonsense", 30)).rejects.toMatchObject({
      code: "invalid_argument",
    });

    const { request } = await requestFor();
    const der = Buffer.from(request.replace(/-----[^-]+-----|\s/g, ""), "base64");
    const forged = sign(
      "sha256",
      der.subarray(0, 10),
      generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
    );
    const damaged = Buffer.concat([der.subarray(0, der.length - 8), forged.subarray(0, 8)]);
    const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${damaged.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
    await expect(authority.issueHost(identity, "web1", pem, 30)).rejects.toMatchObject({
      code: "invalid_argument",
    });

    const other = await requestFor("P-384");
    await expect(authority.issueHost(identity, "web1", other.request, 30)).rejects.toThrow(
      "is not for a P-256 key",
    );
  });

  test("can be taken up again from its PEM", async () => {
    const { authority, credentials } = await Authority.create();
    const again = Authority.load(credentials);
    expect(again.fingerprint).toEqual(authority.fingerprint);
    const server = new X509Certificate(
      (await again.issueServer(["localhost", "127.0.0.1", "::1"])).certificate,
    );
    expect(server.checkHost("localhost")).toBe("localhost");
    expect(server.checkIP("127.0.0.1")).toBe("127.0.0.1");
    expect(server.checkIP("::1")).toBe("::1");
  });
});

describe("a TLS 1.3 handshake", () => {
  test("both sides accept each other, under every name of the server", async () => {
    const { authority } = await Authority.create();
    const server = await authority.issueServer(["localhost", "127.0.0.1", "controller.example"]);
    const id = newHostId();
    const host = await hostOf(authority, id);
    for (const servername of ["localhost", "controller.example"]) {
      const seen = await handshake(server, host, authority.certificate, servername);
      expect(seen).toMatchObject({ authorized: true });
      expect(identityOf(seen.peer!)).toEqual({ kind: "host", id });
    }
  });

  test("a client of another CA, or with a server's certificate, is not authorised", async () => {
    const { authority } = await Authority.create();
    const { authority: other } = await Authority.create();
    const server = await authority.issueServer(["localhost", "127.0.0.1"]);
    const stranger = await hostOf(other, newHostId());
    const seen = await handshake(server, stranger, authority.certificate);
    expect(seen.authorized).toBe(false);
    expect((await handshake(server, server, authority.certificate)).error).toMatch(/purpose/i);
    expect((await handshake(server, undefined, authority.certificate)).authorized).toBe(false);
  });
});
