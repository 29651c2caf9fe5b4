/** Operators made, signed in, refused and renewed, over real TLS. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRoot, Issuer, OperatorsAuthority, splitPem } from "@outpost/access";
import { newOperatorId, newTokenId, type OperatorInfo } from "@outpost/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connect } from "./connect.ts";
import { type Context, readContext, writeContext } from "./context.ts";
import { decodeBundle, encodeBundle } from "./sign-in-bundle.ts";
import { signIn } from "./sign-in.ts";
import { testOperator } from "./testing/operator.ts";
import { TlsController } from "./testing/tls-controller.ts";

const minuteMs = 60_000;
let controller: TlsController;
let root: string;
let first: Context;
const removed: string[] = [];

beforeEach(async () => {
  removed.length = 0;
  controller = await TlsController.start({
    "operator.add": ({ name, ttlMs }) => ({
      added: { id: newOperatorId(), name, state: "invited", createdAt: 0, invitedUntil: Date.now() + ttlMs },
    }),
    "operator.remove": ({ name }) => {
      removed.push(name);
      return {
        removed: { id: newOperatorId(), name, state: "invited", createdAt: 0 } satisfies OperatorInfo,
      };
    },
    "host.list": () => ({ hosts: [] }),
  });
  root = await mkdtemp(join(tmpdir(), "outpost-sign-in-"));
  first = await controller.context();
});

afterEach(async () => {
  await controller[Symbol.asyncDispose]();
  await rm(root, { recursive: true });
});

async function bundleFor(name: string, ttlMs = minuteMs, context = first): Promise<string> {
  await using client = await connect({ context });
  return (await client.administration.addOperator({ name, ttlMs })).bundle;
}

const directory = (name = "prod"): string => join(root, name);

describe("a bundle", () => {
  test("becomes a context: the key is made here, and the controller never sees the authority's", async () => {
    const bundle = await bundleFor("ada");
    const context = await signIn({ bundle, directory: directory() });
    expect(await readContext(directory())).toEqual(context);
    expect(context).toMatchObject({ name: "ada", controller: controller.url, operators: first.operators });
    expect(context.operatorsKey).toBeUndefined();
    const { invitation } = decodeBundle(bundle);
    expect(context.key).not.toBe(invitation.key);
    expect(splitPem(context.certificate)).toHaveLength(2);
    const [leaf] = splitPem(context.certificate).map((pem) => new X509Certificate(pem));
    expect(leaf!.checkPrivateKey(createPrivateKey(context.key))).toBe(true);
    expect((await stat(join(directory(), "operator.key"))).mode & 0o777).toBe(0o600);
    expect(await readdir(root)).toEqual(["prod"]);
    await using client = await connect({ contextDirectory: directory() });
    expect(await client.hosts()).toEqual([]);
  });

  test("is used once: somebody else's key is refused, with the reason", async () => {
    const bundle = await bundleFor("ada");
    await signIn({ bundle, directory: directory() });
    await expect(signIn({ bundle, directory: directory("other") })).rejects.toMatchObject({
      code: "denied",
      message: expect.stringContaining("used already"),
    });
    expect(await readdir(root)).toEqual(["prod"]);
  });

  test("can be used again when the controller did not answer: with the same key", async () => {
    const bundle = await bundleFor("ada");
    let isCut = true;
    controller.handlers = {
      ...controller.handlers,
      hello: () => {
        if (isCut) controller.cut();
        return new Promise(() => {});
      },
    };
    await expect(signIn({ bundle, directory: directory() })).rejects.toMatchObject({ code: "disconnected" });
    // The controller has its key now.
    expect(controller.keys.size).toBe(2);
    isCut = false;
    delete controller.handlers.hello;
    const context = await signIn({ bundle, directory: directory() });
    expect(await readContext(directory())).toEqual(context);
    expect(await readdir(root)).toEqual(["prod"]);
  });

  test("that has expired is refused without asking", async () => {
    const bundle = encodeBundle({ ...decodeBundle(await bundleFor("ada")), expiresAt: Date.now() - 1 });
    const before = controller.connections;
    await expect(signIn({ bundle, directory: directory() })).rejects.toMatchObject({
      code: "denied",
      message: expect.stringMatching(/has expired.*outpost operator add ada/),
    });
    expect(controller.connections).toBe(before);
  });

  test.each<[string, (bundle: ReturnType<typeof decodeBundle>) => Promise<object>]>([
    ["another name", async () => ({ name: "root" })],
    ["another id", async () => ({ id: newOperatorId() })],
    [
      "another authority",
      async () => ({ operators: (await OperatorsAuthority.create()).credentials.certificate }),
    ],
    [
      "an invitation of somebody's own",
      async ({ id, name }) => ({
        invitation: await (await OperatorsAuthority.create()).invite({ id, name }),
      }),
    ],
    ["a broken certificate", async ({ invitation }) => ({ invitation: { ...invitation, certificate: "x" } })],
  ])("with %s is damaged, and leaves nothing", async (_what, change) => {
    const bundle = decodeBundle(await bundleFor("ada"));
    const changed = encodeBundle({ ...bundle, ...(await change(bundle)) });
    const before = controller.connections;
    await expect(signIn({ bundle: changed, directory: directory() })).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining("damaged"),
    });
    expect(controller.connections).toBe(before);
    expect(await readdir(root)).toEqual([]);
  });

  test("replaces a context only when forced, and never the key of another authority of operators", async () => {
    await signIn({ bundle: await bundleFor("ada"), directory: directory() });
    const bundle = await bundleFor("bob");
    await expect(signIn({ bundle, directory: directory() })).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining(`the context of ada at ${controller.url}`),
    });
    await signIn({ bundle, directory: directory(), force: true });
    expect(await readContext(directory())).toMatchObject({ name: "bob" });

    const kept = { ...first, name: (await readContext(directory())).name };
    await writeContext(directory("first"), kept);
    await signIn({ bundle: await bundleFor("eve"), directory: directory("first"), force: true });
    expect(await readContext(directory("first"))).toMatchObject({
      name: "eve",
      operatorsKey: first.operatorsKey,
    });

    await writeContext(directory("elsewhere"), (await testOperator()).context);
    await expect(
      signIn({ bundle: await bundleFor("dan"), directory: directory("elsewhere"), force: true }),
    ).rejects.toMatchObject({ code: "conflict", message: expect.stringContaining("operators.key") });
  });
});

describe("adding an operator", () => {
  test("needs the key of the operators' authority, and does not ask without it", async () => {
    const { operatorsKey: _, ...without } = first;
    let asked = false;
    controller.handlers["operator.add"] = () => {
      asked = true;
      throw new Error("asked");
    };
    await using client = await connect({ context: without });
    await expect(client.administration.addOperator({ name: "ada", ttlMs: minuteMs })).rejects.toMatchObject({
      code: "denied",
      data: { reason: "operators_key" },
    });
    expect(asked).toBe(false);
  });

  test("with a key that is none is taken back", async () => {
    await using client = await connect({ context: { ...first, operatorsKey: "no key" } });
    await expect(client.administration.addOperator({ name: "ada", ttlMs: minuteMs })).rejects.toThrow();
    expect(removed).toEqual(["ada"]);
  });

  test("says how the controller is reached by others", async () => {
    const reach = "wss://outpost.example.com:7443";
    expect(decodeBundle(await bundleFor("ada", minuteMs, { ...first, reach })).controller).toBe(reach);
    await using client = await connect({ context: { ...first, reach } });
    const added = await client.administration.addOperator({
      name: "bob",
      ttlMs: minuteMs,
      controller: "wss://x:1",
    });
    expect(decodeBundle(added.bundle).controller).toBe("wss://x:1");
    await expect(
      client.administration.addOperator({ name: "eve", ttlMs: minuteMs, controller: "http://x" }),
    ).rejects.toMatchObject({ code: "invalid_argument" });
  });
});

describe("connecting", () => {
  /** The context with a certificate that ends so many days from now. */
  async function ending(days: number, operatorsKey: string | undefined): Promise<Context> {
    const { publicKey, key } = await (await import("@outpost/access")).generateKeys();
    const alternativeNames = [{ type: "url", value: `urn:outpost:operator:${newOperatorId()}` }] as const;
    const issuer = new Issuer(controller.operators.credentials);
    const { name } = first;
    const certificate = await issuer.issue({ name, publicKey, usage: "clientAuth", alternativeNames, days });
    return { ...first, certificate, key, operatorsKey };
  }

  test("with a certificate that has expired says when, and what to do, without asking", async () => {
    const context = await ending(-0.01, undefined);
    await expect(connect({ context })).rejects.toMatchObject({
      code: "denied",
      message: expect.stringMatching(/has expired on 20.*outpost operator add me.*outpost sign-in/),
      data: { reason: "expired" },
    });
    expect(controller.connections).toBe(0);
  });

  test("whoever holds the operators' key makes an ending certificate anew, for the same key", async () => {
    const context = await ending(-0.01, first.operatorsKey);
    await writeContext(directory(), context);
    {
      await using client = await connect({ contextDirectory: directory() });
      expect(await client.hosts()).toEqual([]);
    }
    const renewed = await readContext(directory());
    expect(renewed.certificate).not.toBe(context.certificate);
    const [before, after] = [context, renewed].map(({ certificate }) => new X509Certificate(certificate));
    expect(after!.publicKey.equals(before!.publicKey)).toBe(true);
    expect(after!.subjectAltName).toBe(before!.subjectAltName);
    expect(Date.parse(after!.validTo)).toBeGreaterThan(Date.now() + 300 * 24 * 60 * minuteMs);
    expect(renewed.operatorsKey).toBe(first.operatorsKey);
  });

  test("one that lasts is left alone", async () => {
    await writeContext(directory(), first);
    await using _client = await connect({ contextDirectory: directory() });
    expect(await readContext(directory())).toEqual(first);
  });

  test("as somebody who was removed gives the reason, and what to do", async () => {
    controller.refusal = "the operator me was removed by ada on 2026-03-01";
    await expect(connect({ context: first })).rejects.toMatchObject({
      code: "denied",
      message: expect.stringMatching(/was removed by ada.*outpost operator add me.*outpost sign-in/),
    });
  });

  test("to a controller with another CA says so", async () => {
    const other = await createRoot("Other", 1, 0);
    await expect(connect({ context: { ...first, authority: other.certificate } })).rejects.toMatchObject({
      code: "denied",
      message: expect.stringContaining("another controller, or one set up anew"),
    });
  });

  test("while the CA is changed, learns of the next one", async () => {
    const next = await createRoot("Next", 1, 0);
    controller.hello = { authority: first.authority + next.certificate };
    await writeContext(directory(), first);
    {
      await using client = await connect({ contextDirectory: directory() });
      // Whoever is invited now has to know both, too.
      const { bundle } = await client.administration.addOperator({ name: "ada", ttlMs: minuteMs });
      expect(decodeBundle(bundle).ca).toBe(first.authority + next.certificate);
    }
    expect(await readFile(join(directory(), "ca.crt"), "utf8")).toBe(first.authority + next.certificate);
    await using _again = await connect({ contextDirectory: directory() });
  });

  test("with a damaged key says so", async () => {
    await expect(connect({ context: { ...first, key: "x" } })).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining("sign in anew"),
    });
  });

  test("a copy of the folder is the same operator", async () => {
    await writeContext(directory(), first);
    await cp(directory(), directory("laptop"), { recursive: true });
    await using client = await connect({ contextDirectory: directory("laptop") });
    expect(await client.hosts()).toEqual([]);
  });
});

describe("a token", () => {
  const create = async (text: string): Promise<{ token: string; revoked: string[] }> => {
    const revoked: string[] = [];
    controller.handlers = {
      ...controller.handlers,
      "token.create": ({ uses }) => ({ id: newTokenId(), token: text, expiresAt: 0, uses }),
      "token.revoke": ({ id }) => {
        revoked.push(id);
        const about = { createdAt: 0, createdBy: "me", expiresAt: 0, uses: 1, used: 0, labels: {} };
        return { token: { id, ...about, quarantine: false, revokedAt: 1 } };
      },
    };
    await using client = await connect({ context: first });
    return await client.administration.createToken({ ttlMs: minuteMs }).then(
      ({ token }) => ({ token, revoked }),
      (error: unknown) => {
        expect(String(error)).not.toContain(text);
        throw Object.assign(error as Error, { revoked });
      },
    );
  };
  const tokenOf = (operators: Uint8Array): string =>
    `outpost2_${Buffer.concat([Buffer.alloc(32, 1), operators, Buffer.alloc(24, 2)]).toString("base64url")}`;

  test("that names our operators is given", async () => {
    const text = tokenOf(controller.operatorsFingerprint);
    expect(await create(text)).toEqual({ token: text, revoked: [] });
  });

  test.each([
    ["others", tokenOf(Buffer.alloc(32, 3))],
    ["nobody, as those of 0.1", `outpost1_${Buffer.alloc(56).toString("base64url")}`],
    ["nothing", "outpost2_"],
  ])("that names %s is revoked, and not shown", async (_what, text) => {
    await expect(create(text)).rejects.toMatchObject({
      code: "denied",
      message: expect.stringContaining("another authority of operators"),
      revoked: [expect.any(String)],
    });
  });
});

test("a sign-in that was interrupted with another bundle begins anew", async () => {
  const pending = join(root, ".prod.signing-in");
  await writeContext(pending, first);
  await writeFile(join(pending, "operator.crt"), "x");
  const context = await signIn({ bundle: await bundleFor("ada"), directory: directory() });
  expect(context.name).toBe("ada");
  expect(await readdir(root)).toEqual(["prod"]);
});
