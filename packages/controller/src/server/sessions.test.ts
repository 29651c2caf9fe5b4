import * as fc from "fast-check";
import {
  type HostName,
  newJobId,
  newSessionId,
  newViewerId,
  OutpostError,
  type SessionId,
  type SessionSpec,
  type SessionState,
} from "@outpost/protocol";
import { describe, expect, test } from "vitest";
import { Bench, type OperatorClient, startParams, until } from "./testing/bench.ts";
import { FakeSession } from "./testing/fake-sessions.ts";
import { mergeAnswer } from "./session-status.ts";

function spec(more: Partial<SessionSpec> = {}): SessionSpec {
  return {
    env: {},
    columns: 80,
    rows: 24,
    record: false,
    temporary: false,
    onExit: "end",
    ...more,
  };
}

async function open(client: OperatorClient, targets: string, name?: string, session = newSessionId()) {
  const { hosts } = await client.request("session.open", {
    session,
    targets,
    spec: spec(name === undefined ? {} : { name: name as never }),
  });
  return { session, hosts };
}

const list = async (client: OperatorClient, params = {}) =>
  (await client.request("session.list", params)).sessions;

describe("opening", () => {
  test("on several hosts, one of them away: each for itself", async () => {
    await using bench = await Bench.create(["web1", "web2", "web10"]);
    const client = await bench.client();
    await bench.cut("web2");
    const { session, hosts } = await open(client, "web*", "deploy");
    expect(hosts.map(({ host, info, error }) => [host, info?.status.state, error?.code])).toEqual([
      ["web1", "disconnected", undefined],
      ["web2", undefined, "host_unreachable"],
      ["web10", "disconnected", undefined],
    ]);
    expect(hosts[1]!.error!.data).toEqual({ host: "web2", since: expect.any(Number) });
    expect(bench.agent("web1").sessions.session(session).params.operator).toBe("alice");
    expect((await list(client)).map(({ host }) => host)).toEqual(["web1", "web10"]);
  });

  test("a host that refuses is one host's outcome", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    bench.agent("web1").sessions.refuseOpen = new OutpostError("start_failed", "no such shell");
    const { hosts } = await open(await bench.client(), "web*");
    expect(hosts.map(({ error }) => error?.code)).toEqual(["start_failed", undefined]);
  });

  test("a host that is cut in the middle is asked again, and opens one session", async () => {
    await using bench = await Bench.create(["web1"]);
    const { sessions } = bench.agent("web1");
    const client = await bench.client();
    sessions.beforeOpened = () => new Promise(() => {});
    const opening = open(client, "web1");
    await until(() => sessions.all.size === 1);
    sessions.beforeOpened = () => Promise.resolve();
    await bench.cut("web1");
    await bench.connect("web1");
    const { hosts } = await opening;
    expect(hosts[0]).toMatchObject({ host: "web1", info: { status: { state: "disconnected" } } });
    expect(sessions.all.size).toBe(1);
    expect(bench.agent("web1").count("session.open")).toBe(2);
  });

  test("a host that is cut and stays away, and one that never answers, end in time", async () => {
    await using bench = await Bench.create(["web1", "web2"], { sessionAnswerMs: 100 });
    for (const name of ["web1", "web2"])
      bench.agent(name).sessions.beforeOpened = () => new Promise(() => {});
    const opening = open(await bench.client(), "web*");
    await until(() => bench.agent("web1").sessions.all.size === 1);
    await bench.cut("web1");
    const { hosts } = await opening;
    expect(hosts.map(({ error }) => error?.code)).toEqual(["host_unreachable", "timeout"]);
    expect(hosts[0]!.error!.message).toContain("it may be open");
  });

  test("a name that a live session of another id has on one of the hosts is refused before anything is opened", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    const client = await bench.client();
    const { session } = await open(client, "web1", "deploy");
    await expect(open(client, "web*", "deploy")).rejects.toMatchObject({
      code: "conflict",
      data: { session, host: "web1" },
    });
    expect(bench.agent("web2").count("session.open")).toBe(0);
    // The same one again, on more hosts; and another one elsewhere, or after its end.
    expect((await open(client, "web*", "deploy", session)).hosts.every(({ info }) => info)).toBe(true);
    bench.agent("web1").sessions.session(session).end();
    await until(() => bench.services.sessions.of(session).some(({ isEnded }) => isEnded));
    expect((await open(client, "web1", "deploy")).hosts[0]!.error).toBeUndefined();
  });
});

describe("listing", () => {
  test("filters by targets, session and state; says since when a host is away", async () => {
    await using bench = await Bench.create(["db1", "web1", "web2"]);
    const client = await bench.client();
    const a = await open(client, "web*", "a");
    const b = await open(client, "db1", "b");
    const looks = async (params = {}) =>
      (await list(client, params)).map(({ host, status }) => [host, status.name]);
    expect(await looks({ targets: "role=web" })).toEqual([
      ["web1", "a"],
      ["web2", "a"],
    ]);
    expect(await looks({ session: "b" })).toEqual([["db1", "b"]]);
    expect(await looks({ session: "a", targets: "web2,db1" })).toEqual([["web2", "a"]]);
    bench.agent("web2").sessions.session(a.session).end(3);
    await until(() => bench.services.sessions.of(a.session)[1]!.isEnded);
    expect(await looks({ states: ["closed"] })).toEqual([["web2", "a"]]);
    await expect(looks({ targets: "nobody" })).rejects.toMatchObject({ code: "not_found" });

    expect((await list(client, { session: "b" }))[0]!.unreachableSince).toBeUndefined();
    await bench.cut("db1");
    const [away] = await list(client, { session: b.session });
    expect(away).toMatchObject({ host: "db1", unreachableSince: expect.any(Number) });
    expect(away!.status.state).toBe("disconnected");
  });

  test("asks the hosts how much there is, which they do not tell byte by byte", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const { session } = await open(client, "web1");
    bench.agent("web1").sessions.session(session).write("hello");
    expect((await list(client))[0]!.status.output).toEqual({ written: 5, unread: 5 });
  });
});

describe("which session is meant", () => {
  test("an id, a name, the beginning of an id; live ones before ended ones", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    const client = await bench.client();
    const first = await open(client, "web*", "deploy", "aaaa00000001" as SessionId);
    await open(client, "web1", "other", "aaaa00000002" as SessionId);
    const ids = async (session: string) =>
      (await list(client, { session })).map(({ status }) => status.session);
    expect(await ids("deploy")).toEqual([first.session, first.session]);
    expect(await ids("aaaa00000002")).toEqual(["aaaa00000002"]);
    expect(await ids("aaaa00000001")).toHaveLength(2);
    await expect(ids("aaaa")).rejects.toMatchObject({
      code: "conflict",
      data: { sessions: ["aaaa00000001", "aaaa00000002"] },
    });
    await expect(ids("zzz")).rejects.toMatchObject({ code: "not_found", data: { session: "zzz" } });
    bench
      .agent("web1")
      .sessions.session("aaaa00000002" as SessionId)
      .end();
    await until(() => bench.services.sessions.of("aaaa00000002" as SessionId)[0]!.isEnded);
    expect(await ids("aaaa")).toHaveLength(2);
    expect(await ids("other")).toEqual(["aaaa00000002"]);
  });

  test("one name on several hosts under several ids has to be told apart", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    const client = await bench.client();
    const one = await open(client, "web1", "deploy");
    const two = await open(client, "web2", "deploy");
    const error = await list(client, { session: "deploy" }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "conflict" });
    expect((error as OutpostError).data["sessions"]).toEqual(
      expect.arrayContaining([one.session, two.session]),
    );
  });
});

describe("what hosts say", () => {
  test("is taken over as it comes, and gone is gone, whatever answer comes late", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const { session } = await open(client, "web1");
    const fake = bench.agent("web1").sessions.session(session);
    fake.change({ availability: "busy", command: "vim" });
    await until(() => bench.services.sessions.of(session)[0]!.status.command === "vim");
    await client.request("session.remove", { session });
    expect(await list(client)).toEqual([]);
    const { presence, sessions } = bench.services;
    const host = presence.hostNamed("web1" as HostName)!;
    sessions.answered(host, { ...fake.status, state: "opened" }, presence.link(host.id)!);
    expect([...sessions.all()]).toEqual([]);
  });

  test("an inventory without a session: a live one is broken, an ended one is dropped, another one is new", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const live = await open(client, "web1", "live");
    const ended = await open(client, "web1", "ended");
    const fakes = bench.agent("web1").sessions;
    fakes.session(ended.session).end();
    await until(() => bench.services.sessions.of(ended.session)[0]!.isEnded);
    await bench.cut("web1");
    const found = new FakeSession({ session: newSessionId(), spec: spec(), operator: "bob" }, () => {});
    fakes.all.clear();
    fakes.all.set(found.params.session, found);
    await bench.connect("web1");
    const now = await list(client);
    expect(now.map(({ status }) => [status.session, status.state, status.reason?.code])).toEqual(
      expect.arrayContaining([
        [live.session, "broken", "forgotten"],
        [found.params.session, "disconnected", undefined],
      ]),
    );
    expect(now).toHaveLength(2);
    // The next time nothing is left of it.
    await bench.cut("web1");
    await bench.connect("web1");
    expect(await list(client)).toHaveLength(1);
  });

  test("an inventory again, when the host has learnt its sessions anew, counts as much", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const { session } = await open(client, "web1");
    bench.agent("web1").sessions.all.clear();
    await bench.agent("web1").peer!.request("session.inventory", { sessions: [] });
    expect((await list(client))[0]!.status).toMatchObject({ session, state: "broken" });
  });

  test("a controller that was killed still knows, and the host corrects it", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    const { session } = await open(await bench.client(), "web*", "deploy");
    bench.agent("web1").sessions.session(session).change({ availability: "busy" });
    await until(() =>
      bench.services.catalogue.sessions.all().some(({ status }) => status.availability === "busy"),
    );
    await bench.kill();
    const client = await bench.client();
    const before = await list(client, { session: "deploy" });
    expect(before.map(({ host, status }) => [host, status.availability])).toEqual([
      ["web1", "busy"],
      ["web2", "available"],
    ]);
    expect(before.every(({ unreachableSince }) => unreachableSince !== undefined)).toBe(true);
    bench.agent("web1").sessions.session(session).end();
    await bench.connect("web1");
    expect((await list(client))[0]!.status.state).toBe("closed");
  });

  test("a new session is written at once, a chatty one once in a while, and the last word counts", async () => {
    await using bench = await Bench.create(["web1"], { sessionWriteBehindMs: 10_000 });
    const { session } = await open(await bench.client(), "web1");
    const { sessions } = bench.services.catalogue;
    await until(() => sessions.all().length === 1);
    const fake = bench.agent("web1").sessions.session(session);
    for (let at = 0; at < 100; at++) fake.change({ activeAt: at });
    await until(() => bench.services.sessions.of(session)[0]!.status.activeAt === 99);
    expect(sessions.all()[0]!.status.activeAt).not.toBe(99);
    bench.services.sessions.flush();
    expect(sessions.all()[0]!.status.activeAt).toBe(99);
  });

  test("what ended long ago on a host that does not come back is forgotten", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    const { session } = await open(await bench.client(), "web*");
    for (const name of ["web1", "web2"]) bench.agent(name).sessions.session(session).end();
    await until(() => bench.services.sessions.of(session).every(({ isEnded }) => isEnded));
    await bench.cut("web2");
    bench.services.sessions.purge(3_000);
    expect(bench.services.sessions.of(session).map(({ hostName }) => hostName)).toEqual(["web1"]);
    bench.services.sessions.flush();
    expect(bench.services.catalogue.sessions.all()).toHaveLength(1);
  });

  test("an answer that something newer has overtaken never takes a session back", () => {
    const base = new FakeSession({ session: newSessionId(), spec: spec(), operator: "bob" }, () => {}).status;
    const status = fc.record({
      state: fc.constantFrom<SessionState>("opening", "opened", "disconnected", "closed", "broken"),
      written: fc.nat(3),
    });
    fc.assert(
      fc.property(status, status, (known, answered) => {
        const of = ({ state, written }: typeof known) => ({ ...base, state, output: { written, unread: 0 } });
        const merged = mergeAnswer(of(known), of(answered));
        const isEnded = known.state === "closed" || known.state === "broken";
        if (isEnded) expect(["closed", "broken"]).toContain(merged.state);
        if (known.state !== "opening") expect(merged.state).not.toBe("opening");
        expect(merged.output.written).toBeGreaterThanOrEqual(known.written);
      }),
    );
  });
});

describe("disconnecting and removing", () => {
  test("on all of its hosts, or some; one that is away is told", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    const client = await bench.client();
    const { session } = await open(client, "web*");
    await bench.cut("web2");
    const sent = await client.request("session.disconnect", { session });
    expect(sent.hosts.map(({ info, error }) => info?.status.session ?? error?.code)).toEqual([
      session,
      "host_unreachable",
    ]);
    expect(bench.agent("web1").sessions.session(session).leave).toEqual({
      reason: "disconnected",
      by: "alice",
    });
    const removed = await client.request("session.remove", { session, hosts: ["web1"] });
    expect(removed.hosts).toEqual([{ host: "web1" }]);
    expect((await list(client)).map(({ host }) => host)).toEqual(["web2"]);
    expect((await client.request("session.remove", { session })).hosts[0]!.error!.code).toBe(
      "host_unreachable",
    );
  });

  test("removing what nobody knows succeeds; disconnecting it does not", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const session = newSessionId();
    expect(await client.request("session.remove", { session })).toEqual({ hosts: [] });
    await expect(client.request("session.disconnect", { session })).rejects.toMatchObject({
      code: "not_found",
    });
    await expect(client.request("session.remove", { session, hosts: ["web9"] })).rejects.toMatchObject({
      code: "not_found",
      data: { host: "web9" },
    });
  });

  test("sizes, roles and acknowledgements go to the host, which must be there", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const { session } = await open(client, "web1");
    const host = "web1" as HostName;
    await client.request("session.acknowledge", { host, session, from: 3, to: 9 });
    expect(bench.agent("web1").sessions.acknowledged).toEqual([[3, 9]]);
    await bench.cut("web1");
    await expect(
      client.request("session.acknowledge", { host, session, from: 9, to: 10 }),
    ).rejects.toMatchObject({ code: "host_unreachable", data: { host: "web1", since: expect.any(Number) } });
  });
});

describe("waiting", () => {
  test("until it is available on all hosts", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    const client = await bench.client();
    const { session } = await open(client, "web*");
    const fakes = ["web1", "web2"].map((name) => bench.agent(name).sessions.session(session));
    for (const fake of fakes) fake.change({ availability: "busy" });
    await until(() =>
      bench.services.sessions.of(session).every(({ status }) => status.availability === "busy"),
    );
    expect(
      await client.request("session.wait", { session, until: "available", timeoutMs: 10 }),
    ).toMatchObject({
      reached: false,
      sessions: [{ status: { availability: "busy" } }, { status: { availability: "busy" } }],
    });
    const waiting = client.request("session.wait", { session, until: "available" });
    fakes[0]!.change({ availability: "available" });
    // What an unreachable host said last may be old; back, it says so again.
    await bench.cut("web2");
    fakes[1]!.status = { ...fakes[1]!.status, availability: "available" };
    await bench.connect("web2");
    expect((await waiting).reached).toBe(true);
  });

  test("one that ends instead of becoming available is not what was waited for; for its end it is", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const { session } = await open(client, "web1");
    const fake = bench.agent("web1").sessions.session(session);
    fake.change({ availability: "busy" });
    await until(() => bench.services.sessions.of(session)[0]!.status.availability === "busy");
    const both = (["available", "ended"] as const).map((what) =>
      client.request("session.wait", { session, until: what }),
    );
    fake.end(7);
    expect(await Promise.all(both)).toMatchObject([
      { reached: false, sessions: [{ status: { state: "closed", exit: { code: 7 } } }] },
      { reached: true },
    ]);
  });

  test("a removal is an end; a wait can be taken back", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const { session } = await open(client, "web1");
    const stop = new AbortController();
    const cancelled = client.request("session.wait", { session, until: "ended" }, { signal: stop.signal });
    stop.abort();
    await expect(cancelled).rejects.toMatchObject({ code: "cancelled" });
    const waiting = client.request("session.wait", { session, until: "ended" });
    await client.request("session.remove", { session });
    expect(await waiting).toMatchObject({ reached: true, sessions: [{ status: { state: "closed" } }] });
    await expect(client.request("session.wait", { session, until: "ended" })).rejects.toMatchObject({
      code: "not_found",
    });
  });
});

describe("jobs in sessions", () => {
  const job = (ids: SessionId[], targets?: string, more = {}) => {
    const { targets: _targets, spec: plain, ...rest } = startParams("-");
    return {
      ...rest,
      job: newJobId(),
      ...(targets === undefined ? {} : { targets }),
      spec: { ...plain, session: { ids, busy: "wait" as const }, ...more },
    };
  };

  test("run on the hosts that hold them, each tagged by its host", async () => {
    await using bench = await Bench.create(["db1", "web1", "web2"]);
    const client = await bench.client();
    const { session } = await open(client, "web*");
    const other = await open(client, "db1");
    const params = job([session, other.session]);
    const { hosts } = await client.request("fanout.start", params);
    expect(hosts.map(({ host }) => host)).toEqual(["db1", "web1", "web2"]);
    for (const name of ["db1", "web1", "web2"]) {
      await until(() => bench.agent(name).jobs.has(params.job));
      const started = bench.agent(name).job(params.job);
      expect(started.params.spec.session).toEqual({ ids: [session, other.session], busy: "wait" });
      started.end();
    }
    expect((await client.request("fanout.wait", { job: params.job, any: false })).ended).toBe(true);
    const some = await client.request("fanout.start", job([session], "web2"));
    expect(some.hosts.map(({ host }) => host)).toEqual(["web2"]);
  });

  test("what cannot be is said before anything runs", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    const client = await bench.client();
    const one = await open(client, "web1", "one");
    const two = await open(client, "web1", "two");
    const refused = (params: ReturnType<typeof job>) =>
      client.request("fanout.start", params).then(
        () => "started",
        (error: OutpostError) => ({ code: error.code, data: error.data, message: error.message }),
      );
    expect(await refused(job([one.session, two.session]))).toEqual({
      code: "conflict",
      data: { host: "web1", sessions: [one.session, two.session] },
      message: expect.stringContaining("web1 holds two"),
    });
    expect(await refused(job([one.session], "web*"))).toMatchObject({
      code: "not_found",
      data: { host: "web2" },
    });
    const unknown = newSessionId();
    expect(await refused(job([unknown]))).toMatchObject({ code: "not_found", data: { session: unknown } });
    expect(await refused(job([one.session], undefined, { env: { A: "1" } }))).toMatchObject({
      code: "invalid_argument",
    });
    expect(await refused(job([one.session], undefined, { cwd: "/" }))).toMatchObject({
      code: "invalid_argument",
    });
    bench.agent("web1").sessions.session(one.session).end(4);
    await until(() => bench.services.sessions.of(one.session)[0]!.isEnded);
    expect(await refused(job([one.session]))).toEqual({
      code: "conflict",
      data: { host: "web1", session: one.session },
      message: "the session one on web1 has ended: its shell exited with 4",
    });
    const { targets: _targets, ...nothing } = startParams("-");
    await expect(client.request("fanout.start", nothing)).rejects.toMatchObject({ code: "invalid_argument" });
    expect(bench.agent("web1").count("job.start")).toBe(0);
  });

  test("a session on a host that is away is that host's failure", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    const client = await bench.client();
    const { session } = await open(client, "web*");
    await bench.cut("web2");
    const params = job([session]);
    await client.request("fanout.start", params);
    const { jobs } = await client.request("fanout.show", { job: params.job });
    expect(jobs.find(({ host }) => host === "web2")!.status.reason!.code).toBe("host_unreachable");
  });
});

describe("a host that says too much", () => {
  test("is cut short, so that the list still fits into a message", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const { session } = await open(client, "web1");
    const long = "x".repeat(300_000);
    const viewer = { viewer: newViewerId(), operator: "y".repeat(1_000), role: "watch", since: 1 } as const;
    bench
      .agent("web1")
      .sessions.session(session)
      .change({
        command: long,
        shell: long,
        operator: long,
        viewers: Array(500).fill(viewer),
        runs: Array(5_000).fill(newJobId()),
        state: "broken",
        exit: { signal: long },
        reason: { code: "forgotten", message: long, by: long },
      });
    await until(() => bench.services.sessions.of(session)[0]!.isEnded);
    const [shown] = await list(client);
    expect(JSON.stringify(shown).length).toBeLessThan(32 * 1024);
    expect(shown!.status).toMatchObject({
      command: `${"x".repeat(255)}…`,
      reason: { message: `${"x".repeat(999)}…` },
    });
  });

  test("of sessions without end is heard up to a number, and others still are", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    const client = await bench.client();
    const { session } = await open(client, "web1");
    const [known] = bench.services.sessions.of(session);
    const { presence, sessions } = bench.services;
    const tell = (name: string): void => {
      const host = presence.hostNamed(name as HostName)!;
      sessions.told(host, { ...known!.status, session: newSessionId() }, presence.link(host.id)!);
    };
    for (let at = 0; at < 6_000; at++) tell("web1");
    tell("web2");
    expect([...sessions.all()]).toHaveLength(5_001);
    // What it has said before it may still say.
    sessions.told(presence.host(known!.host)!, { ...known!.status, state: "closed" }, known!.heardOn!);
    expect(known!.isEnded).toBe(true);
  });
});
