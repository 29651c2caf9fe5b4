/** Every request that makes a host do or tell something, as a host verifies it. */
import { type Request, RequestVerifier } from "@outpost/access";
import {
  type Authorization,
  controllerOperatorMethods,
  decodeValue,
  type FanOutInfo,
  type Handlers,
  HostName,
  type JobInfo,
  newJobId,
  newSessionId,
  operatorMethods,
  Peer,
  type SessionId,
  Statement,
  systemClock,
} from "@outpost/protocol";
import { memoryLink, type MemoryLink } from "@outpost/protocol/memory";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { Client, type StartOptions } from "./client.ts";
import { Connection } from "./connection.ts";
import { Session } from "./session.ts";
import { testOperator } from "./testing/operator.ts";
import { ScriptedHost } from "./testing/scripted-host.ts";

type Methods = typeof controllerOperatorMethods;
interface Signed {
  readonly authorization?: Authorization | undefined;
  readonly stopAuthorization?: Authorization | undefined;
}

const { context, signer } = await testOperator();
const strangers = await testOperator();
const job = newJobId();
const session = newSessionId();
const [web1, web2, db1] = ["web1", "web2", "db1"].map((name) => v.parse(HostName, name)) as [
  HostName,
  HostName,
  HostName,
];
const fanout: FanOutInfo = {
  job,
  operator: "me",
  command: "true",
  mode: "keep",
  createdAt: 0,
  state: "running",
  counts: {},
  hosts: 2,
  unreadBytes: 0,
};
const output = { stdout: { written: 0, received: 0 }, stderr: { written: 0, received: 0 } };
const jobs: JobInfo[] = [web1, web2].map((host) => ({ host, status: { job, state: "completed", output } }));

/** Answers everything, and keeps what was asked. Cuts the connection instead of answering as often as it is told. */
class Recorder {
  readonly asked: { readonly method: string; readonly params: Signed & Record<string, unknown> }[] = [];
  cuts = 0;
  #link: MemoryLink | undefined;

  readonly connection = new Connection({
    dial: () => {
      this.#link = memoryLink();
      void new Peer<Methods, typeof operatorMethods>(this.#link.sockets[0], {
        local: controllerOperatorMethods,
        remote: operatorMethods,
        handlers: this.#handlers(),
      });
      return Promise.resolve(this.#link.sockets[1]);
    },
    signer,
    reconnectForMs: 10_000,
    random: () => 0,
  });
  readonly client = new Client(this.connection, context);

  session(hosts: readonly HostName[] = [web1]): Session {
    return new Session({ connection: this.connection, id: session, hosts });
  }

  /** The parameters of the requests of this method, as they came off the wire. */
  of(method: string): (Signed & Record<string, unknown>)[] {
    return this.asked.filter((each) => each.method === method).map(({ params }) => params);
  }

  #handlers(): Handlers<Methods> {
    const answers: Record<string, unknown> = {
      hello: { version: 2, software: "recorder", maxMessageBytes: 1 << 20, name: "me", time: 0 },
      "fanout.start": { fanout, hosts: [{ host: web1, state: "connected" }] },
      "fanout.show": { fanout, jobs },
      "fanout.receive": { fanout },
      "fanout.stop": { jobs },
      "fanout.remove": { jobs },
      "session.open": { hosts: [{ host: web1 }] },
      "session.disconnect": { hosts: [{ host: web1 }] },
      "session.remove": { hosts: [{ host: web1 }] },
    };
    const entries = Object.entries(answers).map(([method, answer]) => [
      method,
      async (params: Signed & Record<string, unknown>): Promise<unknown> => {
        if (method === "hello") return answer;
        this.asked.push({ method, params });
        if (this.cuts-- > 0) {
          this.#link?.cut();
          await new Promise(() => {});
        }
        return answer;
      },
    ]);
    return Object.fromEntries(entries) as Handlers<Methods>;
  }
}

function verifier(
  host: HostName,
  labels: Record<string, string> = {},
  operators = context.operators,
): RequestVerifier {
  return new RequestVerifier({ operators, host: { name: host, labels }, clock: systemClock });
}

function statementOf(authorization: Authorization | undefined): Statement {
  return v.parse(Statement, decodeValue(authorization!.statement));
}

function lifetimeMs(authorization: Authorization | undefined): number {
  const { issuedAt, expiresAt } = statementOf(authorization);
  return expiresAt - issuedAt;
}

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

/** It is what a host expects, and no other operators' or request's. */
function expectSigned(
  authorization: Authorization | undefined,
  request: Request,
  on: readonly HostName[],
): void {
  for (const host of [web1, web2, db1]) {
    const verify = () => verifier(host, { role: host.slice(0, -1) }).verify(authorization, request);
    if (on.includes(host)) expect(verify()).toMatchObject({ name: "me" });
    else expect(verify).toThrow(`has not asked this of ${host}`);
  }
  const [host] = on;
  const foreign = verifier(host!, {}, strangers.context.operators);
  expect(() => foreign.verify(authorization, request)).toThrow("does not come from the operators' authority");
  const labelled = verifier(host!, { role: host!.slice(0, -1) });
  expect(() => labelled.verify(authorization, { ...request, subject: "0".repeat(12) })).toThrow(
    "is not what me has signed",
  );
  expect(() => labelled.verify(authorization, { ...request, action: "host.list" })).toThrow(
    "is not what me has signed",
  );
}

describe("jobs", () => {
  const command = { kind: "shell", text: "true" } as const;

  async function start(options: Partial<StartOptions>): Promise<Signed & Record<string, unknown>> {
    const recorder = new Recorder();
    await using client = recorder.client;
    await client.start({ job, targets: "role=web", command, ...options });
    return recorder.of("fanout.start")[0]!;
  }

  test("a start: for its targets, with its whole spec", async () => {
    const { authorization, spec } = await start({
      configuration: "limited",
      user: "deploy",
      env: { A: "1" },
    });
    const bound = { method: "job.start", spec: spec as never, collect: false, secrets: undefined } as const;
    expectSigned(authorization, { action: "invoke", subject: job, bound }, [web1, web2]);
    expect(spec).toMatchObject({ configuration: "limited", user: "deploy" });
    expect(lifetimeMs(authorization)).toBe(15 * minuteMs);
    const altered = { ...bound, spec: { ...(spec as object), user: "root" } as never };
    expect(() =>
      verifier(web1, { role: "web" }).verify(authorization, {
        action: "invoke",
        subject: job,
        bound: altered,
      }),
    ).toThrow("is not what me has signed");
    const collected = { ...bound, collect: true };
    expect(() =>
      verifier(web1, { role: "web" }).verify(authorization, {
        action: "invoke",
        subject: job,
        bound: collected,
      }),
    ).toThrow("is not what me has signed");
  });

  test("a script's bytes are bound, and that the controller collects", async () => {
    const script = { kind: "script", name: "a.sh", body: Buffer.from([0, 255, 10]), args: ["x"] } as const;
    const { authorization, spec } = await start({ command: { ...script, args: ["x"] }, mode: "collect" });
    const bound = { method: "job.start", spec: spec as never, collect: true, secrets: undefined } as const;
    expectSigned(authorization, { action: "invoke", subject: job, bound }, [web1, web2]);
  });

  test("secrets are bound by their digest, with a salt", async () => {
    const secrets = { env: { TOKEN: "hunter2" }, files: { CERT: Buffer.from("pem") } };
    const first = await start({ secrets });
    const second = await start({ secrets });
    const bound = {
      method: "job.start",
      spec: first["spec"] as never,
      collect: false,
      secrets: first["secrets"] as never,
    } as const;
    expectSigned(first.authorization, { action: "invoke", subject: job, bound }, [web1, web2]);
    expect(Buffer.from(first.authorization!.statement).includes("hunter2")).toBe(false);
    expect(JSON.stringify(first["spec"])).not.toContain("hunter2");
    expect(statementOf(first.authorization).digest).not.toEqual(statementOf(second.authorization).digest);
    const altered = {
      ...bound,
      secrets: { ...(first["secrets"] as object), env: { TOKEN: "other" } } as never,
    };
    expect(() =>
      verifier(web1, { role: "web" }).verify(first.authorization, {
        action: "invoke",
        subject: job,
        bound: altered,
      }),
    ).toThrow("is not what me has signed");
  });

  test("in sessions, without targets: for every host that has one", async () => {
    const host = new ScriptedHost();
    let asked: Signed & Record<string, unknown> = {};
    host.starting = (params) => void (asked = params as typeof asked);
    await using client = host.client();
    await client.start({ job, sessions: ["work"], command });
    expect(statementOf(asked.authorization).targets).toBeUndefined();
    expect(asked["spec"]).toMatchObject({ session: { ids: [host.id], busy: "wait" } });
  });

  test.each<[Partial<StartOptions>, RegExp]>([
    [{ configuration: "x" }, /configuration/],
    [{ user: "x" }, /user/],
    [{ secrets: { env: { A: "hunter2" } } }, /secrets/],
  ])("in sessions, %j is refused", async (options, why) => {
    const recorder = new Recorder();
    await using client = recorder.client;
    const started = client.start({ sessions: ["work"], command, ...options });
    await expect(started).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringMatching(why),
    });
    await expect(started).rejects.not.toThrow("hunter2");
    expect(recorder.asked).toEqual([]);
  });

  test.each<[Partial<StartOptions>, string]>([
    [{ secrets: { env: { A: "hunter2\0" } } }, "the secret A must not hold a NUL"],
    [{ secrets: { env: { "A=B": "hunter2" } } }, "the secret A=B"],
    [{ secrets: { files: { "a b": Buffer.from("hunter2") } } }, "the secret a b"],
    [{ secrets: { env: { A: "hunter2" }, files: { A: Buffer.from("hunter2") } } }, "A is given twice"],
    [{ secrets: { env: { A: "hunter2".repeat(50_000) } } }, "the secrets are more than"],
    [{ configuration: "Not One" }, '"Not One" is not a configuration'],
    [{ user: "a b" }, '"a b" is not the name of a user'],
  ])("what no host would take is refused here, without the secret (%#)", async (options, message) => {
    const recorder = new Recorder();
    await using client = recorder.client;
    const started = client.start({ targets: "web1", command, ...options });
    await expect(started).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining(message),
    });
    await expect(started).rejects.not.toThrow("hunter2");
    expect(recorder.asked).toEqual([]);
  });

  test("a receive: for the hosts that are named, or all", async () => {
    const recorder = new Recorder();
    await using client = recorder.client;
    const handle = await client.job(job);
    for await (const _ of handle.receive()) void _;
    for await (const _ of handle.receive({ hosts: ["web2"] })) void _;
    const [all, one] = recorder.of("fanout.receive");
    const request = { action: "job.read", subject: job, bound: { method: "job.read" } } as const;
    expectSigned(all!.authorization, request, [web1, web2, db1]);
    expectSigned(one!.authorization, request, [web2]);
    expect(lifetimeMs(all!.authorization)).toBe(dayMs);
  });

  test("a stop: with its grace", async () => {
    const recorder = new Recorder();
    await using client = recorder.client;
    const handle = await client.job(job);
    await handle.stop();
    await handle.stop({ hosts: [web1, db1], graceMs: 500 });
    const [plain, graceful] = recorder.of("fanout.stop");
    const stop = (graceMs: number | undefined): Request => ({
      action: "job.stop",
      subject: job,
      bound: { method: "job.stop", graceMs },
    });
    expectSigned(plain!.authorization, stop(undefined), [web1, web2, db1]);
    expectSigned(graceful!.authorization, stop(500), [web1, db1]);
    expect(() => verifier(web1).verify(graceful!.authorization, stop(0))).toThrow(
      "is not what me has signed",
    );
    expect(lifetimeMs(plain!.authorization)).toBe(30 * dayMs);
  });

  test("more hosts than an expression may name: every host that has the job", async () => {
    const recorder = new Recorder();
    await using client = recorder.client;
    const many = Array.from({ length: 10_001 }, (_, index) => v.parse(HostName, `h${String(index)}`));
    await (await client.job(job)).stop({ hosts: many });
    expect(statementOf(recorder.of("fanout.stop")[0]!.authorization).targets).toBeUndefined();
  });

  test("a removal; a forced one may stop, too", async () => {
    const recorder = new Recorder();
    await using client = recorder.client;
    const handle = await client.job(job);
    await handle.remove();
    await handle.remove({ force: true });
    const [plain, forced] = recorder.of("fanout.remove");
    const remove = { action: "job.remove", subject: job, bound: { method: "job.remove" } } as const;
    const stop = {
      action: "job.stop",
      subject: job,
      bound: { method: "job.stop", graceMs: undefined },
    } as const;
    expectSigned(plain!.authorization, remove, [web1, web2, db1]);
    expect(plain!.stopAuthorization).toBeUndefined();
    expectSigned(forced!.authorization, remove, [web1, web2, db1]);
    expectSigned(forced!.stopAuthorization, stop, [web1, web2, db1]);
  });
});

describe("sessions", () => {
  test("an opening: with its whole spec", async () => {
    const recorder = new Recorder();
    await using client = recorder.client;
    await client.openSession({
      session,
      targets: "web1,db1",
      name: "work",
      user: "deploy",
      configuration: "ops",
    });
    const { authorization, spec } = recorder.of("session.open")[0]!;
    const bound = { method: "session.open", spec: spec as never } as const;
    expectSigned(authorization, { action: "session.open", subject: session, bound }, [web1, db1]);
    expect(spec).toMatchObject({ user: "deploy", configuration: "ops" });
  });

  test("an attachment: as viewer and in a role, and each anew", async () => {
    const host = new ScriptedHost();
    await using client = host.client();
    const attachment = (await client.session("work")).attach({ role: "watch" });
    const events = attachment[Symbol.asyncIterator]();
    expect((await events.next()).value).toMatchObject({ type: "opened" });
    await attachment.takeControl();
    host.cut();
    await expect.poll(() => host.attaches.length).toBe(2);
    await attachment.leave();
    const [first, second] = host.attaches;
    const verified = (index: number, request: Request): string => {
      const { authorization } = host.attaches[index]!;
      const operators = host.operators;
      return verifier(web1, {}, operators).verify(authorization, request).name;
    };
    const { viewer } = attachment;
    const subject = host.id;
    const bound = { method: "session.attach", viewer, role: "watch", takeOver: false } as const;
    expect(verified(0, { action: "session.watch", subject, bound })).toBe("me");
    expect(() =>
      verified(0, { action: "session.control", subject, bound: { ...bound, role: "control" } }),
    ).toThrow("is not what me has signed");
    expect(verified(1, { action: "session.control", subject, bound: { ...bound, role: "control" } })).toBe(
      "me",
    );
    expect(statementOf(first!.authorization).nonce).not.toEqual(statementOf(second!.authorization).nonce);
    const role = {
      action: "session.control",
      subject,
      bound: { method: "session.role", viewer, role: "control" },
    } as const;
    expect(verifier(web1, {}, host.operators).verify(host.roles[0]!.authorization, role).name).toBe("me");
    expect(() => verifier(web2, {}, host.operators).verify(host.roles[0]!.authorization, role)).toThrow(
      "of web2",
    );
  });

  test("a read: of output or recording, and each anew", async () => {
    const host = new ScriptedHost();
    host.write(Buffer.from("x"));
    await using client = host.client();
    const found = await client.session("work");
    for await (const _ of found.receive()) void _;
    for await (const _ of found.recording()) void _;
    const [reading, recording] = host.reads;
    const read = (subject: SessionId, what: "output" | "recording"): Request => ({
      action: "session.watch",
      subject,
      bound: { method: "session.read", what },
    });
    const there = verifier(web1, {}, host.operators);
    expect(there.verify(reading!.authorization, read(host.id, "output")).name).toBe("me");
    expect(there.verify(recording!.authorization, read(host.id, "recording")).name).toBe("me");
    expect(() => there.verify(reading!.authorization, read(host.id, "recording"))).toThrow(
      "is not what me has signed",
    );
  });

  test("a disconnection and a removal: for the session's hosts, or those that are named", async () => {
    const recorder = new Recorder();
    await using _client = recorder.client;
    await recorder.session([web1, db1]).disconnect({ idleTimeoutMs: 5, buffering: "block" });
    await recorder.session([web1, db1]).remove({ hosts: ["db1"] });
    const disconnect = { method: "session.disconnect", idleTimeoutMs: 5, buffering: "block" } as const;
    const [disconnected] = recorder.of("session.disconnect");
    const [removed] = recorder.of("session.remove");
    expectSigned(
      disconnected!.authorization,
      { action: "session.control", subject: session, bound: disconnect },
      [web1, db1],
    );
    expectSigned(
      removed!.authorization,
      { action: "session.remove", subject: session, bound: { method: "session.remove" } },
      [db1],
    );
  });
});

describe("sent again after a cut", () => {
  test.each(["fanout.stop", "fanout.remove", "fanout.receive", "session.remove", "session.disconnect"])(
    "%s is signed again: a host takes a nonce once",
    async (method) => {
      const recorder = new Recorder();
      await using client = recorder.client;
      const handle = await client.job(job);
      recorder.cuts = 1;
      if (method === "fanout.stop") await handle.stop();
      else if (method === "fanout.remove") await handle.remove({ force: true });
      else if (method === "fanout.receive") for await (const _ of handle.receive()) void _;
      else if (method === "session.remove") await recorder.session().remove();
      else await recorder.session().disconnect();
      const [first, second, ...more] = recorder.of(method);
      expect(more).toEqual([]);
      const nonces = [first, second].flatMap((each) => [
        statementOf(each!.authorization).nonce,
        ...(each!.stopAuthorization === undefined ? [] : [statementOf(each!.stopAuthorization).nonce]),
      ]);
      expect(new Set(nonces.map((nonce) => Buffer.from(nonce).toString("hex"))).size).toBe(nonces.length);
    },
  );

  test("a start and an opening are not: they are the same, however often they arrive", async () => {
    const recorder = new Recorder();
    await using client = recorder.client;
    recorder.cuts = 1;
    await client.start({ targets: "web1", command: { kind: "shell", text: "true" } });
    recorder.cuts = 1;
    await client.openSession({ targets: "web1" });
    for (const method of ["fanout.start", "session.open"]) {
      const [first, second, ...more] = recorder.of(method);
      expect(more).toEqual([]);
      expect(second).toEqual(first);
    }
  });
});
