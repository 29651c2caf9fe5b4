/**
 * `outpost doctor` and `outpost-agent doctor` on a set-up of real processes that is well, and then broken in one way after the other:
 * each time they have to find what was broken, and to say what helps. And what of metrics only shows when it all runs.
 */
import { execFileSync } from "node:child_process";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { agentPaths } from "@outpost/agent";
import { readMetrics } from "@outpost/protocol/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Playground } from "../kit/playground.ts";
import { eventually } from "../kit/wait.ts";

interface Finding {
  readonly check: string;
  readonly verdict: "ok" | "warning" | "problem" | "skipped";
  readonly message: string;
  readonly advice?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}
interface Diagnosis {
  readonly exitCode: number | null;
  readonly healthy: boolean;
  readonly findings: readonly Finding[];
  /** What does not work. */
  readonly problems: readonly Finding[];
}

let playground: Playground;
beforeAll(async () => {
  playground = await Playground.create({ hosts: ["web1", "web2", "web10"] });
}, 60_000);
afterAll(() => playground[Symbol.asyncDispose]());

function read({ exitCode, stdout, stderr }: Awaited<ReturnType<Playground["outpost"]>>): Diagnosis {
  expect(stderr).toBe("");
  const { healthy, findings } = JSON.parse(stdout.toString()) as Pick<Diagnosis, "healthy" | "findings">;
  const problems = findings.filter(({ verdict }) => verdict === "problem");
  expect(exitCode).toBe(problems.length === 0 ? 0 : 1);
  expect(healthy).toBe(problems.length === 0);
  // Whatever is wrong, somebody has to know what to do.
  for (const { advice } of findings.filter(({ verdict }) => verdict === "problem" || verdict === "warning")) {
    expect(advice).toMatch(/\S+ \S+/);
  }
  return { exitCode, healthy, findings, problems };
}

async function doctor(targets: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Diagnosis> {
  return read(await playground.outpost(["doctor", ...targets, "--output", "json"], { env }));
}

async function agentDoctor(host: string): Promise<Diagnosis> {
  return read(await playground.outpostAgent(host, ["doctor", "--output", "json"]));
}

const named = ({ findings }: Diagnosis, check: string): Finding | undefined =>
  findings.find((finding) => finding.check === check);

test("a set-up that is well: everything was looked at, and a job went there and back", async () => {
  const found = await doctor();
  expect(found.problems).toEqual([]);
  expect(found.findings.filter(({ verdict }) => verdict === "warning")).toEqual([]);
  expect(named(found, "round trip")).toMatchObject({
    verdict: "ok",
    message: expect.stringContaining("web[1-2,10]"),
    data: { hosts: ["web1", "web2", "web10"] },
  });
  // What it has run is nobody's to tidy up.
  await using client = await playground.client();
  expect(await client.jobs()).toEqual([]);
  const host = await agentDoctor("web1");
  expect(host.problems).toEqual([]);
  expect(named(host, "connection")?.message).toContain("connected since");
});

test("for people: a line for each check, in words where nobody sees signs", async () => {
  const { stdout, exitCode } = await playground.outpost(["doctor", "web1"]);
  expect(exitCode).toBe(0);
  const lines = stdout.toString().trimEnd().split("\n");
  expect(lines.some((line) => /^ok {3}round trip +a job ran on 1 of 1 \(web1\)/.test(line))).toBe(true);
  expect(lines.at(-1)).toBe("nothing is wrong");
  expect(stdout.toString()).not.toMatch(/[✓✗→\u001b]/u);
});

test("a host that is down is told by name; one that was asked for is a problem", async () => {
  await playground.agent("web2").signal("SIGTERM");
  await eventually(
    async () => (await doctor()).findings.some(({ message }) => message.includes("not connected: web2")),
    {
      what: "the loss of web2",
    },
  );
  const some = await doctor();
  expect(some.problems).toEqual([]);
  expect(named(some, "hosts")).toMatchObject({ verdict: "warning", data: { hosts: ["web2"] } });
  const asked = await doctor(["web*"]);
  expect(asked.problems).toMatchObject([
    { check: "hosts", advice: expect.stringContaining("outpost-agent doctor") },
  ]);
  const there = await agentDoctor("web2");
  expect(there.problems).toMatchObject([
    {
      check: "agent",
      message: expect.stringContaining("no agent runs"),
      advice: expect.stringContaining("start"),
    },
  ]);
  // The way is free: it would be let in.
  expect(named(there, "admission")?.verdict).toBe("ok");
  playground.agent("web2").start();
  await playground.connected();
});

test("a host whose own policy is none: the job is refused there, and both sides say where to look", async () => {
  const { policy } = agentPaths(playground.agentDirectory("web2"));
  await writeFile(policy, "rules: nonsense\n");
  const refused = (): Promise<boolean> => doctor(["web2"]).then(({ healthy }) => !healthy);
  await eventually(refused, { what: "the policy", withinMs: 30_000 });
  expect((await doctor(["web2"])).problems).toMatchObject([
    { check: "round trip", advice: expect.stringContaining("outpost-agent policy check") },
  ]);
  const there = await agentDoctor("web2");
  expect(there.problems).toMatchObject([
    { check: "policy", advice: expect.stringContaining("policy check") },
  ]);
  await writeFile(policy, 'rules: [{ name: all, operators: ["*"], actions: ["*"] }]\n');
  await eventually(() => doctor(["web2"]).then(({ healthy }) => healthy), {
    what: "the policy",
    withinMs: 30_000,
  });
});

/** Another operator, signed in. @returns the folder of the context */
async function operator(name: string): Promise<string> {
  const directory = join(playground.directory, `context-${name}`);
  const added = await playground.outpost(["operator", "add", name, "--output", "json"]);
  const { bundle } = JSON.parse(added.stdout.toString()) as { bundle: string };
  const env = { OUTPOST_CONTEXT_DIR: directory };
  const signedIn = await playground.outpost(["sign-in", bundle], { env });
  expect(signedIn.stderr).toBe("");
  return directory;
}

test("an operator whom the policy lets do nothing, who was removed, whose certificate has expired", async () => {
  const directory = await operator("bob");
  const env = { OUTPOST_CONTEXT_DIR: directory };
  const poor = await doctor([], env);
  expect(named(poor, "hello")?.verdict).toBe("ok");
  expect(named(poor, "policy")).toMatchObject({
    verdict: "warning",
    advice: expect.stringContaining("outpost policy explain bob"),
  });
  expect(poor.problems).toMatchObject([{ check: "hosts" }]);

  await playground.outpost(["operator", "remove", "bob", "--yes"]);
  const removed = await doctor([], env);
  expect(removed.problems).toMatchObject([
    {
      check: "hello",
      message: expect.stringContaining("was removed"),
      advice: expect.stringContaining("outpost operator add bob"),
    },
  ]);
  expect(named(removed, "hosts")).toMatchObject({ verdict: "skipped", data: { needs: "hello" } });

  const openssl = (...args: string[]): void => {
    execFileSync("openssl", args, { cwd: directory, stdio: "pipe" });
  };
  openssl("req", "-new", "-key", "operator.key", "-subj", "/CN=bob", "-out", "request");
  openssl(
    "x509",
    "-req",
    "-in",
    "request",
    "-signkey",
    "operator.key",
    "-days",
    "-1",
    "-out",
    "operator.crt",
  );
  await chmod(join(directory, "operator.key"), 0o644);
  const expired = await doctor([], env);
  expect(expired.problems).toMatchObject([
    { check: "key files", advice: expect.stringContaining("chmod 600") },
    {
      check: "our certificate",
      message: expect.stringContaining("has expired"),
      advice: expect.stringContaining("outpost sign-in"),
    },
  ]);
});

test("without a context it says how to come by one", async () => {
  const found = await doctor([], { OUTPOST_CONTEXT_DIR: join(playground.directory, "none") });
  expect(found.problems).toMatchObject([
    { check: "context", advice: expect.stringContaining("outpost sign-in") },
  ]);
});

test("another controller at the same address is told from one that is down", async () => {
  await using other = await Playground.create({ hosts: [] });
  const env = { OUTPOST_CONTEXT_DIR: await playground.anotherContext("elsewhere", other.port) };
  const wrong = await doctor([], env);
  expect(wrong.problems).toMatchObject([
    {
      check: "TLS",
      message: expect.stringContaining("not signed by the CA we trust"),
      advice: expect.stringContaining("fingerprint"),
    },
  ]);
  await other.controller.signal("SIGTERM");
  await eventually(() => doctor([], env).then((found) => named(found, "port")?.verdict === "problem"), {
    what: "the other controller's end",
  });
  expect((await doctor([], env)).problems).toMatchObject([
    { check: "port", advice: expect.stringContaining("outpost controller start") },
  ]);
});

test("a host that was removed hears why, and what to do", async () => {
  await playground.addHost("db1");
  await playground.connected(["db1"]);
  await playground.outpost(["host", "remove", "db1", "--yes"]);
  await eventually(() => agentDoctor("db1").then(({ healthy }) => !healthy), { what: "the removal" });
  const found = await agentDoctor("db1");
  expect(named(found, "admission")).toMatchObject({
    verdict: "problem",
    message: expect.stringContaining("was removed"),
    advice: expect.stringContaining("outpost-agent join --force"),
  });
});

test("the agent writes its metrics where agent.json says, and the doctor knows", async () => {
  const directory = playground.agentDirectory("web10");
  const { config } = agentPaths(directory);
  const file = join(playground.directory, "outpost.prom");
  const written = JSON.parse(await readFile(config, "utf8")) as object;
  await writeFile(config, JSON.stringify({ ...written, metricsTextfile: file }));
  expect((await agentDoctor("web10")).problems).toMatchObject([{ check: "metrics" }]);
  await playground.agent("web10").signal("SIGTERM");
  await eventually(() => !playground.agent("web10").isRunning, { what: "the agent's end" });
  playground.agent("web10").start();
  const series = (name: string): Promise<number | undefined> =>
    readFile(file, "utf8").then(
      (text) => readMetrics(text).get(name)?.samples.get(name),
      () => undefined,
    );
  await eventually(async () => (await series("outpost_agent_connected")) === 1, {
    what: "the metrics",
    withinMs: 30_000,
  });
  expect(await series("outpost_agent_certificate_expiry_timestamp_seconds")).toBeGreaterThan(
    Date.now() / 1000,
  );
  expect((await agentDoctor("web10")).problems).toEqual([]);
});

test("the controller serves its metrics where it was told to, and refuses to where others could see them", async () => {
  const { controller } = playground;
  const open = await playground.outpost(["controller", "start", "--metrics", "0.0.0.0:0"]);
  expect(open.stderr).toContain("--metrics operators");
  const file = join(playground.directory, "controller", "controller.json");
  const settings = JSON.parse(await readFile(file, "utf8")) as object;
  await writeFile(file, JSON.stringify({ ...settings, metrics: "127.0.0.1:0" }));
  await controller.signal("SIGTERM");
  await eventually(() => !controller.isRunning, { what: "the controller's end" });
  controller.start();
  const port = await eventually(
    async () => {
      const log = await readFile(join(playground.directory, "controller.log"), "utf8");
      return /"port":(\d+).*metrics are served/.exec(log)?.[1];
    },
    { what: "the metrics' port" },
  );
  await playground.connected(["web1", "web2"]);
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  const families = readMetrics(await response.text());
  const connected = families.get("outpost_hosts")?.samples.get('outpost_hosts{state="connected"}');
  expect(connected).toBeGreaterThanOrEqual(2);
  expect(families.get("nodejs_eventloop_lag_p99_seconds")).toBeDefined();
});
