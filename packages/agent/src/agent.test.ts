import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { ErrorCode, newJobId } from "@outpost/protocol";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Agent } from "./agent.ts";
import { join } from "./cli/join.ts";
import { agentPaths, type AgentPaths } from "./directory.ts";
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
  const { force = false, token = controller.authority.token() } = options;
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
  await expect(joinHost({ force: true, token: other.token() })).rejects.toMatchObject({
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
