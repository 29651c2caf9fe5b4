/** Who may do what at the controller: every method, against a policy in a real file. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Action,
  controllerOperatorMethods,
  type HostName,
  type JobId,
  newJobId,
  newSessionId,
  newViewerId,
  type OutpostError,
  type Params,
  type SessionId,
  type SessionStatus,
} from "@outpost/protocol";
import { describe, expect, test } from "vitest";
import { Bench, type OperatorClient, startParams, until } from "./testing/bench.ts";
import { Receiver } from "./testing/receiver.ts";
import { Viewer } from "./testing/viewer.ts";

type Methods = typeof controllerOperatorMethods;
type Guarded = Extract<keyof Methods, `fanout.${string}` | `session.${string}`>;

const web1 = "web1" as HostName;

/** Both may begin something of their own everywhere; what of it is whose decides the rest. */
const beginners = `rules:
  - name: beginners
    operators: [ada, mallory]
    actions: [host.list, invoke, session.open]
`;

const sessionSpec = {
  env: {},
  columns: 80,
  rows: 24,
  record: false,
  temporary: false,
  onExit: "end",
} as const;

/** What a host says of a session. */
const sessionStatus: Omit<SessionStatus, "session" | "operator"> = {
  state: "opened",
  availability: "available",
  shell: "/bin/sh",
  integration: "sh",
  createdAt: 1_000,
  activeAt: 1_000,
  idleTimeoutMs: 1_000,
  buffering: "spill",
  temporary: false,
  recorded: false,
  columns: 80,
  rows: 24,
  viewers: [],
  runs: [],
  output: { written: 0, unread: 0 },
};

/** A running job and a session of ada's on web1. */
async function adasWork(bench: Bench): Promise<{ ada: OperatorClient; job: JobId; session: SessionId }> {
  const ada = await bench.client("ada");
  const params = startParams("web1", { name: "nightly" });
  await ada.request("fanout.start", params);
  await until(() => bench.agent("web1").jobs.has(params.job));
  const session = newSessionId();
  await ada.request("session.open", {
    session,
    targets: "web1",
    spec: { ...sessionSpec, name: "main" },
  });
  return { ada, job: params.job, session };
}

const denied = (message: RegExp | string) => ({
  code: "denied",
  message: typeof message === "string" ? expect.stringContaining(message) : expect.stringMatching(message),
});

describe("what nobody has allowed", () => {
  test("is denied, with who, what, where, why and how to find out", async () => {
    await using bench = await Bench.create(["web1", "web2"], { policy: "rules: []\n" });
    const eve = await bench.client("eve");
    const params = startParams("web*");
    await expect(eve.request("fanout.start", params)).rejects.toMatchObject({
      ...denied(
        /^eve is not allowed invoke on web1, web2: no rule allows .*`outpost policy explain eve invoke web1`/,
      ),
      data: { operator: "eve", action: "invoke", rule: "default", hosts: ["web1", "web2"] },
    });
    expect(bench.agent("web1").count("job.start")).toBe(0);
    expect((await eve.request("host.list", {})).hosts).toEqual([]);
  });

  test("no method goes without a decision", async () => {
    await using bench = await Bench.create(["web1"], { policy: "rules: []\n" });
    const { job, session } = { job: newJobId(), session: newSessionId() };
    // Of her own, from a time when she was allowed.
    await bench.setPolicy(beginners);
    const ada = await bench.client("ada");
    await ada.request("fanout.start", { ...startParams("web1"), job });
    await ada.request("session.open", { session, targets: "web1", spec: sessionSpec });
    await bench.setPolicy(`rules: [{ name: out, operators: [ada], actions: ["*"], effect: deny }]\n`);
    const before = bench.agent("web1").requests.length;
    for (const method of Object.keys(attacks) as Guarded[]) {
      if (method === "fanout.list") continue;
      const params = attacks[method]({ job, session });
      await expect(ada.request(method, params as never), method).rejects.toMatchObject({ code: "denied" });
    }
    expect(bench.agent("web1").requests.slice(before)).toEqual([]);
    const own = { policy: ["policy.explain"], open: ["ping", "hello"] };
    for (const method of Object.keys(controllerOperatorMethods) as (keyof Methods)[]) {
      if (method in attacks || own.open.includes(method)) continue;
      if (method === "host.list") continue;
      const params = others[method as keyof typeof others];
      expect(params, `${method} needs an entry here`).toBeDefined();
      await expect(ada.request(method as "host.list", params as never), method).rejects.toMatchObject({
        code: "denied",
      });
    }
  });
});

/** Each method, as somebody would ask who knows an id and nothing else. */
const attacks: { [K in Guarded]: (ids: { job: JobId; session: SessionId }) => Params<Methods, K> } = {
  "fanout.start": ({ job }) => ({ ...startParams("web1"), job }),
  "fanout.input": ({ job }) => ({ job, stream: 1 }),
  "fanout.receive": ({ job }) => ({ job, streams: ["stdout"], follow: false, window: 64 * 1024 }),
  "fanout.acknowledge": ({ job }) => ({ job, received: { [web1]: { stdout: 1_000 } } }),
  "fanout.list": () => ({}),
  "fanout.show": ({ job }) => ({ job }),
  "fanout.wait": ({ job }) => ({ job, any: false, timeoutMs: 1 }),
  "fanout.pause": ({ job }) => ({ job }),
  "fanout.resume": ({ job }) => ({ job }),
  "fanout.spec": ({ job }) => ({ job }),
  "fanout.stop": ({ job }) => ({ job, hosts: [web1] }),
  "fanout.remove": ({ job }) => ({ job, force: true }),
  "session.open": ({ session }) => ({ session, targets: "web1", spec: sessionSpec }),
  "session.list": ({ session }) => ({ session }),
  "session.attach": ({ session }) => ({
    host: web1,
    session,
    viewer: newViewerId(),
    role: "watch",
    takeOver: false,
    columns: 80,
    rows: 24,
    repaint: true,
    from: 0,
    window: 64 * 1024,
    input: 1,
  }),
  "session.resize": ({ session }) => ({ host: web1, session, viewer: newViewerId(), columns: 2, rows: 2 }),
  "session.role": ({ session }) => ({ host: web1, session, viewer: newViewerId(), role: "watch" }),
  "session.acknowledge": ({ session }) => ({ host: web1, session, from: 0, to: 1_000 }),
  "session.read": ({ session }) => ({
    host: web1,
    session,
    what: "output",
    seen: true,
    follow: false,
    window: 64 * 1024,
  }),
  "session.disconnect": ({ session }) => ({ session }),
  "session.remove": ({ session }) => ({ session, hosts: [web1] }),
  "session.wait": ({ session }) => ({ session, until: "ended", timeoutMs: 1 }),
};

/** The methods that are about no job or session. */
const others = {
  "host.approve": { hosts: [web1] },
  "host.remove": { hosts: [web1] },
  "token.create": { ttlMs: 1_000, uses: 1 },
  "token.list": {},
  "token.revoke": { id: newJobId() },
  "operator.list": {},
  "operator.add": { name: "grace", ttlMs: 1_000 },
  "operator.remove": { name: "mallory" },
  "policy.show": {},
  "policy.explain": { as: "mallory", action: "invoke" },
  "audit.list": {},
  "audit.verify": {},
  "authority.show": {},
  "authority.rotate": { step: "begin", force: false },
};

describe("somebody else's job or session", () => {
  test("cannot be had by its id, by any method", async () => {
    await using bench = await Bench.create(["web1"], { policy: beginners });
    const ids = await adasWork(bench);
    const agent = bench.agent("web1");
    agent.job(ids.job).write("stdout", "a secret of ada's");
    const mallory = await bench.client("mallory");
    const before = agent.requests.length;
    const methods = (Object.keys(controllerOperatorMethods) as (keyof Methods)[]).filter((method) =>
      /^(fanout|session)\./.test(method),
    );
    for (const method of methods as Guarded[]) {
      expect(attacks, `${method} needs an attack here`).toHaveProperty([method]);
      const asked = mallory.request(method, attacks[method](ids));
      // A list leaves it out; every other method refuses, and says whose it is.
      if (method === "fanout.list") await expect(asked).resolves.toEqual({ fanouts: [] });
      else await expect(asked, method).rejects.toMatchObject(denied(/mallory .* of ada\)/));
    }
    await expect(mallory.request("session.list", {})).resolves.toEqual({ sessions: [] });
    // By name neither. The beginning of an id is nobody's but who may see it: a refusal would tell the rest of it.
    await expect(mallory.request("fanout.show", { job: "nightly" })).rejects.toMatchObject({
      code: "denied",
    });
    await expect(mallory.request("session.list", { session: "main" })).rejects.toMatchObject({
      code: "denied",
    });
    for (const length of [1, 6, 11]) {
      await expect(mallory.request("fanout.show", { job: ids.job.slice(0, length) })).rejects.toMatchObject({
        code: "not_found",
      });
      await expect(
        mallory.request("session.list", { session: ids.session.slice(0, length) }),
      ).rejects.toMatchObject({ code: "not_found" });
    }
    expect(agent.requests.slice(before)).toEqual([]);
  });

  test("an empty list of hosts is not a way round", async () => {
    await using bench = await Bench.create(["web1"], { policy: beginners });
    const { job, session } = await adasWork(bench);
    const mallory = await bench.client("mallory");
    const receive = { job, streams: ["stdout" as const], follow: false, window: 64 * 1024 };
    await expect(mallory.request("fanout.receive", { ...receive, hosts: [] })).rejects.toMatchObject({
      code: "denied",
    });
    await expect(mallory.request("fanout.stop", { job, hosts: [] })).rejects.toMatchObject({
      code: "denied",
    });
    await expect(mallory.request("fanout.acknowledge", { job, received: {} })).rejects.toMatchObject({
      code: "denied",
    });
    await expect(
      mallory.request("session.wait", { session, hosts: [], until: "ended" }),
    ).rejects.toMatchObject({ code: "denied" });
    // Where it does not run is told to those who may see where it does.
    const nowhere = { job, hosts: ["db1" as HostName] };
    await expect(mallory.request("fanout.stop", nowhere)).rejects.toMatchObject({ code: "denied" });
    await expect((await bench.client("ada")).request("fanout.stop", nowhere)).rejects.toMatchObject({
      code: "not_found",
    });
  });

  test("a rule gives it; its own word names it in the audit log", async () => {
    await using bench = await Bench.create(["web1"], { policy: beginners });
    const { job, session } = await adasWork(bench);
    await bench.setPolicy(`${beginners}  - name: readers
    operators: [mallory]
    actions: [job.read, session.list, session.watch]
`);
    const mallory = await bench.client("mallory");
    await expect(mallory.request("fanout.show", { job: "nightly" })).resolves.toMatchObject({
      fanout: { job },
    });
    expect((await mallory.request("session.list", {})).sessions).toHaveLength(1);
    await expect(mallory.request("fanout.stop", { job })).rejects.toMatchObject({ code: "denied" });
    // An id that is taken stays taken, and what runs under it is not passed off as the caller's.
    await expect(mallory.request("fanout.start", { ...startParams("web1"), job })).rejects.toMatchObject({
      code: "conflict",
    });
    await expect(
      mallory.request("session.open", { session, targets: "web1", spec: sessionSpec }),
    ).rejects.toMatchObject({ code: "conflict" });
    const viewer = new Viewer(mallory, "web1", session, { role: "watch" });
    await until(() => viewer.stream !== undefined);
    await expect(new Viewer(mallory, "web1", session, { role: "control" }).finished).rejects.toMatchObject({
      code: "denied",
    });
    const lines = await bench.audited();
    expect(lines.filter(({ operator, rule }) => operator === "mallory" && rule === "readers")).toMatchObject([
      { action: "job.read", subject: job },
      { action: "job.read", subject: job },
      { action: "session.watch", subject: session, what: "look on" },
    ]);
  });

  test("another operator's terminal is not to be resized, nor made to look on", async () => {
    await using bench = await Bench.create(["web1"]);
    const { ada, session } = await adasWork(bench);
    const viewer = new Viewer(ada, "web1", session);
    await until(() => viewer.stream !== undefined);
    const there = { viewer: viewer.id, operator: "ada", role: "control" as const, since: 1 };
    bench
      .agent("web1")
      .sessions.session(session)
      .change({ viewers: [there] });
    await until(() => bench.services.sessions.of(session)[0]!.status.viewers.length === 1);
    const mallory = await bench.client("mallory");
    const params = { host: web1, session, viewer: viewer.id };
    await expect(mallory.request("session.resize", { ...params, columns: 2, rows: 2 })).rejects.toMatchObject(
      denied("that terminal is ada's"),
    );
    await expect(mallory.request("session.role", { ...params, role: "watch" })).rejects.toMatchObject({
      code: "denied",
    });
    await ada.request("session.resize", { ...params, columns: 100, rows: 30 });
    expect(bench.agent("web1").sessions.asked).toMatchObject([{ columns: 100 }]);
  });

  test("to run in a session is to control it", async () => {
    await using bench = await Bench.create(["web1"], { policy: beginners });
    const { ada, session } = await adasWork(bench);
    const spec = { ...startParams("web1").spec, session: { ids: [session], busy: "wait" as const } };
    const params = (): ReturnType<typeof startParams> => ({
      ...startParams("web1", { spec }),
      job: newJobId(),
    });
    const mallory = await bench.client("mallory");
    await expect(mallory.request("fanout.start", params())).rejects.toMatchObject({
      ...denied("session.control"),
      data: { action: "session.control" },
    });
    await ada.request("fanout.start", params());
    await expect(
      ada.request("fanout.start", { ...params(), spec: { ...spec, user: "root" } }),
    ).rejects.toMatchObject({ code: "invalid_argument" });
  });

  test("a job that somebody started on a host is nobody's, whatever they are called", async () => {
    await using bench = await Bench.create(["web1"], { policy: beginners.replace("mallory", "grace@web1") });
    const local = bench
      .agent("web1")
      .startLocally({ user: "grace", command: "make", acceptedAt: Date.now() - 1_000 });
    const { job } = local.params;
    await until(() => bench.services.fanOuts.find(job) !== undefined);
    expect(bench.services.fanOuts.find(job)!.operator).toBe("grace@web1");
    const grace = await bench.client("grace@web1");
    await expect(grace.request("fanout.stop", { job })).rejects.toMatchObject({ code: "denied" });
    await expect(grace.request("fanout.list", {})).resolves.toEqual({ fanouts: [] });
  });
});

describe("one's own", () => {
  test("needs no rule, and the log says that it was the owner", async () => {
    await using bench = await Bench.create(["web1"], { policy: beginners });
    const { ada, job, session } = await adasWork(bench);
    // What may be begun is one thing; what was begun stays its owner's.
    await bench.setPolicy("rules: []\n");
    bench.agent("web1").job(job).write("stdout", "text");
    const receiver = new Receiver(ada, { job, streams: ["stdout"], follow: false });
    await receiver.finished;
    expect(receiver.text("web1")).toBe("text");
    expect((await ada.request("fanout.list", {})).fanouts).toMatchObject([{ job }]);
    await ada.request("fanout.acknowledge", { job, received: { [web1]: { stdout: 4 } } });
    await ada.request("fanout.stop", { job });
    await ada.request("fanout.remove", { job, force: true });
    const viewer = new Viewer(ada, "web1", session);
    await until(() => viewer.stream !== undefined);
    await ada.request("session.disconnect", { session });
    await ada.request("session.remove", { session, hosts: [web1] });
    // A second time, as a client asks that was cut before it had the answer: still the owner's.
    await ada.request("session.remove", { session, hosts: [web1] });
    await ada.request("session.remove", { session });
    await expect(ada.request("fanout.start", startParams("web1"))).rejects.toMatchObject({ code: "denied" });
    const rules = (await bench.audited()).filter(({ subject }) => subject === job || subject === session);
    expect(rules.filter(({ kind, rule }) => kind === "request" && rule === "owner").length).toBeGreaterThan(
      6,
    );
  });

  test("a rule that denies wins over every other, and over the owner", async () => {
    await using bench = await Bench.create(["web1", "db1"], { policy: beginners });
    const { ada, job } = await adasWork(bench);
    await bench.setPolicy(`rules:
  - { name: all, operators: ["*"], actions: ["*"] }
  - { name: web stays up, operators: ["*"], actions: [job.stop], targets: role=web, effect: deny }
`);
    await expect(ada.request("fanout.stop", { job })).rejects.toMatchObject({
      ...denied("web stays up"),
      data: { rule: "web stays up" },
    });
    // Removing with force is stopping, too.
    await expect(ada.request("fanout.remove", { job, force: true })).rejects.toMatchObject({
      code: "denied",
    });
    expect(bench.agent("web1").job(job).isEnded).toBe(false);
    const elsewhere = startParams("db1");
    await ada.request("fanout.start", elsewhere);
    await ada.request("fanout.stop", { job: elsewhere.job });
  });
});

describe("several hosts", () => {
  const webOnly = `rules: [{ name: web, operators: [ada], actions: ["*"], targets: role=web }]\n`;

  test("are allowed all or refused all; up to five are named", async () => {
    const hosts = ["web1", ...Array.from({ length: 7 }, (_, index) => `db${String(index + 1)}`)];
    await using bench = await Bench.create(hosts, { policy: webOnly });
    const ada = await bench.client("ada");
    await expect(ada.request("fanout.start", startParams("*"))).rejects.toMatchObject(
      denied("on db1, db2, db3, db4, db5 and 2 more:"),
    );
    await expect(
      ada.request("session.open", { session: newSessionId(), targets: "web1,db1", spec: sessionSpec }),
    ).rejects.toMatchObject(denied("on db1:"));
    expect(
      [...bench.agents.values()].flatMap((agent) => agent.calls.filter((call) => /start|open/.test(call))),
    ).toEqual([]);
  });

  test("lists show what one may see", async () => {
    await using bench = await Bench.create(["web1", "db1"]);
    const root = await bench.client("root");
    const [onWeb, onBoth] = [startParams("web1"), startParams("*")];
    for (const params of [onWeb, onBoth]) await root.request("fanout.start", params);
    const sessions = [newSessionId(), newSessionId()];
    for (const [index, targets] of ["web1", "db1"].entries()) {
      await root.request("session.open", { session: sessions[index]!, targets, spec: sessionSpec });
    }
    await bench.setPolicy(webOnly);
    const ada = await bench.client("ada");
    expect((await ada.request("host.list", {})).hosts.map(({ name }) => name)).toEqual(["web1"]);
    // Nor do patterns tell of the others, by fitting something or nothing.
    for (const [there, nowhere] of [
      ["db1", "db2"],
      ["d*", "x*"],
      ["role=db", "role=x"],
    ] as const) {
      for (const targets of [there, nowhere]) {
        await expect(ada.request("host.list", { targets }), targets).rejects.toMatchObject({
          code: "not_found",
        });
      }
    }
    expect((await ada.request("fanout.list", {})).fanouts.map(({ job }) => job)).toEqual([onWeb.job]);
    const { sessions: listed } = await ada.request("session.list", {});
    expect(listed.map(({ status }) => status.session)).toEqual([sessions[0]]);
    // Of a job on both, what is on web1 is hers to read.
    const onWeb1 = { job: onBoth.job, hosts: [web1], streams: ["stdout" as const], follow: false };
    await new Receiver(ada, onWeb1).finished;
    await expect(ada.request("fanout.show", { job: onBoth.job })).rejects.toMatchObject(denied("on db1"));
  });

  test("a name or the beginning of an id means what one may see", async () => {
    await using bench = await Bench.create(["web1"], { policy: beginners });
    const { ada, job } = await adasWork(bench);
    const mallory = await bench.client("mallory");
    await mallory.request("fanout.start", startParams("web1", { name: "nightly" }));
    // Two are called so, and each is the only one for its owner.
    await expect(ada.request("fanout.show", { job: "nightly" })).resolves.toMatchObject({ fanout: { job } });
  });
});

describe("configurations and users", () => {
  const asked: [Action, object, string | undefined][] = [
    ["invoke", {}, undefined],
    ["invoke", { configuration: "maintenance" }, "in the configuration maintenance"],
    ["invoke", { user: "deploy" }, undefined],
    ["invoke", { user: "root" }, "as root"],
    ["session.open", { configuration: "maintenance" }, "in the configuration maintenance"],
    ["session.open", { user: "root" }, "as root"],
    ["session.open", { user: "deploy" }, undefined],
  ];

  test.each(asked)("%s %j", async (action, chosen, refusal) => {
    await using bench = await Bench.create(["web1"], {
      policy: `rules: [{ name: deployers, operators: [ada], actions: [invoke, session.open], users: [deploy] }]\n`,
    });
    const ada = await bench.client("ada");
    const { spec, ...params } = startParams("web1");
    const request =
      action === "invoke"
        ? ada.request("fanout.start", { ...params, spec: { ...spec, ...chosen } })
        : ada.request("session.open", {
            session: newSessionId(),
            targets: "web1",
            spec: { ...sessionSpec, ...chosen },
          });
    if (refusal === undefined) await request;
    else await expect(request).rejects.toMatchObject(denied(refusal));
  });
});

describe("a host in quarantine", () => {
  test("is selected by nothing, and naming it is refused with the way out", async () => {
    await using bench = await Bench.create(["web1"]);
    await bench.add("web2", { quarantinedSince: 1_000 });
    const alice = await bench.client();
    for (const targets of ["*", "web?", "role=web", "web1,role=web"]) {
      const { hosts } = await alice.request("fanout.start", { ...startParams(targets), job: newJobId() });
      expect(hosts.map(({ host }) => host)).toEqual(["web1"]);
    }
    const refused = denied(/web2 is in quarantine.*`outpost host approve web2`/);
    for (const targets of ["web2", "web1,web2", "*,web2"]) {
      await expect(alice.request("fanout.start", startParams(targets))).rejects.toMatchObject(refused);
      await expect(
        alice.request("session.open", { session: newSessionId(), targets, spec: sessionSpec }),
      ).rejects.toMatchObject(refused);
    }
    const attack = attacks["session.attach"]({ job: newJobId(), session: newSessionId() });
    await expect(alice.request("session.attach", { ...attack, host: "web2" })).rejects.toMatchObject(refused);
    expect((await alice.request("host.list", {})).hosts).toMatchObject([
      { name: "web1" },
      { name: "web2", quarantinedSince: 1_000 },
    ]);
    expect(bench.agent("web2").requests).toEqual([]);
    // What is refused so is in the audit log like any refusal.
    expect((await bench.audited()).filter(({ rule }) => rule === "quarantine")).toHaveLength(7);
  });

  test("reports no jobs and sessions of its own", async () => {
    await using bench = await Bench.create([]);
    await bench.add("web2", { quarantinedSince: 1_000 });
    const { job } = bench
      .agent("web2")
      .startLocally({ user: "root", command: "make", acceptedAt: 1_000 }).params;
    await bench.agent("web2").peer!.request("ping", {});
    expect(bench.services.fanOuts.find(job)).toBeUndefined();
    const status = { ...sessionStatus, session: newSessionId(), operator: "alice" };
    bench.agent("web2").peer!.notify("session.changed", { status });
    await bench.agent("web2").peer!.request("session.inventory", { sessions: [status] });
    expect((await (await bench.client()).request("session.list", {})).sessions).toEqual([]);
  });
});

describe("policy.explain", () => {
  const policy = `rules:
  - { name: web, operators: [ada], actions: [invoke, host.list], targets: role=web }
  - { name: auditors, operators: [root], actions: [policy.read, audit.read] }
`;

  test("tells everybody about themselves, host by host, and nothing of hosts that they may not see", async () => {
    await using bench = await Bench.create(["web1", "db1"], { policy });
    const ada = await bench.client("ada");
    const own = await ada.request("policy.explain", { action: "invoke" });
    expect(own.decisions).toMatchObject([{ host: "web1", allowed: true, rule: "web" }]);
    expect(own.rules.map(({ rule }) => rule)).toEqual(["web", "auditors"]);
    const named = await ada.request("policy.explain", { action: "invoke", targets: "db1" });
    expect(named.decisions).toMatchObject([{ host: "db1", allowed: false, rule: "default" }]);
    const stop = { action: "job.stop", targets: "web1" } as const;
    expect((await ada.request("policy.explain", stop)).decisions).toMatchObject([{ allowed: false }]);
    const asOwner = { ...stop, owner: "ada" as never };
    expect((await ada.request("policy.explain", asOwner)).decisions).toMatchObject([
      { allowed: true, rule: "owner" },
    ]);
    const tokens = await ada.request("policy.explain", { action: "token.create", targets: "web1" });
    expect(tokens.decisions).toEqual([expect.objectContaining({ allowed: false, rule: "default" })]);
    expect(tokens.decisions[0]).not.toHaveProperty("host");
  });

  test("about others, and the policy itself, are for those who may read it", async () => {
    await using bench = await Bench.create(["web1", "db1"], { policy });
    const asked = { as: "ada" as never, action: "invoke" as const };
    const [ada, root] = [await bench.client("ada"), await bench.client("root")];
    await expect(ada.request("policy.explain", { ...asked, as: "root" })).rejects.toMatchObject({
      code: "denied",
    });
    await expect(ada.request("policy.show", {})).rejects.toMatchObject({ code: "denied" });
    expect((await root.request("policy.explain", asked)).decisions).toMatchObject([
      { host: "db1", allowed: false },
      { host: "web1", allowed: true, rule: "web" },
    ]);
    expect(await root.request("policy.show", {})).toMatchObject({ text: policy });
  });

  test("a bad edit changes nothing but what policy.show says of it", async () => {
    await using bench = await Bench.create(["web1"], { policy });
    const root = await bench.client("root");
    writeFileSync(join(bench.directory, "policy.yaml"), `${policy}  - { name: broken }\n`);
    await until(() => bench.services.policy.shown.problem !== undefined);
    expect(await root.request("policy.show", {})).toMatchObject({
      text: policy,
      problem: expect.stringMatching(/policy\.yaml:\d+:\d+: /),
    });
    await (await bench.client("ada")).request("fanout.start", startParams("web1"));
    expect((await bench.audited()).filter(({ action }) => action === "policy.rejected")).toHaveLength(1);
  });

  test("a request that is refused says so at once when the policy has changed", async () => {
    await using bench = await Bench.create(["web1"], { policy });
    const ada = await bench.client("ada");
    await ada.request("fanout.start", startParams("web1"));
    await bench.setPolicy("rules: []\n");
    const error = await ada.request("fanout.start", startParams("web1")).then(
      () => undefined,
      (reason: unknown) => reason as OutpostError,
    );
    expect(error?.code).toBe("denied");
  });
});
