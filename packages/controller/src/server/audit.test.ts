/** The controller's audit log: what is written of requests, when, and what is not done because it cannot be written. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type HostName, newSessionId, OutpostError } from "@outpost/protocol";
import { pino } from "pino";
import { describe, expect, test, vi } from "vitest";
import { Audit } from "./audit.ts";
import { Bench, startParams, until } from "./testing/bench.ts";
import { Receiver } from "./testing/receiver.ts";
import { Viewer } from "./testing/viewer.ts";

const web1 = "web1" as HostName;
const sessionSpec = {
  env: {},
  columns: 80,
  rows: 24,
  record: false,
  temporary: false,
  onExit: "end",
} as const;

describe("a job", () => {
  test("is written before it starts and when it has ended, with what a person needs and nothing secret", async () => {
    await using bench = await Bench.create(["web1", "web2", "web3"]);
    const seen: number[] = [];
    for (const name of ["web1", "web2"]) {
      bench.agent(name).onStart = (job) => {
        // The request's line is written before any host has heard of it.
        const lines = readFileSync(join(bench.directory, "audit", "audit.ndjson"), "utf8");
        seen.push(lines.split(`"action":"invoke"`).length - 1);
        job.write("stdout", "12345");
        job.end(name === "web1" ? 0 : 3);
      };
    }
    await bench.cut("web3");
    const client = await bench.client();
    const params = startParams("web*", {
      spec: {
        command: { kind: "exec", argv: ["deploy", "it now"] },
        env: { PASSWORD: "hunter2" },
        input: { kind: "inline", bytes: Buffer.from("hunter2") },
      },
    });
    await client.request("fanout.start", params);
    await client.request("fanout.wait", { job: params.job, any: false });
    expect(seen).toEqual([1, 1]);
    const lines = await bench.audited();
    const [request, outcome] = lines.filter(({ action }) => action === "invoke");
    expect(request).toMatchObject({
      kind: "request",
      operator: "alice",
      hosts: ["web1", "web2", "web3"],
      subject: params.job,
      what: "deploy 'it now'",
      decision: "allowed",
      rule: "everything",
    });
    expect(outcome).toMatchObject({
      kind: "outcome",
      of: request!.sequence,
      operator: "alice",
      subject: params.job,
      outcome: "failed",
      message: "1 completed, 2 failed; not completed on web2, web3",
      bytes: 10,
    });
    expect(await readFile(join(bench.directory, "audit", "audit.ndjson"), "utf8")).not.toContain("hunter2");
    expect(await client.request("audit.verify", {})).toMatchObject({ problems: [], first: 1 });
    const listed = await client.request("audit.list", { subject: params.job, action: "invoke" });
    expect(listed.entries).toMatchObject([{ sequence: request!.sequence }, { of: request!.sequence }]);
  });

  test("that ends under the next controller has its outcome, once", async () => {
    await using bench = await Bench.create(["web1"]);
    const params = startParams("web1");
    await (await bench.client()).request("fanout.start", params);
    await until(() => bench.agent("web1").jobs.has(params.job));
    await bench.kill();
    bench.agent("web1").job(params.job).end();
    await bench.connect("web1");
    await until(() => bench.services.fanOuts.find(params.job)!.isEnded);
    const lines = (await bench.audited()).filter(({ subject }) => subject === params.job);
    expect(lines).toMatchObject([
      { kind: "request", action: "invoke" },
      { kind: "outcome", action: "invoke", of: lines[0]!.sequence, outcome: "completed" },
    ]);
  });

  test("somebody else's word about it is a line, allowed or not, with how it ended", async () => {
    await using bench = await Bench.create(["web1"], {
      policy: `rules:
  - { name: starters, operators: [alice], actions: [invoke] }
  - { name: readers, operators: [bob], actions: [job.read] }
`,
    });
    const params = startParams("web1");
    const { job } = params;
    await (await bench.client()).request("fanout.start", params);
    await until(() => bench.agent("web1").jobs.has(job));
    bench.agent("web1").job(job).write("stdout", "1234567");
    bench.agent("web1").job(job).write("stderr", "89");
    const bob = await bench.client("bob");
    await new Receiver(bob, { job, streams: ["stdout", "stderr", "timeline"], follow: false }).finished;
    await expect(bob.request("fanout.stop", { job })).rejects.toMatchObject({ code: "denied" });
    const lines = (await bench.audited()).filter(({ operator }) => operator === "bob");
    expect(lines).toMatchObject([
      {
        kind: "request",
        action: "job.read",
        decision: "allowed",
        rule: "readers",
        subject: job,
        hosts: ["web1"],
      },
      { kind: "outcome", action: "job.read", of: lines[0]!.sequence, outcome: "ok", bytes: 9 },
      {
        kind: "request",
        action: "job.stop",
        decision: "denied",
        rule: "default",
        subject: job,
        hosts: ["web1"],
        message: expect.stringContaining("bob is not allowed job.stop"),
      },
    ]);
    expect(lines[1]!.durationMs).toBeGreaterThanOrEqual(0);
  });
});

describe("other requests", () => {
  test("sessions: opening, looking on and its bytes, a host that failed, what ended early", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    bench.agent("web2").sessions.refuseOpen = new OutpostError("busy", "too many sessions");
    const client = await bench.client();
    const session = newSessionId();
    await client.request("session.open", {
      session,
      targets: "web*",
      spec: { ...sessionSpec, name: "main" },
    });
    const fake = bench.agent("web1").sessions.session(session);
    fake.insertions.push({ at: 5, gap: { from: 5, to: 1_000, reason: "dropped" } });
    const leave = new AbortController();
    const viewer = new Viewer(client, "web1", session, { from: 0 }, leave.signal);
    fake.write(Buffer.alloc(1_010, "x"));
    await until(() => viewer.stream?.offset === 1_010);
    leave.abort();
    await viewer.finished.catch(() => {});
    const bySession = async () => (await bench.audited()).filter(({ operator }) => operator === "alice");
    await vi.waitUntil(async () => (await bySession()).length === 4);
    const lines = await bySession();
    expect(lines).toMatchObject([
      { kind: "request", action: "session.open", hosts: ["web1", "web2"], subject: session, what: "main" },
      {
        kind: "outcome",
        of: lines[0]!.sequence,
        outcome: "busy",
        message: "failed on web2: too many sessions",
      },
      { kind: "request", action: "session.control", what: "enter", hosts: ["web1"] },
      { kind: "outcome", of: lines[2]!.sequence, outcome: "cancelled", bytes: 15 },
    ]);
  });

  test("acknowledgements are one line for each connection, and a denied one is always one", async () => {
    await using bench = await Bench.create(["web1"]);
    const params = startParams("web1");
    const { job } = params;
    const client = await bench.client();
    await client.request("fanout.start", params);
    await until(() => bench.agent("web1").jobs.has(job));
    bench.agent("web1").job(job).write("stdout", "12345");
    const acknowledge = (asker: typeof client, stdout: number) =>
      asker.request("fanout.acknowledge", { job, received: { [web1]: { stdout } } });
    for (const stdout of [1, 2, 3]) await acknowledge(client, stdout);
    await acknowledge(await bench.client(), 4);
    await bench.setPolicy("rules: []\n");
    const eve = await bench.client("eve");
    for (const stdout of [5, 5])
      await expect(acknowledge(eve, stdout)).rejects.toMatchObject({ code: "denied" });
    const lines = (await bench.audited()).filter(({ what }) => what === "acknowledge its output");
    expect(lines.map(({ operator, decision }) => [operator, decision])).toEqual([
      ["alice", "allowed"],
      ["alice", "allowed"],
      ["eve", "denied"],
      ["eve", "denied"],
    ]);
  });

  test("a host that says impossible numbers does not spoil the log", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const params = startParams("web1");
    await client.request("fanout.start", params);
    await until(() => bench.agent("web1").jobs.has(params.job));
    const extent = { written: Number.MAX_SAFE_INTEGER, received: 0 };
    const output = { stdout: extent, stderr: extent };
    const status = { job: params.job, state: "completed", output, exit: { code: 0 } } as const;
    bench.agent("web1").peer!.notify("job.changed", { status });
    await until(() => bench.services.fanOuts.find(params.job)!.isEnded);
    expect(await client.request("audit.verify", {})).toMatchObject({ problems: [] });
    expect(
      (await client.request("audit.list", {})).entries.some(({ outcome }) => outcome === "completed"),
    ).toBe(true);
  });

  test("acknowledgements of several hosts name each once, however they are put together", async () => {
    await using bench = await Bench.create(["web1", "web2", "web3"]);
    const params = startParams("web*");
    const client = await bench.client();
    await client.request("fanout.start", params);
    const acknowledge = (...hosts: string[]) =>
      client.request("fanout.acknowledge", {
        job: params.job,
        received: Object.fromEntries(hosts.map((host) => [host, { stdout: 0 }])),
      });
    await acknowledge("web1", "web2");
    await acknowledge("web2");
    await acknowledge("web2", "web3");
    await acknowledge("web3", "web1");
    await acknowledge("web1", "web2", "web3");
    const lines = (await bench.audited()).filter(({ what }) => what === "acknowledge its output");
    expect(lines.map(({ hosts }) => hosts)).toEqual([["web1", "web2"], ["web3"]]);
  });

  test("what cannot be written is not done, reads included", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const params = startParams("web1");
    await client.request("fanout.start", params);
    await until(() => bench.agent("web1").jobs.has(params.job));
    const before = bench.agent("web1").requests.length;
    const full = new OutpostError("disk_full", "the disk of the audit log is full");
    const request = vi.spyOn(bench.services.audit, "request").mockImplementation(() => {
      throw full;
    });
    const { job } = params;
    for (const asked of [
      client.request("fanout.start", startParams("web1")),
      client.request("fanout.stop", { job }),
      client.request("fanout.show", { job }),
      client.request("host.list", {}),
      client.request("session.list", {}),
      client.request("audit.list", {}),
    ]) {
      await expect(asked).rejects.toMatchObject({ code: "disk_full" });
    }
    expect(bench.agent("web1").requests.slice(before)).toEqual([]);
    expect(bench.agent("web1").job(job).isEnded).toBe(false);
    request.mockRestore();
    await client.request("fanout.stop", { job });
  });

  test("an edited line is found", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    await client.request("fanout.start", startParams("web1"));
    await client.request("fanout.list", {});
    const file = join(bench.directory, "audit", "audit.ndjson");
    writeFileSync(file, (await readFile(file, "utf8")).replace('"alice"', '"a1ice"'));
    expect((await client.request("audit.verify", {})).problems).not.toEqual([]);
  });
});

describe("what anybody can bring about", () => {
  test("does not push everything else out: 20 a minute are written, and how many more there were", () => {
    const directory = mkdtempSync(join(tmpdir(), "outpost-audit-"));
    try {
      let now = 1_000_000;
      using audit = Audit.open(directory, { now: () => now }, pino({ level: "silent" }));
      for (let index = 0; index < 50; index++)
        audit.refusal({ action: "connection.refused", message: String(index) });
      // Another kind has a count of its own.
      audit.refusal({ action: "enrolment.refused" });
      now += 60_000;
      audit.refusal({ action: "connection.refused", message: "later" });
      return expect(audit.list({}))
        .resolves.toMatchObject({
          entries: [
            ...Array.from({ length: 20 }, (_, index) => ({ message: String(index) })),
            { action: "enrolment.refused" },
            {
              action: "connection.refused",
              message: "30 more like the ones before this were not written down",
            },
            { message: "later" },
          ],
        })
        .finally(() => rmSync(directory, { recursive: true }));
    } catch (error) {
      rmSync(directory, { recursive: true });
      throw error;
    }
  });
});
