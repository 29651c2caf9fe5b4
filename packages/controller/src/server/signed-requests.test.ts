/**
 * What an operator has signed, and secrets: they reach the hosts as they came, whatever lies between, and nothing of a
 * secret stays here. Whether a signature is good the hosts say; these verify it as they would.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Bound, RequestVerifier, type Signer, signRequest } from "@outpost/access";
import { testOperators } from "@outpost/access/testing";
import {
  type Action,
  type Authorization,
  type FanOutStartParams,
  type HostName,
  newJobId,
  newSessionId,
  newViewerId,
  OutpostError,
  type Secrets,
  systemClock,
} from "@outpost/protocol";
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { authorizationOf, authorizationText, unpackAuthorization } from "./authorization.ts";
import { Bench, startParams, until } from "./testing/bench.ts";
import { Receiver } from "./testing/receiver.ts";
import { Viewer } from "./testing/viewer.ts";

const web1 = "web1" as HostName;

let signer: Signer;
let verifier: RequestVerifier;

beforeAll(async () => {
  const operators = await testOperators();
  ({ signer } = await operators.add("alice"));
  verifier = new RequestVerifier({
    operators: operators.authority,
    host: { name: web1, labels: { role: "web" } },
    clock: systemClock,
  });
});

function signed(action: Action, subject: string, bound: Bound, targets?: string): Authorization {
  return signRequest(signer, { action, subject, bound, targets, lifetimeMs: 60_000 }, systemClock);
}

/** That the host would take it. */
function verify(
  authorization: Authorization | undefined,
  action: Action,
  subject: string,
  bound: Bound,
): void {
  expect(verifier.verify(authorization, { action, subject, bound })).toMatchObject({ name: "alice" });
}

function signedStart(targets: string, more: Partial<FanOutStartParams> = {}): FanOutStartParams {
  const params = startParams(targets, more);
  const { job, spec, secrets, mode } = params;
  const bound: Bound = { method: "job.start", spec, collect: mode === "collect", secrets };
  return { ...params, authorization: signed("invoke", job, bound, targets) };
}

const secrets: Secrets = {
  salt: new Uint8Array(32).fill(7),
  env: { TOKEN: "hunter2-in-the-environment" },
  files: { KEY: Buffer.from("hunter2-in-a-file") },
};

describe("a start", () => {
  test("carries what was signed to every host, and says whether the controller collects", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    const client = await bench.client();
    for (const mode of ["keep", "collect"] as const) {
      const params = signedStart("role=web", { mode, secrets });
      await client.request("fanout.start", params);
      for (const name of ["web1", "web2"]) {
        await until(() => bench.agent(name).jobs.has(params.job));
        const { authorization, ...start } = bench.agent(name).job(params.job).params;
        expect(start).toMatchObject({ collect: mode === "collect", operator: "alice" });
        expect(start.secrets?.env).toEqual(secrets.env);
        verify(authorization, "invoke", params.job, {
          method: "job.start",
          spec: start.spec,
          collect: start.collect ?? false,
          secrets: start.secrets,
        });
      }
    }
  });

  test("that did not arrive is sent again with it, also by the controller that follows", async () => {
    await using bench = await Bench.create(["web1"]);
    const agent = bench.agent("web1");
    for (const isKilled of [false, true]) {
      const client = await bench.client();
      const params = signedStart("web1");
      await losingStart(bench, () => client.request("fanout.start", params));
      if (isKilled) await bench.kill();
      await bench.connect("web1");
      await until(() => agent.jobs.has(params.job));
      const { spec, authorization } = agent.job(params.job).params;
      verify(authorization, "invoke", params.job, {
        method: "job.start",
        spec,
        collect: false,
        secrets: undefined,
      });
      agent.job(params.job).end();
      await until(() => bench.services.fanOuts.find(params.job)!.isEnded);
      expect(bench.services.fanOuts.find(params.job)!.record.authorization).toBeUndefined();
    }
  });
});

/** A start of which web1 does not hear: its connection ends with it. */
async function losingStart(bench: Bench, start: () => Promise<unknown>): Promise<void> {
  const { presence } = bench.services;
  bench.agent("web1").losesStart = true;
  await start();
  await until(() => presence.link(presence.hostNamed(web1)!.id) === undefined);
  expect(bench.agent("web1").losesStart).toBe(false);
}

describe("in the catalogue", () => {
  test("whatever was signed comes back as it was, byte for byte", () => {
    const bytes = (maxLength: number, minLength = 0) => fc.uint8Array({ minLength, maxLength });
    const anything = fc.record({
      certificates: fc.array(bytes(300), { minLength: 1, maxLength: 2 }),
      statement: bytes(2_000),
      signature: bytes(64),
    });
    const same = (left: Uint8Array, right: Uint8Array): boolean => Buffer.compare(left, right) === 0;
    fc.assert(
      fc.property(anything, (authorization) => {
        const back = authorizationOf(authorizationText(authorization))!;
        expect(back.certificates.length).toBe(authorization.certificates.length);
        expect(back.certificates.every((each, index) => same(each, authorization.certificates[index]!))).toBe(
          true,
        );
        expect(same(back.statement, authorization.statement)).toBe(true);
        expect(same(back.signature, authorization.signature)).toBe(true);
      }),
    );
    expect(authorizationOf(authorizationText(undefined))).toBeUndefined();
    expect(() => unpackAuthorization(Buffer.from([0x80]))).toThrow(
      expect.objectContaining({ code: "internal" }),
    );
  });
});

describe("secrets", () => {
  test("are sent again while the controller lives, and forgotten when every host has answered", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    const client = await bench.client();
    const params = signedStart("web*", { secrets });
    await losingStart(bench, () => client.request("fanout.start", params));
    const fanOut = bench.services.fanOuts.find(params.job)!;
    await until(() => fanOut.job("web2" as HostName)!.status.state === "running");
    expect(fanOut.secrets?.env).toEqual(secrets.env);
    await bench.connect("web1");
    await until(() => bench.agent("web1").jobs.has(params.job));
    expect(bench.agent("web1").job(params.job).params.secrets).toMatchObject({ env: secrets.env });
    await until(() => fanOut.job(web1)!.status.state === "running");
    await until(() => fanOut.secrets === undefined);
  });

  test("are forgotten when it is too late to start anything", async () => {
    await using bench = await Bench.create(["web1"], { startExpiryMs: 50 });
    const client = await bench.client();
    const params = signedStart("web1", { secrets });
    await losingStart(bench, () => client.request("fanout.start", params));
    await until(() => bench.services.fanOuts.find(params.job)!.secrets === undefined);
    expect(bench.services.fanOuts.find(params.job)!.jobs[0]!.status.state).toBe("pending");
  });

  test("a start that the controller did not survive is settled, and says so", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const params = signedStart("web1", { secrets });
    await losingStart(bench, () => client.request("fanout.start", params));
    await bench.kill();
    await bench.connect("web1");
    const again = await bench.client();
    await again.request("fanout.wait", { job: params.job, any: false });
    const { jobs } = await again.request("fanout.show", { job: params.job });
    expect(jobs[0]!.status).toMatchObject({
      state: "failed",
      reason: {
        code: "refused",
        message: expect.stringContaining("does not keep secrets; nothing ran there"),
      },
    });
    expect(bench.agent("web1").jobs.size).toBe(0);
  });

  test("are in no file of the controller's", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const params = signedStart("web1", {
      secrets,
      spec: { ...startParams("web1").spec, env: { PLAIN: "visible" } },
    });
    await client.request("fanout.start", params);
    await until(() => bench.agent("web1").jobs.has(params.job));
    bench.services.fanOuts.flush("synced");
    const files = readdirSync(bench.directory, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    const bytes = new Map(files.map(({ name, parentPath }) => [name, readFileSync(join(parentPath, name))]));
    const wal = bytes.get("catalogue.sqlite-wal")!;
    // What is not secret is there, so the search would find it; of the secrets there is nothing.
    expect(wal.includes("visible")).toBe(true);
    expect(bytes.get("audit.ndjson")!.includes(params.job)).toBe(true);
    for (const [name, content] of bytes) {
      expect(content.includes("hunter2"), name).toBe(false);
      expect(content.includes(Buffer.from("hunter2").toString("base64").slice(0, 8)), name).toBe(false);
    }
  });
});

describe("later requests", () => {
  test("receive: every read carries it, also after the host was away; collecting carries none", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const agent = bench.agent("web1");
    const params = signedStart("web1");
    await client.request("fanout.start", params);
    await until(() => agent.jobs.has(params.job));
    agent.job(params.job).write("stdout", "one");
    const authorization = signed("job.read", params.job, { method: "job.read" });
    const receiver = new Receiver(client, {
      job: params.job,
      streams: ["stdout"],
      follow: true,
      authorization,
    });
    await until(() => receiver.text("web1") === "one");
    await bench.cut("web1");
    await bench.connect("web1");
    agent.job(params.job).write("stdout", "two");
    await until(() => receiver.text("web1") === "onetwo");
    agent.job(params.job).end();
    await receiver.finished;
    const reads = agent.authorizations("job.read");
    expect(reads).toHaveLength(2);
    for (const read of reads) verify(read, "job.read", params.job, { method: "job.read" });

    const collected = signedStart("web1", { mode: "collect" });
    await client.request("fanout.start", collected);
    await until(() => agent.count("job.read") === 3);
    expect(agent.authorizations("job.read")[2]).toBeUndefined();
  });

  test("a host's refusal to tell ends the receive at once", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const agent = bench.agent("web1");
    const params = signedStart("web1");
    await client.request("fanout.start", params);
    await until(() => agent.jobs.has(params.job));
    agent.refuse = new OutpostError("denied", "the request has expired", { data: { reason: "expired" } });
    const receiver = new Receiver(client, { job: params.job, streams: ["stdout"], follow: true });
    await expect(receiver.finished).rejects.toMatchObject({
      code: "denied",
      message: "web1: the request has expired",
      data: { reason: "expired", host: "web1" },
    });
    expect(agent.count("job.read")).toBe(1);
  });

  test("a stop and a removal wait for their host with it, over a restart of the controller", async () => {
    await using bench = await Bench.create(["web1"]);
    const agent = bench.agent("web1");
    const [stopped, removed] = [signedStart("web1"), signedStart("web1")];
    const client = await bench.client();
    for (const params of [stopped, removed]) {
      await client.request("fanout.start", params);
      await until(() => agent.jobs.has(params.job));
    }
    await bench.cut("web1");
    await client.request("fanout.stop", {
      job: stopped.job,
      graceMs: 5_000,
      authorization: signed("job.stop", stopped.job, { method: "job.stop", graceMs: 5_000 }),
    });
    await client.request("fanout.remove", {
      job: removed.job,
      force: true,
      authorization: signed("job.remove", removed.job, { method: "job.remove" }),
      stopAuthorization: signed("job.stop", removed.job, { method: "job.stop", graceMs: undefined }),
    });
    expect(agent.count("job.stop")).toBe(0);
    await bench.kill();
    await bench.connect("web1");
    await until(() => agent.count("job.stop") === 2 && agent.count("job.remove") === 1);
    const asked = agent.requests
      .filter(({ method }) => method === "job.stop")
      .map(({ params }) => params) as {
      job: string;
      graceMs?: number;
      authorization?: Authorization;
    }[];
    for (const { job, graceMs, authorization } of asked) {
      verify(authorization, "job.stop", job, { method: "job.stop", graceMs });
    }
    expect(new Set(asked.map(({ job }) => job))).toEqual(new Set([stopped.job, removed.job]));
    verify(agent.authorizations("job.remove")[0], "job.remove", removed.job, { method: "job.remove" });
  });

  test("sessions: each method carries it", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const agent = bench.agent("web1");
    const session = newSessionId();
    const spec = { env: {}, columns: 80, rows: 24, record: false, temporary: false, onExit: "end" } as const;
    await client.request("session.open", {
      session,
      targets: "web1",
      spec,
      authorization: signed("session.open", session, { method: "session.open", spec }, "web1"),
    });
    verify(agent.authorizations("session.open")[0], "session.open", session, {
      method: "session.open",
      spec,
    });

    const viewer = newViewerId();
    const attach = { method: "session.attach", viewer, role: "control", takeOver: false } as const;
    const attached = new Viewer(client, "web1", session, {
      viewer,
      authorization: signed("session.control", session, attach, "web1"),
    });
    await until(() => attached.stream !== undefined);
    verify(agent.authorizations("session.attach")[0], "session.control", session, attach);

    const role = { method: "session.role", viewer, role: "watch" } as const;
    const roleAuthorization = signed("session.watch", session, role, "web1");
    await client.request("session.role", {
      host: web1,
      session,
      viewer,
      role: "watch",
      authorization: roleAuthorization,
    });
    verify(agent.authorizations("session.role")[0], "session.watch", session, role);

    const read = { method: "session.read", what: "output" } as const;
    await client.request("session.read", {
      host: web1,
      session,
      what: "output",
      seen: true,
      follow: false,
      window: 64 * 1024,
      authorization: signed("session.watch", session, read, "web1"),
    });
    verify(agent.authorizations("session.read")[0], "session.watch", session, read);

    const disconnect = { method: "session.disconnect", idleTimeoutMs: 5_000, buffering: undefined } as const;
    await client.request("session.disconnect", {
      session,
      idleTimeoutMs: 5_000,
      authorization: signed("session.control", session, disconnect, "web1"),
    });
    verify(agent.authorizations("session.disconnect")[0], "session.control", session, disconnect);

    await client.request("session.remove", {
      session,
      authorization: signed("session.remove", session, { method: "session.remove" }, "web1"),
    });
    verify(agent.authorizations("session.remove")[0], "session.remove", session, {
      method: "session.remove",
    });
  });
});

describe("an agent of version 1", () => {
  const v1 = { min: 1, max: 1 };

  test.each([
    ["a configuration", { spec: { configuration: "default" } }],
    ["a user", { spec: { user: "deploy" } }],
    ["secrets", { secrets }],
  ])(
    "is not asked for %s; others are",
    async (what, { spec = {}, ...more }: { spec?: object; secrets?: Secrets }) => {
      await using bench = await Bench.create(["web1", "web2"]);
      await bench.cut("web1");
      bench.agent("web1").versions = v1;
      await bench.connect("web1");
      const client = await bench.client();
      const params = { ...startParams("web*"), job: newJobId(), ...more };
      await client.request("fanout.start", { ...params, spec: { ...params.spec, ...spec } });
      await until(() => bench.agent("web2").jobs.has(params.job));
      const { jobs } = await client.request("fanout.show", { job: params.job });
      expect(jobs).toMatchObject([
        {
          host: "web1",
          status: {
            state: "failed",
            reason: {
              code: "refused",
              message: expect.stringMatching(new RegExp(`agent of web1 .*version 1 .*${what}; upgrade it`)),
            },
          },
        },
        { host: "web2", status: { state: "running" } },
      ]);
      expect(bench.agent("web1").count("job.start")).toBe(0);
      if (what === "secrets") return;
      const { hosts } = await client.request("session.open", {
        session: newSessionId(),
        targets: "web*",
        spec: { env: {}, columns: 80, rows: 24, record: false, temporary: false, onExit: "end", ...spec },
      });
      expect(hosts).toMatchObject([
        { host: "web1", error: { code: "denied" } },
        { host: "web2", info: {} },
      ]);
      expect(bench.agent("web1").count("session.open")).toBe(0);
    },
  );

  test("does what it always did", async () => {
    await using bench = await Bench.create(["web1"]);
    await bench.cut("web1");
    bench.agent("web1").versions = v1;
    await bench.connect("web1");
    const client = await bench.client();
    const params = signedStart("web1");
    await client.request("fanout.start", params);
    await until(() => bench.agent("web1").jobs.has(params.job));
  });

  test("that comes back old is not sent a start again that it would not understand", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const params = signedStart("web1", { secrets });
    await losingStart(bench, () => client.request("fanout.start", params));
    bench.agent("web1").versions = v1;
    await bench.connect("web1");
    const { jobs } = await client.request("fanout.wait", { job: params.job, any: false });
    expect(jobs[0]!.status.reason).toMatchObject({
      code: "refused",
      message: expect.stringContaining("version 1"),
    });
    expect(bench.agent("web1").jobs.size).toBe(0);
  });
});
