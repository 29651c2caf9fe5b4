import { type IncomingMessage, request } from "node:http";
import { request as secureRequest } from "node:https";
import type { Credentials } from "@outpost/access";
import { type MetricFamily, readMetrics } from "@outpost/protocol/testing";
import { describe, expect, test, vi } from "vitest";
import { Bench, startParams, until } from "../testing/bench.ts";
import { forge, RealController } from "../testing/real-controller.ts";
import { Receiver } from "../testing/receiver.ts";
import { Admission } from "../admission.ts";
import { Authority } from "../authority.ts";
import { MetricsListener } from "./listener.ts";
import { ControllerMetrics } from "./metrics.ts";

/** A controller that is measured. */
async function measured(hosts: readonly string[]) {
  const metrics = new ControllerMetrics("1.2.3");
  const bench = await Bench.create(hosts, { observer: metrics });
  const { authority } = await Authority.create();
  const credentials = await authority.issueServer(["localhost"]);
  metrics.watch({
    services: bench.services,
    admission: new Admission(bench.settings),
    certificate: { credentials },
  });
  return { metrics, bench, [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose]() };
}

/** All samples, by series. */
async function samples(metrics: ControllerMetrics): Promise<ReadonlyMap<string, number>> {
  const families = [...readMetrics(await metrics.text()).values()];
  return new Map(families.flatMap(({ samples: found }) => [...found]));
}

test("a fan-out job: its hosts, its starts, its ends, its output, and the requests for it", async () => {
  await using all = await measured(["web1", "web2", "web3"]);
  const { bench, metrics } = all;
  const client = await bench.client();
  for (const agent of bench.agents.values()) {
    agent.onStart = (job) => {
      job.write("stdout", "0123456789");
      job.end(agent === bench.agent("web3") ? 1 : 0);
    };
  }
  const params = startParams("web*", { receiving: true });
  await client.request("fanout.start", params);
  const receiver = new Receiver(client, { job: params.job, streams: ["stdout"], follow: true });
  await receiver.finished;
  const after = await samples(metrics);
  expect(Object.fromEntries(after)).toMatchObject({
    outpost_fanout_hosts_sum: 3,
    outpost_fanout_hosts_count: 1,
    outpost_fanout_start_seconds_count: 1,
    outpost_fanout_duration_seconds_count: 1,
    'outpost_job_ends_total{state="completed"}': 2,
    'outpost_job_ends_total{state="failed"}': 1,
    'outpost_relayed_bytes_total{kind="output",direction="from_hosts"}': 30,
    'outpost_requests_total{method="fanout.start",outcome="ok"}': 1,
    'outpost_requests_total{method="fanout.receive",outcome="ok"}': 1,
    'outpost_request_duration_seconds_count{method="fanout.receive"}': 1,
    outpost_open_reads: 0,
    'outpost_hosts{state="connected"}': 3,
    'outpost_build_info{version="1.2.3",protocol="3"}': 1,
  });
});

test("what goes wrong is counted by its code, and what hosts do is", async () => {
  await using all = await measured(["web1"]);
  const { bench, metrics } = all;
  const client = await bench.client();
  await expect(client.request("fanout.start", startParams("nobody"))).rejects.toMatchObject({
    code: "not_found",
  });
  await bench.cut("web1");
  const after = await samples(metrics);
  expect(Object.fromEntries(after)).toMatchObject({
    'outpost_requests_total{method="fanout.start",outcome="not_found"}': 1,
    'outpost_presence_changes_total{state="connected"}': 1,
    'outpost_presence_changes_total{state="disconnected"}': 1,
    'outpost_hosts{state="connected"}': 0,
    'outpost_hosts{state="disconnected"}': 1,
  });
});

test("a job counts once when it ends, and not again when the host repeats it", async () => {
  await using all = await measured(["web1"]);
  const { bench, metrics } = all;
  const client = await bench.client();
  const params = startParams("web1");
  await client.request("fanout.start", params);
  await until(() => bench.agent("web1").jobs.has(params.job), "the start");
  bench.agent("web1").job(params.job).end();
  await client.request("fanout.wait", { job: params.job, any: false });
  await bench.cut("web1");
  await bench.connect("web1");
  expect((await samples(metrics)).get('outpost_job_ends_total{state="completed"}')).toBe(1);
});

test("a roll-out, and the jobs that wait for their turn in it", async () => {
  await using all = await measured(["web1", "web2", "web3"]);
  const { bench, metrics } = all;
  const client = await bench.client();
  const params = startParams("web*", { rollout: { concurrency: { hosts: 1 } } });
  await client.request("fanout.start", params);
  // The first starts are answered, and it is not about those that are to come.
  await vi.waitUntil(async () => (await samples(metrics)).get("outpost_fanout_start_seconds_count") === 1);
  expect(Object.fromEntries(await samples(metrics))).toMatchObject({
    'outpost_rollouts{state="running"}': 1,
    'outpost_rollouts{state="paused"}': 0,
    'outpost_queued_jobs{waiting_for="rollout"}': 2,
    'outpost_queued_jobs{waiting_for="host"}': 0,
    outpost_unfinished_fanouts: 1,
  });
  await client.request("fanout.pause", { job: params.job });
  expect((await samples(metrics)).get('outpost_rollouts{state="paused"}')).toBe(1);
});

test("nothing in it names a host, an operator or a job", async () => {
  await using all = await measured(["web1"]);
  const { bench, metrics } = all;
  const client = await bench.client("grace");
  const params = startParams("web1");
  await client.request("fanout.start", params);
  const text = await metrics.text();
  for (const name of ["web1", "grace", params.job]) expect(text).not.toContain(name);
});

describe("in the clear", () => {
  test("metrics are served to this machine, and nothing else is", async () => {
    const metrics = new ControllerMetrics("1");
    await using listener = await MetricsListener.listen(metrics, { host: "localhost", port: 0 });
    const found = await get(listener.port, "/metrics");
    expect(found.type).toContain("text/plain; version=0.0.4");
    expect(readMetrics(found.text).get("outpost_build_info")?.type).toBe("gauge");
    expect((await get(listener.port, "/")).status).toBe(404);
    expect((await get(listener.port, "/metrics", "POST")).status).toBe(405);
    await expect(
      MetricsListener.listen(metrics, { host: "127.0.0.1", port: listener.port }),
    ).rejects.toMatchObject({ code: "conflict" });
  });

  test("a page of another name that points here is told nothing", async () => {
    const metrics = new ControllerMetrics("1");
    await using listener = await MetricsListener.listen(metrics, { host: "127.0.0.1", port: 0 });
    const named = async (host: string) => (await get(listener.port, "/metrics", "GET", host)).status;
    for (const host of ["evil.example", "evil.example:80", "127.0.0.1.evil.example:80", "10.0.0.1"]) {
      expect(await named(host), host).toBe(403);
    }
    for (const host of ["localhost", "LOCALHOST:9464", "127.0.0.1:80", "[::1]:9464"]) {
      expect(await named(host), host).toBe(200);
    }
  });

  test.each(["0.0.0.0", "::", "10.0.0.1", "192.168.1.1", "fe80::1", "example.com", "127.0.0.1.example.com"])(
    "not at %s, and what else there is is said",
    async (host) => {
      const metrics = new ControllerMetrics("1");
      const error = await MetricsListener.listen(metrics, { host, port: 0 }).catch(
        (reason: unknown) => reason,
      );
      expect(error).toMatchObject({
        code: "invalid_argument",
        message: expect.stringContaining("--metrics operators"),
      });
    },
  );
});

describe("at the controller's own port", () => {
  test("for operators who may do metrics.read, by their certificate; each refusal is in the audit log", async () => {
    await using real = await RealController.create({}, { metrics: "operators" });
    const { signIn } = await real.invite("bob");
    const bob = await signIn();
    await (await real.operator(bob)).close("signed in");
    const allowed = await getSecurely(real, real.init.operator);
    expect(allowed.status).toBe(200);
    const families = readMetrics(allowed.text);
    expect(families.get("outpost_hosts")?.samples.get('outpost_hosts{state="connected"}')).toBe(0);
    expect(valueOf(families, "outpost_handshakes_accepted_total", 'kind="operator"')).toBeGreaterThan(0);
    expect((await getSecurely(real, real.init.operator)).status).toBe(200);
    const denied = await getSecurely(real, bob);
    expect(denied.status).toBe(403);
    expect(denied.text).toContain("bob is not allowed metrics.read");
    expect((await getSecurely(real, undefined)).text).toContain("a client certificate is needed");
    const lines = (await real.audited()).filter(({ action }) => action === "metrics.read");
    // Who collects every few seconds is written once an hour.
    expect(lines).toMatchObject([
      { operator: "alice", decision: "allowed" },
      { operator: "bob", decision: "denied" },
    ]);
  });

  test("who was invited and never signed in, was removed, or has a forged certificate is not let in", async () => {
    await using real = await RealController.create({}, { metrics: "operators" });
    const { owner, signIn } = await real.invite("bob");
    const bob = await signIn();
    expect((await getSecurely(real, bob)).status).toBe(403);
    await (await real.operator(bob)).close("signed in");
    expect((await getSecurely(real, bob)).text).toContain("bob is not allowed");
    // What whoever has the key of the controller's CA can make: everything but the operator's own key.
    const forged = await forge(await real.authority(), { kind: "operator", id: owner.id }, { name: "alice" });
    expect((await getSecurely(real, forged)).text).not.toContain("bob");
    await real.ask((client) => client.request("operator.remove", { name: owner.name }));
    expect((await getSecurely(real, bob)).text).not.toContain("bob is not allowed");
  });

  test("a host has no business there, and without metrics it says how to have them", async () => {
    await using real = await RealController.create();
    const host = await real.join("web1");
    expect((await getSecurely(real, host)).status).toBe(403);
    const none = await getSecurely(real, real.init.operator);
    expect(none.status).toBe(404);
    expect(none.text).toContain("--metrics");
  });
});

function valueOf(
  families: ReadonlyMap<string, MetricFamily>,
  name: string,
  labels: string,
): number | undefined {
  return families.get(name)?.samples.get(`${name}{${labels}}`);
}

interface Answer {
  readonly status: number | undefined;
  readonly type: string;
  readonly text: string;
}

function get(port: number, path: string, method = "GET", name?: string): Promise<Answer> {
  const headers = name === undefined ? {} : { host: name };
  return new Promise((resolve, reject) => {
    request({ port, host: "127.0.0.1", path, method, headers }, (response) => answerOf(response, resolve))
      .on("error", reject)
      .end();
  });
}

/** As a program does that is not ours: an operator's certificate may be two, and it shows both in the handshake only. */
function getSecurely(real: RealController, client: Credentials | undefined): Promise<Answer> {
  const own = client === undefined ? {} : { cert: client.certificate, key: client.key };
  return new Promise((resolve, reject) => {
    secureRequest(
      {
        port: real.port,
        host: "127.0.0.1",
        path: "/metrics",
        ca: real.init.authority,
        agent: false,
        ...own,
      },
      (response) => answerOf(response, resolve),
    )
      .on("error", reject)
      .end();
  });
}

function answerOf(response: IncomingMessage, resolve: (answer: Answer) => void): void {
  let text = "";
  response.setEncoding("utf8");
  response.on("data", (piece: string) => (text += piece));
  response.on("end", () => {
    resolve({ status: response.statusCode, type: response.headers["content-type"] ?? "", text });
  });
}
