import { createPrivateKey, webcrypto, X509Certificate } from "node:crypto";
import { newHostId, newOperatorId, OperatorName } from "@outpost/protocol";
import fc from "fast-check";
import * as v from "valibot";
import { beforeAll, describe, expect, test } from "vitest";
import { identityUrn } from "./identity.ts";
import { createRoot, type Credentials, generateKeys, Issuer, type PublicKey } from "./issuing.ts";
import { verifyOperatorChain } from "./operator-chain.ts";
import { acceptInvitation, OperatorsAuthority, type OperatorOwner } from "./operators-authority.ts";
import { keyFingerprint, splitPem } from "./pem.ts";

const owner = (name: string): OperatorOwner => ({ id: newOperatorId(), name: v.parse(OperatorName, name) });
const certificateOf = ({ certificate }: Credentials): X509Certificate => new X509Certificate(certificate);
const chain = (...pems: string[]): Uint8Array[] =>
  pems.flatMap(splitPem).map((pem) => new X509Certificate(pem).raw);

const dayMs = 24 * 60 * 60 * 1000;
const ada = owner("ada");
const grace = owner("grace@example.org");
let authority: OperatorsAuthority;
let root: X509Certificate;
let first: Credentials;
let invitation: Credentials;
let invited: Credentials;

beforeAll(async () => {
  authority = await OperatorsAuthority.create();
  root = certificateOf(authority.credentials);
  first = await authority.issueOperator(ada);
  invitation = await authority.invite(grace);
  invited = await acceptInvitation(invitation, grace);
});

const verify = (certificates: readonly Uint8Array[], now = Date.now(), roots = [root]) =>
  verifyOperatorChain(certificates, roots, now);
const refused = (message: string): unknown =>
  expect.objectContaining({
    code: "denied",
    data: { reason: "certificate" },
    message: expect.stringContaining(message),
  });

/** A certificate that an issuer would not write by itself. */
async function issue(
  issuer: Credentials,
  options: Partial<Parameters<Issuer["issue"]>[0]>,
): Promise<Credentials> {
  const { publicKey, key } = await generateKeys();
  const alternativeNames = [{ type: "url", value: identityUrn({ kind: "operator", id: ada.id }) } as const];
  const certificate = await new Issuer(issuer).issue({
    name: "ada",
    publicKey,
    usage: "clientAuth",
    alternativeNames,
    days: 1,
    ...options,
  });
  return { certificate, key };
}

describe("an operator is who", () => {
  test("has a certificate of the authority", () => {
    const found = verify(chain(first.certificate));
    expect(found).toMatchObject({ ...ada, key: keyFingerprint(certificateOf(first)) });
    expect(found.publicKey.equals(certificateOf(first).publicKey)).toBe(true);
    expect(found.expiresAt).toBe(Date.parse(certificateOf(first).validTo));
  });

  test("was invited, and has made a certificate with the invitation", () => {
    const certificates = chain(invited.certificate);
    expect(certificates).toHaveLength(2);
    expect(verify(certificates)).toMatchObject(grace);
    // The key is theirs alone: neither the authority's nor the invitation's.
    expect(createPrivateKey(invited.key).equals(createPrivateKey(invitation.key))).toBe(false);
  });

  test("comes from any authority that is trusted", async () => {
    const other = certificateOf((await OperatorsAuthority.create()).credentials);
    expect(verify(chain(invited.certificate), Date.now(), [other, root])).toMatchObject(grace);
  });
});

describe("nobody is an operator who", () => {
  test("shows nothing, or too much", () => {
    expect(() => verify([])).toThrow(refused("none or too many"));
    expect(() => verify(chain(invited.certificate, authority.credentials.certificate))).toThrow(
      refused("too many"),
    );
  });

  test("shows what is no certificate", () => {
    expect(() => verify([Buffer.from("x")])).toThrow(refused("cannot be read"));
    expect(() => verify([...chain(first.certificate), new Uint8Array()])).toThrow(refused("cannot be read"));
  });

  test("comes from another authority", async () => {
    const other = await OperatorsAuthority.create();
    const firstThere = await other.issueOperator(ada);
    expect(() => verify(chain(firstThere.certificate))).toThrow(refused("does not come from"));
    const elsewhere = await acceptInvitation(await other.invite(ada), ada);
    expect(() => verify(chain(elsewhere.certificate))).toThrow(refused("does not come from"));
    // One with the right invitation beside it that did not sign it.
    const mixed = chain(elsewhere.certificate, invitation.certificate);
    expect(() => verify([mixed[0]!, mixed[2]!])).toThrow(refused("was not signed by the invitation"));
    expect(() => verify(chain(first.certificate), Date.now(), [])).toThrow(refused("does not come from"));
  });

  test("leaves the invitation out", () => {
    expect(() => verify(chain(invited.certificate).slice(0, 1))).toThrow(refused("does not come from"));
  });

  test("used an invitation for another name", async () => {
    const taken = await acceptInvitation(invitation, { ...grace, name: ada.name });
    expect(() => verify(chain(taken.certificate))).toThrow(refused("is for grace@example.org, not for ada"));
  });

  test("used an invitation for another id", async () => {
    const taken = await acceptInvitation(invitation, { ...grace, id: ada.id });
    expect(() => verify(chain(taken.certificate))).toThrow(refused("the invitation is for"));
  });

  test("has a certificate that somebody else's invitation signed", async () => {
    const mine = await acceptInvitation(await authority.invite(ada), ada);
    const [, invitationOfAda] = chain(mine.certificate);
    const taken = await acceptInvitation(invitation, ada);
    expect(() => verify([chain(taken.certificate)[0]!, invitationOfAda!])).toThrow(
      refused("was not signed by the invitation"),
    );
  });

  test("has a certificate that another operator signed", async () => {
    const forged = await issue(first, {});
    expect(() => verify(chain(forged.certificate, first.certificate))).toThrow(refused("the invitation"));
    const third = await issue(invited, { name: grace.name });
    const certificates = chain(third.certificate, invited.certificate);
    expect(() => verify(certificates.slice(0, 2))).toThrow(refused("does not come from"));
    expect(() => verify(certificates)).toThrow(refused("too many"));
  });

  test("uses an invitation itself, or invites further", async () => {
    expect(() => verify(chain(invitation.certificate))).toThrow(refused("not one of an operator"));
    const further = await issue(invitation, { usage: "issuer", name: grace.name });
    expect(() => verify(chain(further.certificate, invitation.certificate))).toThrow(
      refused("not one of an operator"),
    );
  });

  test("is a host, or a server", async () => {
    const ca = await createRoot("controller", 10, 0);
    const alternativeNames = [
      { type: "url", value: identityUrn({ kind: "host", id: newHostId() }) } as const,
    ];
    const host = await issue(ca, { name: "web1", alternativeNames });
    expect(() => verify(chain(host.certificate))).toThrow(refused("does not come from"));
    // Not even if both authorities were one.
    expect(() => verify(chain(host.certificate), Date.now(), [certificateOf(ca)])).toThrow(
      refused("names no operator"),
    );
    const server = await issue(authority.credentials, { usage: "serverAuth" });
    expect(() => verify(chain(server.certificate))).toThrow(refused("not one of an operator"));
  });

  test("was made by a controller's CA", async () => {
    const ca = await createRoot("controller", 10, 0);
    const made = await issue(ca, {});
    expect(() => verify(chain(made.certificate))).toThrow(refused("does not come from"));
  });

  test.each<[string, { name?: string; alternativeNames?: { type: "url" | "dns"; value: string }[] }]>([
    ["no identity", { alternativeNames: [{ type: "dns", value: "ada" }] }],
    [
      "two identities",
      {
        alternativeNames: [ada, grace].map(({ id }) => ({
          type: "url",
          value: identityUrn({ kind: "operator", id }),
        })),
      },
    ],
    [
      "an identity inside another text",
      {
        alternativeNames: [
          { type: "url", value: `https://x/, URI:${identityUrn({ kind: "operator", id: ada.id })}` },
        ],
      },
    ],
    ["a name that is none", { name: "ada lovelace" }],
    ["a name with a line break", { name: "ada\nCN=root" }],
  ])("is called nothing: %s", async (_name, options) => {
    const made = await issue(authority.credentials, options);
    expect(() => verify(chain(made.certificate))).toThrow(refused("names no operator"));
  });

  test.each<[string, webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams | { name: "Ed25519" }]>([
    ["P-384", { name: "ECDSA", namedCurve: "P-384" }],
    [
      "RSA",
      {
        name: "RSASSA-PKCS1-v1_5",
        modulusLength: 1024,
        publicExponent: Uint8Array.of(1, 0, 1),
        hash: "SHA-256",
      },
    ],
    ["Ed25519", { name: "Ed25519" }],
  ])("chose a key of another kind: %s", async (_name, algorithm) => {
    const pair = (await webcrypto.subtle.generateKey(algorithm, true, [
      "sign",
      "verify",
    ])) as webcrypto.CryptoKeyPair;
    const { publicKey }: { publicKey: PublicKey } = pair;
    const made = await issue(authority.credentials, { publicKey });
    expect(() => verify(chain(made.certificate))).toThrow(refused("not one of an operator"));
  });

  test("was one, or will be", () => {
    const { validFrom, validTo } = certificateOf(first);
    expect(() => verify(chain(first.certificate), Date.parse(validTo) + 1)).toThrow(
      refused("has expired on"),
    );
    expect(() => verify(chain(first.certificate), Date.parse(validFrom) - 1)).toThrow(
      refused("is a clock wrong?"),
    );
    expect(verify(chain(first.certificate), Date.parse(validTo))).toMatchObject(ada);
    expect(verify(chain(first.certificate), Date.parse(validFrom))).toMatchObject(ada);
  });

  test("was invited by an invitation or an authority that is no more", async () => {
    const brief = await issue(authority.credentials, { usage: "issuer" });
    const made = await acceptInvitation(brief, ada);
    const inTwoDays = Date.now() + 2 * dayMs;
    expect(verify(chain(made.certificate)).expiresAt).toBe(Date.parse(certificateOf(brief).validTo));
    expect(() => verify(chain(made.certificate), inTwoDays)).toThrow(refused("has expired"));
    const old = new OperatorsAuthority(await createRoot("old", 1, 1));
    const oldRoot = [certificateOf(old.credentials)];
    const certificates = chain((await old.issueOperator(ada)).certificate);
    expect(verify(certificates, Date.now(), oldRoot)).toMatchObject(ada);
    expect(() => verify(certificates, inTwoDays, oldRoot)).toThrow(refused("has expired"));
  });

  test("changed any bit of a certificate", () => {
    const certificates = chain(invited.certificate);
    fc.assert(
      fc.property(fc.nat(1), fc.nat(), fc.nat(7), (which, at, bit) => {
        const changed = Buffer.from(certificates[which]!);
        const offset = at % changed.length;
        changed[offset] = changed[offset]! ^ (1 << bit);
        expect(() => verify(certificates.with(which, changed))).toThrow(refused(""));
      }),
      { numRuns: 500 },
    );
  });
});
