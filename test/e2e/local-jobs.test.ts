/** Jobs that are started on a host by its own user: with the agent's CLI there, with `outpost` from anywhere. */
import { execFile } from "node:child_process";
import { userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Playground } from "../kit/playground.ts";
import { eventually } from "../kit/wait.ts";

let playground: Playground;

beforeAll(async () => {
  playground = await Playground.create({ hosts: ["web1", "web2"] });
}, 60_000);
afterAll(() => playground?.[Symbol.asyncDispose]());

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `outpost-agent job …` as typed on a host. */
function onHost(host: string, ...args: string[]): Promise<Ran> {
  const env = { ...playground.env(), OUTPOST_AGENT_DIR: playground.agentDirectory(host) };
  return new Promise((resolve) => {
    const program = join(playground.binDirectory, "outpost-agent");
    execFile(program, ["job", ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

async function outpostJson(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await playground.outpost([...args, "--output", "json"]);
  if (stdout.byteLength === 0) throw new Error(stderr);
  return JSON.parse(stdout.toString()) as Record<string, unknown>;
}

test("a job that was started on a host is an operator's to see, receive and stop; over restarts of everything", async () => {
  const { stdout } = await onHost("web1", "start", "--name", "by-hand", "-c", "echo one; exec sleep 600");
  const id = stdout.trim();
  const fanout = await eventually(async () => {
    const { fanouts } = await outpostJson("job", "list", "--name", "by-hand");
    return (fanouts as Record<string, unknown>[])[0];
  });
  const operator = `${userInfo().username}@web1`;
  expect(fanout).toMatchObject({
    job: id,
    operator,
    command: "echo one; exec sleep 600",
    hosts: 1,
    state: "running",
  });

  await playground.controller.signal("SIGKILL");
  await playground.agent("web1").signal("SIGKILL");
  playground.controller.start();
  playground.agent("web1").start();
  await eventually(async () => (await outpostJson("job", "show", id)).fanout !== undefined);
  await eventually(async () => (await onHost("web1", "list")).stdout.includes("by-hand"));

  // What one has received, the other gets no more.
  expect((await onHost("web1", "receive", "by-hand")).stdout).toBe("one\n");
  const stopped = await playground.outpost(["job", "stop", "by-hand"]);
  expect(stopped.exitCode).toBe(0);
  const waited = await playground.outpost(["job", "wait", "by-hand"]);
  expect(waited.exitCode).toBe(143);
  const received = await playground.outpost(["job", "receive", "by-hand"]);
  expect(received.stdout.toString()).toBe("");
  await eventually(async () => (await onHost("web1", "list")).stdout === "no jobs\n");
});

test("wholly received on its host, an operator sees that nothing is left", async () => {
  // The controller was killed before. A job that comes and goes while it is away it never hears of.
  await playground.connected(["web1", "web2"], 60_000);
  const { stdout } = await onHost("web2", "start", "--", "echo", "hello");
  const id = stdout.trim();
  expect(await onHost("web2", "receive", id, "--follow")).toEqual({ code: 0, stdout: "hello\n", stderr: "" });
  await eventually(async () => {
    const { fanout } = await outpostJson("job", "show", id);
    const { state, unreadBytes } = fanout as { state: string; unreadBytes: number };
    return state === "completed" && unreadBytes === 0;
  });
  expect(await onHost("web1", "show", id)).toMatchObject({ code: 252 });
});

test("operators' jobs are there for the host's user, too", async () => {
  const started = await playground.outpost([
    "job",
    "start",
    "web1,web2",
    "--name",
    "fleet",
    "--",
    "echo",
    "hello",
  ]);
  const id = started.stdout.toString().trim();
  await eventually(async () => (await onHost("web1", "show", id)).stdout.includes("completed"));
  expect((await onHost("web1", "list")).stdout).toMatch(
    new RegExp(`^${id} +- +completed +6 .*an operator`, "m"),
  );
  const received = await playground.outpost(["job", "receive", "fleet"]);
  expect(received.stdout.toString().split("\n").toSorted()).toEqual(["", "web1: hello", "web2: hello"]);
});
