/** The gate in front of real handlers, asked over the wire as a controller asks. */
import { AuditLog, permissivePolicy, Policy, type Signer } from "@outpost/access";
import {
  agentMethods,
  type Authorization,
  ErrorCode,
  type JobSpec,
  newJobId,
  newSessionId,
  newViewerId,
  OutpostError,
  type Params,
  Peer,
  type SessionSpec,
  controllerAgentMethods,
} from "@outpost/protocol";
import { memoryLink, type MemoryLink } from "@outpost/protocol/memory";
import { FakeClock } from "@outpost/protocol/testing";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { AgentPeer } from "../handlers/context.ts";
import { createHandlers } from "../handlers/handlers.ts";
import type { Sessions } from "../sessions/sessions.ts";
import {
  FakeAudit,
  signed,
  type SignOptions,
  type TestOperators,
  testOperators,
  web1,
} from "../testing/access.ts";
import { FakeJobs, runningJob } from "../testing/jobs.ts";
import { FakeSession } from "../testing/session.ts";
import { FakeSessionHost, openedSession, openSessions } from "../testing/sessions.ts";
import { askedBy, type SignedMethod } from "./asked.ts";
import { Gate } from "./gate.ts";
import { Replay } from "./replay.ts";

type SignedParams<M extends SignedMethod> = Params<typeof agentMethods, M>;
type Samples = { readonly [M in SignedMethod]: SignedParams<M> };

const log = pino({ level: "silent" });
let operators: TestOperators;
let ada: Signer;
let grace: Signer;
/** An operator called ada, of an authority that the thief of a controller made. */
let forged: Signer;

beforeAll(async () => {
  operators = await testOperators();
  ada = (await operators.add("ada")).signer;
  grace = (await operators.add("grace")).signer;
  forged = (await (await testOperators()).add("ada")).signer;
});

const job = newJobId();
const session = newSessionId();
const viewer = newViewerId();
const spec: JobSpec = { command: { kind: "exec", argv: ["true"] }, env: { A: "1" }, input: { kind: "none" } };
const sessionSpec: SessionSpec = {
  env: { A: "1" },
  columns: 80,
  rows: 24,
  record: false,
  temporary: false,
  onExit: "end",
};

/** A request of each kind about things that ada has made. */
const samples: Samples = {
  "job.start": {
    job: newJobId(),
    spec,
    collect: false,
    operator: "ada",
    expiresAt: 2 ** 52,
    inlineWaitMs: 0,
  },
  "job.read": { job, from: { stdout: 0 }, follow: false, window: 16 * 1024 },
  "job.stop": { job, operator: "ada", graceMs: 1_000 },
  "job.remove": { job },
  "session.open": { session: newSessionId(), spec: sessionSpec, operator: "ada" },
  "session.attach": {
    session,
    viewer,
    operator: "ada",
    role: "control",
    takeOver: false,
    columns: 80,
    rows: 24,
    repaint: false,
    window: 16 * 1024,
    input: 1,
  },
  "session.role": { session, viewer, role: "control" },
  "session.read": { session, what: "output", seen: false, follow: false, window: 16 * 1024 },
  "session.disconnect": { session, operator: "ada", idleTimeoutMs: 5_000 },
  "session.remove": { session, operator: "ada" },
};
const signedMethods = Object.keys(samples) as SignedMethod[];

let clock: FakeClock;
let directory: string;
let jobs: FakeJobs;
let sessionHost: FakeSessionHost;
let sessions: Sessions;
let audit: FakeAudit;
let policy: Policy;
let replay: Replay;
let link: MemoryLink;
let agent: AgentPeer;
let controller: FakeSession["peer"];

beforeEach(async () => {
  clock = new FakeClock();
  await clock.advance(Date.now() - clock.now());
  directory = mkdtempSync(join(tmpdir(), "outpost-gate-"));
  jobs = new FakeJobs();
  jobs.held.set(job, runningJob(job));
  jobs.askers.set(job, { operator: "ada" });
  sessionHost = new FakeSessionHost();
  sessionHost.handlers = {
    "session.attach": ({ session: id }) => ({ reason: "ended", status: openedSession(id) }),
    "session.read": ({ session: id }) => ({ status: openedSession(id) }),
  };
  sessions = openSessions(sessionHost.dial);
  await sessions.open({ session, spec: sessionSpec, operator: "ada" });
  audit = new FakeAudit();
  policy = permissivePolicy;
  replay = new Replay({ file: join(directory, "run", "replay"), clock });
  await connect();
});

afterEach(async () => {
  link.cut();
  await Promise.all([agent.closed, controller.closed]);
  await sessions[Symbol.asyncDispose]();
  replay[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

/** A gate as of an agent that was just started, and a controller that is connected to it. */
async function connect(record: ConstructorParameters<typeof Gate>[0]["audit"] = audit): Promise<void> {
  const gate = new Gate({
    host: web1,
    operators: operators.authority,
    policy: { decide: (request) => policy.decide(request) },
    audit: record,
    replay,
    jobs,
    sessions,
    clock,
    log,
  });
  link = memoryLink();
  agent = new Peer(link.sockets[0], {
    local: agentMethods,
    remote: controllerAgentMethods,
    handlers: createHandlers({
      jobs,
      sessions,
      gate,
      peer: () => agent,
      goodbye: () => {},
      certificateOutdated: () => {},
    }),
  });
  controller = new FakeSession(link.sockets[1]).peer;
  await agent.request("hello", { versions: { min: 1, max: 2 }, software: "test", maxMessageBytes: 2 ** 20 });
}

async function reconnect(...args: Parameters<typeof connect>): Promise<void> {
  link.cut();
  await Promise.all([agent.closed, controller.closed]);
  await connect(...args);
}

/** What a request is answered: `ok`, or the error's code and reason. */
async function ask<M extends SignedMethod>(method: M, params: SignedParams<M>): Promise<string> {
  return controller.request(method, params as never).then(
    () => "ok",
    (error: unknown) => {
      const { code, data } = error as OutpostError;
      return data["reason"] === undefined ? code : `${code} ${data["reason"] as string}`;
    },
  );
}

function by<M extends SignedMethod>(signer: Signer, method: M, options: SignOptions = {}): SignedParams<M> {
  return signed(signer, method, samples[method] as SignedParams<M>, { clock, ...options });
}

/** What has been done so far: everything that a request could do leaves a trace there. */
function doings(): unknown {
  return structuredClone({
    jobs: [jobs.calls.length, [...jobs.held.values()]],
    sessions: [sessionHost.calls.length, [...sessionHost.held.values()]],
  });
}

describe.each(signedMethods)("%s", (method) => {
  test("what an operator has signed is done", async () => {
    expect(await ask(method, by(ada, method))).toBe("ok");
    expect(audit.entries[0]).toMatchObject({
      kind: "request",
      operator: "ada",
      hosts: ["web1"],
      decision: "allowed",
      rule: "none",
    });
  });

  test("a thief of the controller, who has its CA and not the operators' authority, can do nothing", async () => {
    const before = doings();
    const elsewhere: SignedMethod = method === "job.read" ? "job.remove" : "job.read";
    const attempts = [
      samples[method],
      by(forged, method),
      // What ada signed for something else.
      { ...samples[method], authorization: by(ada, elsewhere).authorization },
      { ...samples[method], authorization: withCertificates(by(ada, method), forged) },
    ];
    const answers = [];
    for (const attempt of attempts) answers.push(await ask(method, attempt as never));
    expect(answers).toEqual([
      "denied unsigned",
      "denied certificate",
      "denied altered",
      "denied certificate",
    ]);
    expect(doings()).toEqual(before);
    expect(audit.entries.map(({ decision, operator }) => [decision, operator])).toEqual(
      attempts.map(() => ["denied", undefined]),
    );
  });

  test("other certificates of true operators do not help a signature", async () => {
    const before = doings();
    const attempt = { ...samples[method], authorization: withCertificates(by(ada, method), grace) };
    expect(await ask(method, attempt as never)).toBe("denied signature");
    expect(doings()).toEqual(before);
  });

  test("nothing is done once it has expired, nor long before it was signed", async () => {
    const before = doings();
    const early = by(ada, method, { clock: { now: () => clock.now() + 10 * 60_000 } });
    expect(await ask(method, early)).toBe("denied clock");
    const late = by(ada, method);
    await clock.advance(60_000 + 5 * 60_000 + 1);
    expect(await ask(method, late)).toBe("denied expired");
    expect(doings()).toEqual(before);
  });

  test("what was asked of another host is not done here", async () => {
    const before = doings();
    expect(await ask(method, by(ada, method, { targets: "web2,role=db" }))).toBe("denied host");
    expect(doings()).toEqual(before);
    expect(await ask(method, by(ada, method, { targets: "web2,role=web" }))).toBe("ok");
  });

  test("the host's own policy has the last word", async () => {
    policy = Policy.parse(
      `rules: [{ name: nobody, operators: ["*"], actions: ["*"], effect: deny }]`,
      "policy.yaml",
    );
    const before = doings();
    expect(await ask(method, by(ada, method))).toBe("denied policy");
    expect(doings()).toEqual(before);
    expect(audit.entries).toMatchObject([{ decision: "denied", operator: "ada", rule: "nobody" }]);
  });

  test("by default deny, only what is one's own is allowed", async () => {
    policy = Policy.parse("rules: []", "policy.yaml");
    const makes = method === "job.start" || method === "session.open";
    const theirs = { ...samples[method], ...("operator" in samples[method] ? { operator: "grace" } : {}) };
    expect(await ask(method, signed(grace, method, theirs as never, { clock }))).toBe("denied policy");
    expect(await ask(method, by(ada, method))).toBe(makes ? "denied policy" : "ok");
  });

  test("what cannot be recorded is not done", async () => {
    audit.check = () => {
      throw new OutpostError(ErrorCode.diskFull, "the disk is full");
    };
    const before = doings();
    expect(await ask(method, by(ada, method))).toBe("disk_full");
    expect(await ask(method, samples[method] as never)).toBe("disk_full");
    expect(doings()).toEqual(before);
  });
});

function withCertificates(
  params: { authorization?: Authorization | undefined },
  { certificates }: Signer,
): Authorization {
  return { ...params.authorization!, certificates: [...certificates] };
}

test("every method of an agent is signed, or known to do nothing that needs it", () => {
  const open = Object.entries(askedBy).filter(([, asked]) => asked === "open");
  expect(open.map(([method]) => method).toSorted()).toEqual([
    "certificate.outdated",
    "goodbye",
    "job.acknowledge",
    "job.input",
    "job.status",
    "ping",
    "session.acknowledge",
    "session.list",
    "session.resize",
  ]);
  expect([...open.map(([method]) => method), ...signedMethods].toSorted()).toEqual(
    Object.keys(agentMethods).toSorted(),
  );
});

/** One change each, of every field that matters. */
const changes: { readonly [M in SignedMethod]: readonly Partial<SignedParams<M>>[] } = {
  "job.start": [
    { job: newJobId() },
    { operator: "grace" },
    { collect: true },
    { secrets: { salt: Buffer.alloc(32), env: {}, files: {} } },
    ...(
      [
        { command: { kind: "exec", argv: ["false"] } },
        { env: { A: "2" } },
        { env: {} },
        { cwd: "/" },
        { timeoutMs: 1 },
        { graceMs: 1 },
        { input: { kind: "stream" } },
        { configuration: "root" },
        { user: "root" },
        { session: { ids: [session], busy: "wait" } },
      ] as Partial<JobSpec>[]
    ).map((change) => ({ spec: { ...spec, ...change } })),
  ],
  "job.read": [{ job: newJobId() }],
  "job.stop": [{ job: newJobId() }, { operator: "grace" }, { graceMs: 0 }, { graceMs: undefined }],
  "job.remove": [{ job: newJobId() }],
  "session.open": [
    { session: newSessionId() },
    { operator: "grace" },
    ...(
      [
        { shell: "/bin/false" },
        { env: { A: "1", LD_PRELOAD: "/tmp/x.so" } },
        { cwd: "/" },
        { name: "x" },
        { record: true },
        { idleTimeoutMs: 1 },
        { user: "root" },
        { configuration: "root" },
      ] as Partial<SessionSpec>[]
    ).map((change) => ({ spec: { ...sessionSpec, ...change } })),
  ],
  "session.attach": [
    { session: newSessionId() },
    { viewer: newViewerId() },
    { operator: "grace" },
    { role: "watch" },
    { takeOver: true },
  ],
  "session.role": [{ session: newSessionId() }, { viewer: newViewerId() }, { role: "watch" }],
  "session.read": [{ session: newSessionId() }, { what: "recording" }],
  "session.disconnect": [
    { session: newSessionId() },
    { operator: "grace" },
    { idleTimeoutMs: 1 },
    { buffering: "block" },
  ],
  "session.remove": [{ session: newSessionId() }, { operator: "grace" }],
};

test.each(signedMethods.flatMap((method) => changes[method].map((change) => [method, change] as const)))(
  "%s with %j instead of what was signed is refused",
  async (method, change) => {
    const before = doings();
    const altered = { ...by(ada, method), ...change };
    expect(await ask(method, altered as never)).toMatch(/^denied (altered|operator)$/);
    expect(doings()).toEqual(before);
  },
);

test("any byte of statement, signature or certificates that is another is noticed", async () => {
  const params = by(ada, "job.start");
  const { certificates, statement, signature } = params.authorization!;
  const flipped = (bytes: Uint8Array, at: number): Uint8Array =>
    Buffer.from(bytes.map((byte, index) => (index === at ? byte ^ 1 : byte)));
  const places = (bytes: Uint8Array): number[] =>
    Array.from({ length: 12 }, (_, index) => Math.floor((index * (bytes.length - 1)) / 11));
  const attempts: Authorization[] = [
    ...places(statement).map((at) => ({ certificates, signature, statement: flipped(statement, at) })),
    ...places(signature).map((at) => ({ certificates, statement, signature: flipped(signature, at) })),
    ...places(certificates[0]!).map((at) => ({
      signature,
      statement,
      certificates: [flipped(certificates[0]!, at), ...certificates.slice(1)],
    })),
  ];
  for (const authorization of attempts) {
    expect(await ask("job.start", { ...params, authorization })).toMatch(/^denied /);
  }
  expect(jobs.calls).toEqual([]);
});

describe("what is somebody else's", () => {
  test("a job's id is no right to it: not by starting it again, either", async () => {
    await ask("job.start", by(ada, "job.start"));
    jobs.start = async ({ job: id }) => ({
      status: { ...runningJob(id), state: "completed" },
      tail: { stdout: { offset: 0, bytes: Buffer.from("ada's secret") } },
    });
    const theirs = { ...samples["job.start"], operator: "grace" };
    expect(await ask("job.start", signed(grace, "job.start", theirs, { clock }))).toBe("denied owner");
  });

  test("nor while it is being started", async () => {
    const started = Promise.withResolvers<void>();
    jobs.start = async ({ job: id }) => {
      await started.promise;
      return { status: runningJob(id) };
    };
    const first = ask("job.start", by(ada, "job.start"));
    const theirs = { ...samples["job.start"], operator: "grace" };
    expect(await ask("job.start", signed(grace, "job.start", theirs, { clock }))).toBe("denied owner");
    started.resolve();
    expect(await first).toBe("ok");
  });

  test("nor is a session's", async () => {
    const theirs = { session, spec: sessionSpec, operator: "grace" };
    expect(await ask("session.open", signed(grace, "session.open", theirs, { clock }))).toBe("denied owner");
  });

  test("a job that somebody on the host has started is no operator's, whatever they are called", async () => {
    const { signer: root } = await operators.add("root@web1");
    jobs.askers.set(job, { operator: "root@web1", isLocal: true });
    policy = Policy.parse("rules: []", "policy.yaml");
    expect(await ask("job.read", by(root, "job.read"))).toBe("denied policy");
    await expect(controller.request("job.input", { job, stream: 1 })).rejects.toMatchObject({
      code: ErrorCode.denied,
    });
  });

  test("nor while it is being started there", async () => {
    const { signer: root } = await operators.add("root@web1");
    policy = Policy.parse("rules: []", "policy.yaml");
    const gate = new Gate({
      host: web1,
      operators: operators.authority,
      policy,
      audit,
      replay,
      jobs,
      sessions,
      clock,
      log,
    });
    const started = Promise.withResolvers<void>();
    const begun = gate.admitLocally("root@web1", "invoke", job).carryOut(() => started.promise);
    jobs.askers.set(job, { operator: "root@web1", isLocal: true });
    expect(() => gate.admit("job.read", by(root, "job.read"))).toThrow(
      expect.objectContaining({ code: ErrorCode.denied }),
    );
    started.resolve();
    await begun;
  });

  test("a command in a session needs control of that session", async () => {
    policy = Policy.parse(`rules: [{ name: run, operators: ["*"], actions: [invoke] }]`, "policy.yaml");
    const inSession = (operator: string) => ({
      ...samples["job.start"],
      job: newJobId(),
      operator,
      spec: { ...spec, env: {}, session: { ids: [session], busy: "wait" as const } },
    });
    expect(await ask("job.start", signed(grace, "job.start", inSession("grace"), { clock }))).toBe(
      "denied policy",
    );
    expect(await ask("job.start", signed(ada, "job.start", inSession("ada"), { clock }))).toBe("ok");
  });

  test("configurations and users are as narrow as the policy", async () => {
    policy = Policy.parse(
      `rules: [{ name: run, operators: [ada], actions: [invoke], configurations: [safe], users: [deploy] }]`,
      "policy.yaml",
    );
    const start = (more: object) => {
      const params = { ...samples["job.start"], job: newJobId(), spec: { ...spec, ...more } };
      return ask("job.start", signed(ada, "job.start", params, { clock }));
    };
    expect(await start({})).toBe("denied policy");
    expect(await start({ configuration: "safe", user: "root" })).toBe("denied policy");
    expect(await start({ configuration: "safe", user: "deploy" })).toBe("ok");
  });
});

describe("collecting", () => {
  test("a job that was started with collect is read without a signature, and no other", async () => {
    expect(await ask("job.read", samples["job.read"])).toBe("denied unsigned");
    jobs.askers.set(job, { operator: "ada", collect: true });
    expect(await ask("job.read", samples["job.read"])).toBe("ok");
    expect(audit.entries.at(-2)).toMatchObject({ action: "job.read", operator: "ada", decision: "allowed" });
  });

  test("not what somebody on the host has started", async () => {
    jobs.askers.set(job, { operator: "root@web1", collect: true, isLocal: true });
    expect(await ask("job.read", samples["job.read"])).toBe("denied unsigned");
  });
});

describe("again", () => {
  test("a start that comes twice is answered twice and recorded as what it is, also when it has expired", async () => {
    const params = by(ada, "job.start");
    expect(await ask("job.start", params)).toBe("ok");
    await clock.advance(60 * 60_000);
    expect(await ask("job.start", params)).toBe("ok");
    expect(audit.entries.map(({ action }) => action)).toEqual(["invoke", "job.read"]);
  });

  test.each(["session.open", "session.attach", "session.role", "session.disconnect"] as const)(
    "%s is done once",
    async (method) => {
      const params = by(ada, method);
      expect(await ask(method, params)).toBe("ok");
      if (method === "session.open") sessionHost.forget(params.session);
      await expect.poll(() => sessions.find([params.session]) !== undefined).toBe(method !== "session.open");
      const before = doings();
      expect(await ask(method, params)).toBe("denied replay");
      expect(doings()).toEqual(before);
      // An agent that was started anew has not forgotten.
      replay[Symbol.dispose]();
      replay = new Replay({ file: join(directory, "run", "replay"), clock });
      await reconnect();
      expect(await ask(method, params)).toBe("denied replay");
      expect(doings()).toEqual(before);
      // Asked anew it is.
      expect(await ask(method, by(ada, method))).toBe("ok");
    },
  );

  test("an open whose answer was lost is answered, as long as the session is there", async () => {
    const params = by(ada, "session.open");
    expect(await ask("session.open", params)).toBe("ok");
    expect(await ask("session.open", params)).toBe("ok");
  });

  test.each(["job.read", "job.stop", "session.read"] as const)("%s may come again", async (method) => {
    const params = by(ada, method);
    expect(await ask(method, params)).toBe("ok");
    expect(await ask(method, params)).toBe("ok");
  });
});

test("a host that does not know its operators obeys nobody until it does", async () => {
  const gate = new Gate({
    host: web1,
    operators: undefined,
    policy: permissivePolicy,
    audit,
    replay,
    jobs,
    sessions,
    clock,
    log,
  });
  expect(() => gate.admit("job.remove", by(ada, "job.remove"))).toThrow(
    /does not know yet who its operators are/,
  );
  gate.trust(operators.authority);
  expect(gate.admit("job.remove", by(ada, "job.remove")).request).toBe(2);
});

test("the log: who, what, by which rule, and what came of it; verified from end to end", async () => {
  using real = AuditLog.open({ directory: join(directory, "audit"), clock });
  await reconnect(real);
  jobs.reader = async ({ from }, sink, signal) => {
    const stream = sink.open("stdout", from.stdout!);
    await stream.ready(signal);
    stream.send(Buffer.from("seven b"));
    return { status: runningJob(job), tail: { stderr: { offset: 0, bytes: Buffer.from("abc") } } };
  };
  const read = controller.request("job.read", by(ada, "job.read"), {
    onEvent({ event, params }) {
      if (event !== "read.opened") return;
      controller.acceptStream(
        params.stream,
        { offset: params.offset, window: 16 * 1024 },
        { chunk: () => {}, end: () => {} },
      );
    },
  });
  await read;
  await ask("job.start", by(ada, "job.start"));
  await ask("job.stop", samples["job.stop"]);
  jobs.remove = async () => {
    throw new OutpostError(ErrorCode.conflict, "it runs");
  };
  await ask("job.remove", by(ada, "job.remove"));
  const { entries } = await real.list({});
  expect(entries).toMatchObject([
    { sequence: 1, kind: "request", action: "job.read", operator: "ada", subject: job, decision: "allowed" },
    { kind: "outcome", action: "job.read", of: 1, outcome: "ok", bytes: 10 },
    { kind: "request", action: "invoke", operator: "ada", what: "true", rule: "none" },
    {
      kind: "request",
      action: "job.stop",
      decision: "denied",
      message: expect.stringContaining("signature"),
    },
    { kind: "request", action: "job.remove", decision: "allowed" },
    { kind: "outcome", action: "job.remove", of: 5, outcome: "conflict", message: "it runs" },
  ]);
  expect(JSON.stringify(entries)).not.toContain('"A"');
  expect(await real.verify()).toMatchObject({ entries: 6, problems: [] });
});
