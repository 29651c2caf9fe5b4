import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { listAuditLog, verifyAuditLog } from "@outpost/access";
import { ErrorCode, type JobSpec, newJobId } from "@outpost/protocol";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Agent } from "./agent.ts";
import { join } from "./cli/join.ts";
import { agentPaths, type AgentPaths } from "./directory.ts";
import { signed } from "./testing/access.ts";
import { TestAuthority } from "./testing/authority.ts";
import { FakeController } from "./testing/controller.ts";
import { FakeJobs, runningJob } from "./testing/jobs.ts";

const log = pino({ level: "silent" });
let controller: FakeController;
let paths: AgentPaths;
let said: string[];

beforeEach(async () => {
  controller = await FakeController.start();
  paths = agentPaths(await mkdtemp(joinPath(tmpdir(), "outpost-agent-")));
  said = [];
  vi.spyOn(console, "log").mockImplementation((text: string) => void said.push(text));
});

afterEach(async () => {
  vi.restoreAllMocks();
  await controller[Symbol.asyncDispose]();
  await rm(paths.directory, { recursive: true });
});

function joinHost(options: { force?: boolean; token?: string } = {}): Promise<void> {
  const { force = false, token = controller.token() } = options;
  return join({ url: controller.url, token, name: "web1", label: ["role=web"], dir: paths.directory, force });
}

test("a host joins, starts, and serves its controller over mutual TLS", async () => {
  await joinHost();
  expect(said.join("\n")).toContain(`Next: outpost-agent start --dir ${paths.directory}`);
  expect((await stat(paths.key)).mode & 0o777).toBe(0o600);
  expect((await stat(paths.identity)).mode & 0o777).toBe(0o700);
  const jobs = new FakeJobs();
  const job = runningJob();
  jobs.held.set(job.job, job);
  await using agent = await Agent.start({ directory: paths.directory, log, jobs });
  await agent.connection.connected();
  const session = await controller.session();
  expect(agent.name).toBe("web1");
  expect(session.hello?.facts?.agentVersion).toMatch(/^\d+\.\d+\.\d+/);
  expect(await session.inventory).toEqual([job]);
  expect(await session.peer.request("job.status", { jobs: [job.job, newJobId()] })).toEqual({ jobs: [job] });
});

test("an agent that leaves says so, and its directory is free", async () => {
  await joinHost();
  const agent = await Agent.start({ directory: paths.directory, log, jobs: new FakeJobs() });
  await agent.connection.connected();
  const session = await controller.session();
  await expect(Agent.start({ directory: paths.directory, log, jobs: new FakeJobs() })).rejects.toMatchObject({
    code: ErrorCode.busy,
  });
  await expect(joinHost({ force: true })).rejects.toMatchObject({ code: ErrorCode.busy });
  await agent[Symbol.asyncDispose]();
  await agent[Symbol.asyncDispose]();
  expect((await session.peer.closed).message).toBe("the agent stops");
  await using again = await Agent.start({ directory: paths.directory, log, jobs: new FakeJobs() });
  await again.connection.connected();
});

test("a connection that is cut comes back by itself", async () => {
  await joinHost();
  await using agent = await Agent.start({ directory: paths.directory, log, jobs: new FakeJobs() });
  await agent.connection.connected();
  const first = await controller.session();
  await first.peer.close("restarting");
  const second = await controller.session();
  await second.inventory;
  await agent.connection.connected();
});

test("a controller that refuses the upgrade is waited for with its reason", async () => {
  await joinHost();
  controller.refuseUpgrades = "this host was removed";
  await using agent = await Agent.start({ directory: paths.directory, log, jobs: new FakeJobs() });
  await expect
    .poll(() => agent.connection.state)
    .toMatchObject({
      name: "waiting",
      error: { code: ErrorCode.denied, message: expect.stringContaining("this host was removed") },
    });
});

/** What the host's audit log says. */
async function recorded() {
  return (await listAuditLog(paths.audit, {})).entries;
}

/** The directory as an agent of version 0.1 has left it. */
async function asJoinedBefore(): Promise<void> {
  await joinHost();
  await rm(paths.operators);
}

test("join says what the host believes from now on", async () => {
  controller.quarantined = true;
  await joinHost();
  const { fingerprint256: ca } = new X509Certificate(controller.authority.certificate);
  const { fingerprint256: operators } = new X509Certificate(controller.operators.authority);
  expect(said.join("\n")).toContain(ca);
  expect(said.join("\n")).toContain(operators);
  expect(said.join("\n")).toContain("quarantine");
  expect(await readFile(paths.operators, "utf8")).toBe(controller.operators.authority);
});

test("the certificate is renewed without a cut, and the next connection uses it", async () => {
  controller.days = 0.4; // of 1.4 days one has passed: it is due
  await joinHost();
  const before = await readFile(paths.certificate, "utf8");
  controller.days = 30;
  await using agent = await Agent.start({ directory: paths.directory, log, jobs: new FakeJobs() });
  await agent.connection.connected();
  const first = await controller.session();
  await expect.poll(() => readFile(paths.certificate, "utf8")).not.toBe(before);
  const after = new X509Certificate(await readFile(paths.certificate, "utf8"));
  expect(after.checkPrivateKey(createPrivateKey(await readFile(paths.key, "utf8")))).toBe(true);
  // The connection went on.
  expect(await first.peer.request("job.status", { jobs: [] })).toEqual({ jobs: [] });
  await first.peer.close("restarting");
  const second = await controller.session();
  await second.inventory;
  expect(second.certificate?.fingerprint256).toBe(after.fingerprint256);
  expect(controller.renewals).toHaveLength(1);
  await expect
    .poll(async () => (await recorded()).map(({ action }) => action))
    .toContain("certificate.renewed");
});

test("the controller's CA is changed: both are believed for a while, then only the new one", async () => {
  await joinHost();
  const jobs = new FakeJobs();
  await using agent = await Agent.start({ directory: paths.directory, log, jobs, random: () => 0 });
  await agent.connection.connected();
  const first = await controller.session();
  const old = controller.authority;
  const incoming = await TestAuthority.create();
  const bundle = old.certificate + "\n" + incoming.certificate;
  // begin: a new CA signs, both are shown
  controller.bundle = bundle;
  controller.authority = incoming;
  first.peer.notify("certificate.outdated", {});
  await vi.waitFor(async () => expect(await readFile(paths.authority, "utf8")).toBe(bundle), 10_000);
  // The server may have a certificate of either.
  controller.authority = old;
  await controller.serveAs(incoming);
  await first.peer.close("restarting");
  const second = await controller.session();
  await second.inventory;
  expect(second.certificate?.checkIssued(new X509Certificate(incoming.certificate))).toBe(true);
  // finish: only the new one is shown
  controller.authority = incoming;
  controller.bundle = undefined;
  second.peer.notify("certificate.outdated", {});
  await vi.waitFor(
    async () => expect(await readFile(paths.authority, "utf8")).toBe(incoming.certificate),
    10_000,
  );
  // An impostor with the old CA is none of ours any more.
  await controller.serveAs(old);
  await second.peer.close("restarting");
  await expect
    .poll(() => agent.connection.state, { timeout: 5_000 })
    .toMatchObject({ name: "waiting", error: { code: ErrorCode.denied } });
});

test("a host that joined with an older agent obeys nobody until it has taken its operators over", async () => {
  await asJoinedBefore();
  const { signer } = await controller.operators.add("ada");
  const jobs = new FakeJobs();
  const { job } = runningJob();
  jobs.held.set(job, runningJob(job));
  await using agent = await Agent.start({ directory: paths.directory, log, jobs });
  await agent.connection.connected();
  await expect
    .poll(() => readFile(paths.operators, "utf8").catch(() => ""))
    .toBe(controller.operators.authority);
  const { peer } = await controller.session();
  await peer.request("job.remove", signed(signer, "job.remove", { job }));
  expect(jobs.held.size).toBe(0);
  expect((await recorded()).map(({ action }) => action)).toEqual([
    "agent.started",
    "certificate.renewed",
    "operators.trusted",
    "job.remove",
  ]);
});

test("jobs are recorded from the request to the end, over a restart; no environment, no input", async () => {
  await joinHost();
  const { signer } = await controller.operators.add("ada");
  const job = newJobId();
  const spec: JobSpec = {
    command: { kind: "shell", text: "cat; exec sleep 600" },
    env: { TOKEN: "hush-hush" },
    input: { kind: "inline", bytes: Buffer.from("whispered") },
  };
  const start = { job, spec, operator: "ada", expiresAt: Date.now() + 60_000, inlineWaitMs: 0 };
  {
    await using agent = await Agent.start({ directory: paths.directory, log });
    await agent.connection.connected();
    const { peer } = await controller.session();
    await peer.request("job.start", signed(signer, "job.start", start));
    await vi.waitFor(async () => {
      const { jobs } = await peer.request("job.status", { jobs: [job] });
      expect(jobs[0]?.output.stdout.written).toBe(9);
    });
  }
  {
    await using agent = await Agent.start({ directory: paths.directory, log });
    await agent.connection.connected();
    const { peer } = await controller.session();
    await peer.request("job.stop", signed(signer, "job.stop", { job, operator: "ada", graceMs: 0 }));
    await expect.poll(async () => (await recorded()).at(-1)?.outcome).toBe("stopped");
  }
  const entries = await recorded();
  expect(entries).toMatchObject([
    { action: "agent.started" },
    {
      sequence: 2,
      action: "invoke",
      operator: "ada",
      subject: job,
      what: "cat; exec sleep 600",
      decision: "allowed",
    },
    { action: "agent.stopped" },
    { action: "agent.started" },
    { action: "job.stop", operator: "ada", subject: job },
    { kind: "outcome", action: "invoke", operator: "ada", subject: job, of: 2, outcome: "stopped", bytes: 9 },
    { action: "agent.stopped" },
  ]);
  expect(await verifyAuditLog(paths.audit)).toMatchObject({ entries: 7, problems: [] });
  const text = await readFile(joinPath(paths.audit, "audit.ndjson"), "utf8");
  expect(text).not.toMatch(/hush|whispered|TOKEN/);
});

test("a policy that forbids is heeded as soon as it is saved", async () => {
  await joinHost();
  const { signer } = await controller.operators.add("ada");
  await using agent = await Agent.start({ directory: paths.directory, log, jobs: new FakeJobs() });
  await agent.connection.connected();
  const { peer } = await controller.session();
  const remove = () => peer.request("job.remove", signed(signer, "job.remove", { job: newJobId() }));
  await remove();
  await writeFile(paths.policy, "rules: []\n");
  await expect(remove()).rejects.toMatchObject({
    code: ErrorCode.denied,
    message: expect.stringContaining("web1 itself does not let ada job.remove"),
    data: { reason: "policy", rule: "default" },
  });
  expect((await recorded()).map(({ action }) => action)).toEqual([
    "agent.started",
    "job.remove",
    "policy.loaded",
    "job.remove",
  ]);
});

test("joining twice needs --force, which keeps the settings", async () => {
  await joinHost();
  const before = await readFile(paths.certificate, "utf8");
  await expect(joinHost()).rejects.toMatchObject({
    code: ErrorCode.conflict,
    message: expect.stringMatching(/is web1, a host of wss:.*--force/),
  });
  expect(await readFile(paths.certificate, "utf8")).toBe(before);
  const config = JSON.parse(await readFile(paths.config, "utf8")) as object;
  await writeFile(paths.config, JSON.stringify({ ...config, settings: { maxRunningJobs: 3 } }));
  await joinHost({ force: true });
  expect(await readFile(paths.certificate, "utf8")).not.toBe(before);
  expect(JSON.parse(await readFile(paths.config, "utf8"))).toMatchObject({ settings: { maxRunningJobs: 3 } });
});

test("a join that fails leaves the old identity as it is", async () => {
  await joinHost();
  const before = await readFile(paths.certificate, "utf8");
  const other = await TestAuthority.create();
  await expect(
    joinHost({ force: true, token: other.token(controller.operators.authority) }),
  ).rejects.toMatchObject({
    code: ErrorCode.denied,
  });
  expect(await readFile(paths.certificate, "utf8")).toBe(before);
  await using agent = await Agent.start({ directory: paths.directory, log, jobs: new FakeJobs() });
  await agent.connection.connected();
});

test("an identity without agent.json is not overwritten either", async () => {
  await mkdir(paths.identity);
  await writeFile(paths.key, "somebody's key");
  await expect(joinHost()).rejects.toMatchObject({ code: ErrorCode.conflict });
  expect(await readFile(paths.key, "utf8")).toBe("somebody's key");
});
