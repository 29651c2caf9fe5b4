/** The change of the CA: with agents and operators over TLS, and killed at every step of its files. */
import { X509Certificate } from "node:crypto";
import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { agentMethods, controllerAgentMethods, Peer } from "@outpost/protocol";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Authorities } from "./authorities.ts";
import { AuthorityCertificate } from "./authority.ts";
import { controllerPaths } from "./directory.ts";
import { ServerCertificate } from "./server-certificate.ts";
import { until } from "./testing/bench.ts";
import { fakeFacts } from "./testing/fake-agent.ts";
import { hello, hostKey, type JoinedHost, RealController } from "./testing/real-controller.ts";

let real: RealController;
beforeEach(async () => {
  real = await RealController.create({ outdatedSpreadMs: 20, certificateCheckMs: 20 });
});
afterEach(() => real[Symbol.asyncDispose]());

const rotate = (step: "begin" | "finish" | "abandon", force = false, ca?: string) => {
  return real.operator(real.init.operator, ca).then(async (client) => {
    try {
      return await client.request("authority.rotate", { step, force });
    } finally {
      await client.close("done");
    }
  });
};

/** An agent that fetches another certificate when it is told to. */
async function renewing(
  host: JoinedHost,
  ca?: string,
  versions: { min: number; max: number } = hello.versions,
) {
  const current = { certificate: host.certificate, key: host.key, authority: host.answer.authority, told: 0 };
  const unused = () => Promise.reject(new Error("not asked for here"));
  const names = Object.keys(agentMethods).filter((name) => name !== "ping");
  const handlers = Object.fromEntries(names.map((name) => [name, unused]));
  const peer: Peer<typeof agentMethods, typeof controllerAgentMethods> = new Peer(
    await real.dial("/agent", host, ca),
    {
      local: agentMethods,
      remote: controllerAgentMethods,
      handlers: {
        ...handlers,
        "certificate.outdated": async () => {
          current.told++;
          const { request, key } = await hostKey();
          Object.assign(current, { key }, await peer.request("certificate.renew", { request }));
        },
      } as never,
    },
  );
  await peer.request("hello", { ...hello, versions, facts: fakeFacts });
  await peer.request("inventory", { jobs: [], last: true });
  return { peer, current };
}

const issuedBy = (certificate: string, authority: string): boolean =>
  new AuthorityCertificate(authority).hasSigned(new X509Certificate(certificate));

describe("over TLS", () => {
  test("from the first step to the last: nobody is cut off, and the former CA is worth nothing", async () => {
    const [one, two] = [await real.join("one"), await real.join("two")];
    const first = await renewing(one);
    const old = real.init.authority;
    const late = await real.secret();

    const begun = await rotate("begin");
    expect(begun.authorities.map(({ state }) => state)).toEqual(["current", "incoming"]);
    expect(begun.waiting).toEqual(["one", "two"]);
    const incoming = await real.read("ca-incoming.crt");
    // The one that is there is told, and fetches another; the one that is away waits.
    await until(() => issuedBy(first.current.certificate, incoming), "the renewal");
    await expect(rotate("finish")).rejects.toMatchObject({ code: "conflict", data: { hosts: ["two"] } });
    expect(first.current.authority).toBe(old + incoming);
    // It is told when it comes, and comes with its old certificate.
    const second = await renewing(two);
    await until(() => issuedBy(second.current.certificate, incoming), "the second renewal");
    // A host that joins now has the new one at once, and finds the controller by the token of the current CA.
    const three = await real.join("three");
    expect(issuedBy(three.certificate, incoming)).toBe(true);
    // New certificates let in while the server still shows the old one.
    const again = await renewing({ ...three, ...three.answer });

    const operator = await real.operator();
    const finished = await operator.request("authority.rotate", { step: "finish", force: false });
    expect(finished).toMatchObject({ authorities: [{ state: "current" }], waiting: [] });
    expect(finished.authorities[0]?.fingerprint).toBe(new AuthorityCertificate(incoming).id);
    // Connections go on, and are told to forget the former CA.
    await until(() => first.current.authority === incoming, "the last renewal");
    for (const { peer } of [first, second, again]) expect(peer.isOpen).toBe(true);
    expect(operator.isOpen).toBe(true);

    expect((await readdir(real.directory)).filter((file) => file.startsWith("ca"))).toEqual(
      expect.arrayContaining(["ca.crt", "ca.key", "ca-former.crt"]),
    );
    expect(await real.read("ca.crt")).toBe(incoming);
    expect(issuedBy(await real.read("server.crt"), incoming)).toBe(true);
    // The server shows the new one; who believes the former only does not come in, who has the bundle does.
    expect(await real.refusal("/operator", real.init.operator, old)).toMatchObject({ code: "denied" });
    await (await real.operator(real.init.operator, old + incoming)).close("bye");
    await (await renewing({ ...one, ...first.current }, incoming)).peer.close("bye");
    // A certificate of the former CA is told so.
    expect((await real.refusal("/agent", one, incoming)).message).toContain("former CA");
    // Tokens of before are revoked.
    const { request } = await hostKey();
    await expect(real.enrol({ secret: late, name: "late", request }, incoming)).rejects.toMatchObject({
      data: { reason: "revoked" },
      message: expect.stringContaining("the change of the CA"),
    });
    await operator.close("bye");
    // And so it stays.
    await real.restart();
    await (await real.operator(real.init.operator, incoming)).close("bye");
  });

  test("finished by force: who waits is cut off and has to join again", async () => {
    const old = await real.join("old");
    // An agent of version 1 knows nothing of it.
    const { peer, current } = await renewing(old, undefined, { min: 1, max: 1 });
    await rotate("begin");
    await expect(rotate("finish")).rejects.toMatchObject({ code: "conflict" });
    const incoming = await real.read("ca-incoming.crt");
    await rotate("finish", true);
    expect((await peer.closed).message).toContain("trusted no more; join again");
    expect(current.told).toBe(0);
    expect((await real.refusal("/agent", old, incoming)).message).toContain("former CA");
  });

  test("abandoned: hosts go back to the old CA, and until they have, the other is trusted", async () => {
    const [one, two] = [await real.join("one"), await real.join("two")];
    await rotate("begin");
    const incoming = await real.read("ca-incoming.crt");
    const [first, second] = [await renewing(one), await renewing(two)];
    await until(() => issuedBy(first.current.certificate, incoming), "the renewal");
    await until(() => issuedBy(second.current.certificate, incoming), "the second renewal");
    await second.peer.close("away");
    const abandoned = await rotate("abandon");
    expect(abandoned.authorities.map(({ state }) => state)).toEqual(["current", "abandoned"]);
    expect((await readdir(real.directory)).some((file) => file.startsWith("ca-incoming"))).toBe(false);
    await until(() => issuedBy(first.current.certificate, real.init.authority), "the way back");
    expect(first.current.authority).toBe(real.init.authority);
    await real.restart();
    // The one that was away comes with what it has, and is told.
    const back = await renewing({ ...two, ...second.current });
    await until(() => issuedBy(back.current.certificate, real.init.authority), "the second way back");
    const show = () => real.ask((client) => client.request("authority.show", {}));
    for (;;) {
      const { authorities } = await show();
      if (authorities.length === 1) break;
    }
    expect((await real.refusal("/agent", { ...two, ...second.current })).code).toBe("denied");
  });

  test("steps that do not fit are refused", async () => {
    await expect(rotate("finish")).rejects.toMatchObject({ code: "conflict" });
    await expect(rotate("abandon")).rejects.toMatchObject({ code: "conflict" });
    await rotate("begin");
    await expect(rotate("begin")).rejects.toMatchObject({ code: "conflict" });
    await real.restart();
    const { authorities, operators } = await real.ask((client) => client.request("authority.show", {}));
    expect(authorities.map(({ state }) => state)).toEqual(["current", "incoming"]);
    expect(operators).toBe(new AuthorityCertificate(real.init.operators.certificate).id);
  });
});

describe("killed in the middle", () => {
  const log = pino({ level: "silent" });
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "outpost-rotation-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  /** The files of the authorities, as they are after each write of `step`. */
  async function snapshots(step: (authorities: Authorities) => Promise<void>): Promise<string[]> {
    const source = join(directory, "source");
    await cp(real.directory, source, { recursive: true });
    const paths = controllerPaths(source);
    const before = await files(source);
    await step(await Authorities.open(paths));
    const after = await files(source);
    // Every state between the two that the order of the writes allows: each file as before or as after. The order makes
    // most of them impossible; that all of them start is more than is needed, except where the key is alone.
    const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
      (file) => before.get(file) !== after.get(file),
    );
    const states: string[] = [];
    for (let mask = 0; mask < 2 ** changed.length; mask++) {
      const state = join(directory, `state-${String(mask)}`);
      await cp(real.directory, state, { recursive: true });
      for (const [at, file] of changed.entries()) {
        const text = ((mask >> at) & 1) === 1 ? after.get(file) : before.get(file);
        if (text === undefined) await rm(join(state, file), { force: true });
        else await writeFile(join(state, file), text, { mode: 0o600 });
      }
      states.push(state);
    }
    return states;
  }

  async function files(source: string): Promise<Map<string, string>> {
    const names = (await readdir(source)).filter((file) => /\.(crt|key)$/.test(file));
    const texts = names.map(async (file) => [file, await readFile(join(source, file), "utf8")] as const);
    return new Map(await Promise.all(texts));
  }

  /** What a start finds: CAs that have their own key, and a server's certificate of the current one. */
  async function starts(state: string): Promise<Authorities> {
    const paths = controllerPaths(state);
    const authorities = await Authorities.open(paths);
    const { current, signing } = authorities;
    for (const authority of [current, signing]) {
      const { certificate } = await authority.issueServer(["x"]);
      expect(authority.hasSigned(new X509Certificate(certificate)), state).toBe(true);
    }
    const server = await ServerCertificate.open(paths, current, log);
    expect(current.hasSigned(new X509Certificate(server.credentials.certificate))).toBe(true);
    return authorities;
  }

  test("begin", async () => {
    for (const state of await snapshots((authorities) => authorities.begin())) {
      const authorities = await starts(state);
      await authorities.begin().catch((error: unknown) => expect(error).toMatchObject({ code: "conflict" }));
      expect(authorities.incoming).toBeDefined();
    }
  });

  test("finish: in the order in which it writes, and the old key is gone in the end", async () => {
    const paths = controllerPaths(join(directory, "order"));
    await cp(real.directory, paths.root, { recursive: true });
    await (await Authorities.open(paths)).begin();
    const incoming = new AuthorityCertificate((await files(paths.root)).get("ca-incoming.crt")!);
    const at = async (name: string, change: (state: ReturnType<typeof controllerPaths>) => Promise<void>) => {
      const state = controllerPaths(join(directory, name));
      await cp(paths.root, state.root, { recursive: true });
      await change(state);
      return starts(state.root);
    };
    // Nothing of the current one is touched: the change goes on.
    const former = await at("former", (state) =>
      copyFile(state.authorityCertificate, state.formerCertificate),
    );
    expect(former.incoming?.id).toBe(incoming.id);
    // The key is the incoming one's, and from here on it is finished.
    const key = async (state: ReturnType<typeof controllerPaths>) =>
      copyFile(state.incomingKey, state.authorityKey);
    const both = async (state: ReturnType<typeof controllerPaths>) => {
      await key(state);
      await copyFile(state.incomingCertificate, state.authorityCertificate);
    };
    const alone = async (state: ReturnType<typeof controllerPaths>) => {
      await both(state);
      await rm(state.incomingCertificate);
    };
    for (const [name, change] of Object.entries({ key, both, alone })) {
      const authorities = await at(name, change);
      expect(authorities.current.id, name).toBe(incoming.id);
      expect(authorities.incoming, name).toBeUndefined();
      expect((await files(join(directory, name))).has("ca-incoming.key"), name).toBe(false);
    }
  });

  test("abandon", async () => {
    const authorities = await Authorities.open(controllerPaths(real.directory));
    await authorities.begin();
    for (const state of await snapshots((each) => each.abandon())) {
      const wasWritten = (await files(state)).has("ca-abandoned.crt");
      const opened = await starts(state);
      expect(opened.current.id, state).toBe(authorities.current.id);
      expect(opened.abandoned !== undefined, state).toBe(wasWritten);
      if (wasWritten) expect(opened.incoming, state).toBeUndefined();
    }
  });

  test("at each write, as a full disk does it", async () => {
    const paths = controllerPaths(join(directory, "full"));
    await cp(real.directory, paths.root, { recursive: true });
    const steps = {
      begin: ["ca-incoming.key", "ca-incoming.crt"],
      abandon: ["ca-abandoned.crt"],
      finish: ["ca-former.crt", "ca.key", "ca.crt"],
    } as const;
    for (const step of ["begin", "abandon", "begin", "finish"] as const) {
      for (const file of steps[step]) {
        const authorities = await Authorities.open(paths);
        const before = authorities.signing.id;
        // A write begins with this file, and fails.
        const obstacle = join(paths.root, `${file}.new`);
        await mkdir(obstacle);
        await expect(authorities[step](), `${step} ${file}`).rejects.toThrow("EISDIR");
        await rm(obstacle, { recursive: true });
        const after = await starts(paths.root);
        expect(
          after.ofHosts.map(({ id }) => id),
          `${step} ${file}`,
        ).toContain(before);
      }
      const authorities = await Authorities.open(paths);
      // The last failure came late enough for the next start to complete it.
      if (step === "finish") expect(authorities.incoming).toBeUndefined();
      else await authorities[step]();
      await starts(paths.root);
    }
  });
});
