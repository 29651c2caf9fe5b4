/** Upgrades while jobs and sessions run, and hosts that are a release behind their controller. */
import { afterAll, beforeAll, beforeEach, expect, inject, test } from "vitest";
import { eventually } from "../kit/wait.ts";
import { startByHand, unitByHand } from "./kit/by-hand.ts";
import { counted, counting } from "./kit/counting.ts";
import { type Executed, type Machine, programOf } from "./kit/machine.ts";
import { nextVersion } from "./kit/programs.ts";
import { Site } from "./kit/site.ts";

let site: Site;

beforeAll(async () => {
  site = await Site.create({ hosts: ["web1"] });
});
afterAll(() => site?.[Symbol.asyncDispose]());
beforeEach((context) => site.reportWhenItFails(context));

/** Jobs and a session on a host, that an upgrade could lose. */
interface Load {
  readonly host: string;
  readonly session: string;
  /** The process of the session's shell. */
  readonly shell: string;
  /** A job that is received all the while. */
  readonly followed: string;
  readonly received: Promise<Executed>;
  /** A job that is received when it is over. */
  readonly unread: string;
}

const lines = 240;
let loads = 0;

async function putUnderLoad(host: string): Promise<Load> {
  const session = `load-${String(++loads)}`;
  await site.outpost("session", "new", host, "--name", session);
  await site.outpost("invoke", "--session", session, "-c", "cd /srv; kept=value; f() { echo from f; }");
  const shell = await site.outpost("invoke", "--session", session, "-c", "echo $$");
  const followed = await site.start(host, counting(lines));
  const received = site.attempt("job", "receive", followed, "--follow");
  const unread = await site.start(host, counting(lines));
  await eventually(async () => (await site.status(unread)).output.stdout.written > 0, { what: "its output" });
  return { host, session, shell, followed, received, unread };
}

async function expectNothingLost({ session, shell, followed, received, unread }: Load): Promise<void> {
  // They ran all the while: had they ended before, nothing would have been shown.
  for (const job of [followed, unread]) expect((await site.status(job)).state).toBe("running");
  expect(await site.outpost("invoke", "--session", session, "-c", 'echo "$kept"; f; pwd; echo $$')).toBe(
    `value\nfrom f\n/srv\n${shell}`,
  );
  for (const { stdout, exitCode } of [
    await received,
    await site.attempt("job", "receive", unread, "--follow"),
  ]) {
    expect(stdout).toBe(counted(lines));
    expect(exitCode).toBe(0);
  }
  await site.outpost("session", "remove", session);
}

async function agentVersion(host: string): Promise<string | undefined> {
  return (await site.hosts()).find(({ name }) => name === host)?.facts?.agentVersion;
}

async function waitForVersion(host: string, version: string): Promise<void> {
  await eventually(async () => (await agentVersion(host)) === version, { what: `${host} with ${version}` });
  await site.connected(host);
}

test("upgrade under load: no job, no session and no byte is lost, and what it would do can be asked first", async () => {
  const web1 = site.machine("web1");
  const current = (await agentVersion("web1"))!;
  const next = nextVersion(current);
  const load = await putUnderLoad("web1");
  const checked = await web1.run(programOf("next", "outpost-agent"), "upgrade", "--check");
  expect(checked).toContain(`installed  ${current}`);
  expect(checked).toContain("2 running jobs and 1 live session go on");
  const said = await web1.run(programOf("next", "outpost-agent"), "upgrade");
  expect(said).toContain(`${next} is in force in place of ${current}, and connected`);
  await waitForVersion("web1", next);
  await expectNothingLost(load);
  expect(await web1.run("outpost-agent", "--version")).toBe(`${next}\n`);
});

test("an upgrade that does not work is taken back, and jobs do not notice", async () => {
  const web1 = site.machine("web1");
  const before = (await agentVersion("web1"))!;
  const load = await putUnderLoad("web1");
  // A program that says its version and then cannot start: as if a file of it were damaged.
  await web1.sh(
    `cp -a /usr/lib/outpost/current/agent /root/broken && printf 'throw new Error("damaged");' >/root/broken/dist/cli/start.js`,
  );
  const { exitCode, stderr } = await web1.attempt("/root/broken/dist/main.js", "upgrade");
  expect(exitCode).not.toBe(0);
  expect(stderr).toContain(`${before} is in force again, and runs`);
  await waitForVersion("web1", before);
  await expectNothingLost(load);
});

test("a host with the agent of the release before serves jobs and sessions, and is upgraded without losing one", async (context) => {
  const { previous } = inject("hosts").programs;
  if (previous.state === "absent") context.skip(previous.why);
  if (previous.state === "failed") throw new Error(previous.why);
  const old1 = await site.boot("old1");
  await old1.run(
    "outpost-agent",
    "join",
    "wss://controller:7443",
    "--token",
    await site.token(),
    "--name",
    "old1",
  );
  await startByHand(old1, "previous");
  await waitForVersion("old1", "0.1.0");
  expect(await site.outpost("invoke", "old1", "-c", "echo out; echo err >&2; exit 3").catch(String)).toMatch(
    /err/,
  );
  const refused = await site.attempt("invoke", "old1", "--configuration", "other", "--", "true");
  expect(refused.exitCode).not.toBe(0);
  expect(refused.stderr).toMatch(/old1/);

  const load = await putUnderLoad("old1");
  await takeOver(old1);
  await waitForVersion("old1", (await old1.run(programOf("current", "outpost-agent"), "--version")).trim());
  await expectNothingLost(load);
  expect(await site.outpost("invoke", "old1", "--", "hostname")).toBe("old1\n");
});

/** From a unit that somebody wrote to the one of `install`: the directory is a host's already, so no token is needed. */
async function takeOver(machine: Machine): Promise<void> {
  await machine.run("systemctl", "disable", "--now", unitByHand);
  await machine.run("outpost-agent", "install");
}

test("the controller is upgraded while jobs run: nobody but who asks notices", async () => {
  const { controller } = site;
  const load = await putUnderLoad("web1");
  const next = nextVersion((await controller.run("outpost", "--version")).trim());
  const said = await controller.run(programOf("next", "outpost"), "controller", "install");
  expect(said).toContain(`The controller (${next}) listens at 0.0.0.0:7443`);
  await site.connected("web1");
  await expectNothingLost(load);
});
