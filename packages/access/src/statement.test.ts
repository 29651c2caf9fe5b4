import { createPrivateKey, sign, X509Certificate } from "node:crypto";
import {
  type Authorization,
  encodeCanonical,
  decodeValue,
  type Facts,
  type HostName,
  type JobSpec,
  type Labels,
  OutpostError,
  type Secrets,
  type SessionSpec,
  type Statement,
  type ViewerId,
} from "@outpost/protocol";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { type Bound, boundBytes } from "./bound.ts";
import { createRoot, generateKeys } from "./issuing.ts";
import { OperatorsAuthority } from "./operators-authority.ts";
import { type Request, type Signer, signRequest, type SignOptions } from "./signing.ts";
import { clockSkewMs, maxLifetimeMs, RequestVerifier } from "./statement.ts";
import { testOperators, type TestOperators } from "./testing.ts";

const minuteMs = 60 * 1000;
const dayMs = 24 * 60 * minuteMs;
const start = Date.now();
const spec = { command: { kind: "shell", text: "uptime" } } as unknown as JobSpec;
const secrets: Secrets = {
  salt: new Uint8Array(32).fill(1),
  env: { TOKEN: "correct horse" },
  files: { KEY: Uint8Array.of(1, 2, 3) },
};
const request: Request = {
  action: "invoke",
  subject: "0123456789ab",
  bound: { method: "job.start", spec, collect: false, secrets: undefined },
};
const options: SignOptions = { ...request, targets: "web*,role=db", lifetimeMs: 15 * minuteMs };

let operators: TestOperators;
let ada: Signer;
let eve: Signer;

beforeAll(async () => {
  operators = await testOperators();
  ada = (await operators.add("ada")).signer;
  eve = (await operators.add("eve")).signer;
});

const at = (now: number) => ({ now: () => now });
const verifier = (now = start, name = "web1", labels: Labels = {}, authorities = operators.authority) =>
  new RequestVerifier({ operators: authorities, host: { name: name as HostName, labels }, clock: at(now) });
const signed = (changes: Partial<SignOptions> = {}, signer = ada, now = start): Authorization =>
  signRequest(signer, { ...options, ...changes }, at(now));
const refused = (reason: string, message = ""): unknown =>
  expect.objectContaining({ code: "denied", data: { reason }, message: expect.stringContaining(message) });

test("what was signed is what is verified", () => {
  const authorization = signed();
  const verified = verifier().verify(authorization, request);
  expect(verified).toMatchObject({ name: "ada", issuedAt: start, expiresAt: start + 15 * minuteMs });
  expect(verified.nonce).toHaveLength(16);
  expect(decodeValue(authorization.statement)).toMatchObject({
    action: "invoke",
    operator: "ada",
    subject: "0123456789ab",
    targets: "web*,role=db",
  });
  expect(authorization.signature).toHaveLength(64);
});

test("a host looks at its own facts, and only when it is asked for them", () => {
  let looks = 0;
  const of = (memoryBytes: number): RequestVerifier =>
    new RequestVerifier({
      operators: operators.authority,
      host: {
        name: "web1" as HostName,
        labels: {},
        facts: () => {
          looks++;
          return { memoryBytes } as Facts;
        },
      },
      clock: at(start),
    });
  of(1).verify(signed(), request);
  expect(looks).toBe(0);
  const large = signed({ targets: "web[1-1000] and mem>=8GiB" });
  expect(of(16 * 1024 ** 3).verify(large, request).name).toBe("ada");
  expect(() => of(1024).verify(large, request)).toThrow(refused("host", "has not asked this of web1"));
  // Who knows no facts of itself was not meant by them.
  expect(() => verifier().verify(large, request)).toThrow(refused("host"));
  expect(looks).toBe(2);
});

test("no two requests have one nonce", () => {
  const nonces = Array.from({ length: 50 }, () =>
    Buffer.from(verifier().verify(signed(), request).nonce).toString("hex"),
  );
  expect(new Set(nonces).size).toBe(50);
});

describe("who signed", () => {
  test("nobody", () => {
    expect(() => verifier().verify(undefined, request)).toThrow(
      refused("unsigned", "without an operator's signature"),
    );
  });

  test("an operator of another authority", async () => {
    const stranger = (await (await testOperators()).add("ada")).signer;
    expect(() => verifier().verify(signed({}, stranger), request)).toThrow(refused("certificate"));
  });

  test("a host, with its own certificate", async () => {
    const ca = await createRoot("controller", 10, 0);
    const host = await new OperatorsAuthority(ca).issueOperator({
      id: "0".repeat(12) as never,
      name: "ada" as never,
    });
    const { raw } = new X509Certificate(host.certificate);
    const signer = { ...ada, certificates: [raw], key: createPrivateKey(host.key) };
    expect(() => verifier().verify(signed({}, signer), request)).toThrow(refused("certificate"));
  });

  test("somebody with an operator's certificate and another key", async () => {
    const key = createPrivateKey((await generateKeys()).key);
    expect(() => verifier().verify(signed({}, { ...ada, key }), request)).toThrow(refused("signature"));
    // Also when the certificate is known already.
    const known = verifier();
    known.verify(signed(), request);
    expect(() => known.verify(signed({}, { ...ada, key }), request)).toThrow(refused("signature"));
  });

  test("an operator in another's name", () => {
    const authorization = signed({}, { ...eve, operator: ada.operator });
    expect(() => verifier().verify(authorization, request)).toThrow(
      refused("altered", "not what eve has signed"),
    );
  });

  test("an operator, and another's certificates are shown", () => {
    const authorization = { ...signed({}, eve), certificates: [...ada.certificates] };
    expect(() => verifier().verify(authorization, request)).toThrow(refused("signature"));
  });

  test("an operator of one of two authorities", async () => {
    const other = await testOperators();
    const both = verifier(start, "web1", {}, other.authority + operators.authority);
    expect(both.verify(signed(), request).name).toBe("ada");
    const { signer } = await other.add("joan");
    expect(both.verify(signed({}, signer), request).name).toBe("joan");
  });

  test("nobody, where no authority is known", () => {
    expect(() => verifier(start, "web1", {}, "").verify(signed(), request)).toThrow(refused("certificate"));
  });
});

describe("what was signed", () => {
  const session = { shell: "/bin/sh" } as unknown as SessionSpec;
  const viewer = "0123456789ab" as ViewerId;
  const withSecrets: Bound = { method: "job.start", spec, collect: false, secrets };
  const bounds: readonly (readonly [Bound, ...Bound[]])[] = [
    [
      { method: "job.start", spec, collect: false, secrets: undefined },
      { method: "job.start", spec, collect: true, secrets: undefined },
      {
        method: "job.start",
        spec: { ...spec, command: { kind: "shell", text: "reboot" } },
        collect: false,
        secrets: undefined,
      },
      { method: "job.start", spec: { ...spec, user: "root" } as JobSpec, collect: false, secrets: undefined },
      withSecrets,
      { ...withSecrets, secrets: { ...secrets, env: {}, files: {} } },
    ],
    [
      withSecrets,
      { ...withSecrets, secrets: { ...secrets, salt: new Uint8Array(32) } },
      { ...withSecrets, secrets: { ...secrets, env: { TOKEN: "correct horsf" } } },
      { ...withSecrets, secrets: { ...secrets, env: { TOKEM: "correct horse" } } },
      { ...withSecrets, secrets: { ...secrets, files: { KEY: Uint8Array.of(1, 2, 4) } } },
      { ...withSecrets, secrets: undefined },
    ],
    [{ method: "job.read" }, { method: "job.remove" }, { method: "session.remove" }],
    [
      { method: "job.stop", graceMs: 10_000 },
      { method: "job.stop", graceMs: 0 },
      { method: "job.stop", graceMs: undefined },
    ],
    [
      { method: "session.open", spec: session },
      { method: "session.open", spec: { ...session, shell: "/bin/bash" } as unknown as SessionSpec },
    ],
    [
      { method: "session.attach", viewer, role: "control", takeOver: false },
      { method: "session.attach", viewer, role: "control", takeOver: true },
      { method: "session.attach", viewer, role: "watch", takeOver: false },
      { method: "session.attach", viewer: "0123456789ac" as ViewerId, role: "control", takeOver: false },
      { method: "session.role", viewer, role: "control" },
    ],
  ];

  test.each(bounds.flatMap(([bound, ...others]) => others.map((other) => [bound, other] as const)))(
    "%o is not %o",
    (bound, other) => {
      const authorization = signed({ bound });
      expect(verifier().verify(authorization, { ...request, bound }).name).toBe("ada");
      expect(() => verifier().verify(authorization, { ...request, bound: other })).toThrow(
        refused("altered"),
      );
      expect(() => verifier().verify(signed({ bound: other }), { ...request, bound })).toThrow(
        refused("altered"),
      );
    },
  );

  test("another action or subject", () => {
    expect(() => verifier().verify(signed(), { ...request, action: "job.stop" })).toThrow(refused("altered"));
    expect(() => verifier().verify(signed(), { ...request, subject: "0123456789ac" })).toThrow(
      refused("altered"),
    );
  });

  test("the order of keys does not matter", () => {
    const turned = { command: { text: "uptime", kind: "shell" } } as unknown as JobSpec;
    const bound = { method: "job.start", collect: false, secrets: undefined, spec: turned } as const;
    expect(verifier().verify(signed(), { ...request, bound }).name).toBe("ada");
  });

  test("secrets are bound, and not in what is signed", () => {
    const bytes = Buffer.from(boundBytes(withSecrets));
    expect(bytes.includes("TOKEN")).toBe(false);
    expect(bytes.includes("correct horse")).toBe(false);
    expect(bytes.includes(Buffer.from(secrets.salt))).toBe(false);
  });
});

describe("where", () => {
  test.each<[string, Labels, boolean]>([
    ["web1", {}, true],
    ["db1", { role: "db" }, true],
    ["db1", { role: "web" }, false],
    ["mail", {}, false],
  ])("a request for web*,role=db, sent to %s %o", (name, labels, fits) => {
    const verify = () => verifier(start, name, labels).verify(signed(), request);
    if (fits) expect(verify().name).toBe("ada");
    else expect(verify).toThrow(refused("host", `ada has not asked this of ${name}`));
  });

  test("a request for whoever has the subject, anywhere", () => {
    expect(verifier(start, "mail").verify(signed({ targets: undefined }), request).name).toBe("ada");
  });
});

describe("when", () => {
  const verifyAt = (now: number, changes: Partial<SignOptions> = {}) =>
    verifier(now).verify(signed(changes), request);
  const lifetimeMs = options.lifetimeMs;

  test("until it expires, by a clock that may be fast", () => {
    expect(verifyAt(start + lifetimeMs).name).toBe("ada");
    expect(verifyAt(start + lifetimeMs + clockSkewMs - 1).name).toBe("ada");
    expect(() => verifyAt(start + lifetimeMs + clockSkewMs)).toThrow(
      refused("expired", "the request has expired at"),
    );
  });

  test("from when it was signed, by a clock that may be slow", () => {
    expect(verifyAt(start - clockSkewMs).name).toBe("ada");
    expect(() => verifyAt(start - clockSkewMs - 1)).toThrow(refused("clock", "one of the clocks is wrong"));
  });

  test("not for longer than any request is meant", () => {
    expect(verifyAt(start, { lifetimeMs: maxLifetimeMs }).name).toBe("ada");
    expect(() => verifyAt(start, { lifetimeMs: maxLifetimeMs + 1 })).toThrow(
      refused("altered", "for too long"),
    );
  });

  test("not after the certificate has expired, though it was known before", () => {
    let now = start;
    const clock = { now: () => now };
    const known = new RequestVerifier({
      operators: operators.authority,
      host: { name: "web1" as HostName, labels: {} },
      clock,
    });
    expect(known.verify(signed(), request).name).toBe("ada");
    now = start + 366 * dayMs;
    expect(() => known.verify(signed({}, ada, now), request)).toThrow(refused("certificate", "has expired"));
  });

  test("not before the certificate begins", () => {
    const now = start - 2 * dayMs;
    expect(() => verifier(now).verify(signed({}, ada, now), request)).toThrow(
      refused("certificate", "is a clock wrong?"),
    );
  });
});

describe("on the way", () => {
  test.each<[keyof Statement, unknown]>([
    ["action", "job.stop"],
    ["operator", "eve"],
    ["subject", "0123456789ac"],
    ["targets", "*"],
    ["targets", undefined],
    ["digest", new Uint8Array(32)],
    ["issuedAt", start - 1],
    ["expiresAt", start + 30 * dayMs],
    ["nonce", new Uint8Array(16)],
  ])("another %s: %o", (key, value) => {
    const authorization = signed();
    const statement = encodeCanonical({
      ...(decodeValue(authorization.statement) as Statement),
      [key]: value,
    });
    expect(() => verifier().verify({ ...authorization, statement }, request)).toThrow(refused("signature"));
  });

  test("any bit", () => {
    const authorization = signed();
    const parts = ["statement", "signature"] as const;
    fc.assert(
      fc.property(fc.constantFrom(...parts), fc.nat(), fc.nat(7), (part, offset, bit) => {
        const bytes = Buffer.from(authorization[part]);
        bytes[offset % bytes.length]! ^= 1 << bit;
        expect(() => verifier().verify({ ...authorization, [part]: bytes }, request)).toThrow(
          refused("signature"),
        );
      }),
      { numRuns: 300 },
    );
  });

  test.each([0, 1, 63, 65, 72])("a signature of %i bytes", (length) => {
    const authorization = { ...signed(), signature: new Uint8Array(length).fill(1) };
    expect(() => verifier().verify(authorization, request)).toThrow(refused("signature"));
  });

  test("a signature of another request", () => {
    const { signature } = signed();
    expect(() => verifier().verify({ ...signed(), signature }, request)).toThrow(refused("signature"));
  });
});

describe("what an operator signs that is no statement", () => {
  const signBytes = (statement: Uint8Array): Authorization => {
    const signature = sign("sha256", statement, { key: ada.key, dsaEncoding: "ieee-p1363" });
    return { certificates: [...ada.certificates], statement, signature };
  };

  test.each([
    ["nothing", new Uint8Array()],
    ["no MessagePack", Uint8Array.of(0xc1)],
    ["something else", encodeCanonical([1])],
    ["half of it", encodeCanonical({ action: "invoke", operator: "ada" })],
  ])("%s is refused", (_name, bytes) => {
    const authorization = signBytes(bytes);
    expect(() => verifier().verify(authorization, request)).toThrow(OutpostError);
  });

  test("targets that cannot be read are refused", () => {
    const statement = decodeValue(signed().statement) as Statement;
    const authorization = signBytes(encodeCanonical({ ...statement, targets: "Web 1" }));
    expect(() => verifier().verify(authorization, request)).toThrow(OutpostError);
  });
});
