/** `outpost-agent` as a process: what is typed, printed and exited with. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode, limits, newJobId, OutpostError } from "@outpost/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { signing } from "../testing/access.ts";
import { TestAuthority } from "../testing/authority.ts";
import { FakeController } from "../testing/controller.ts";
import { agentVersion } from "../version.ts";

const main = join(import.meta.dirname, "..", "main.ts");
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "outpost-cli-"));
});
afterEach(() => rm(directory, { recursive: true }));

const argv = (args: readonly string[]): string[] => ["--conditions=source", main, ...args];
const env = (): NodeJS.ProcessEnv => ({ ...process.env, OUTPOST_AGENT_DIR: directory });

interface Ran {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, argv(args), { env: env() }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

describe("without a controller", () => {
  test.each([
    ["--help", /outpost-agent join <url>[^]*start[^]*status[^]*251 wrong usage/],
    ["join --help", /--token[^]*--label[^]*Examples:/],
    ["start --help", /--log-level[^]*Examples:/],
    ["status --help", /--output[^]*Examples:/],
    ["--version", new RegExp(`^${agentVersion.replaceAll(".", "\\.")}$`, "m")],
  ])("%s", async (line, printed) => {
    const { code, stdout, stderr } = await run(...line.split(" "));
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(printed);
  });

  test.each([
    ["jion", 251, "Did you mean join?"],
    ["join wss://c:1 --tokne x", 251, "Did you mean --token?"],
    ["start --dri /tmp", 251, "Did you mean --dir?"],
    ["start --dir", 251, "Not enough arguments following: dir"],
    ["start --log-level loud", 251, '"trace", "debug", "info", "warn", "error"'],
    ["status --output xml", 251, '"text", "json"'],
    ["join", 251, "the controller's address is missing"],
    ["join wss://c:1", 251, "outpost token create"],
    ["join https://c:1 --token x", 251, "speaks wss: only"],
    ["join wss://c:1 --token x", 251, "the token does not begin with outpost2_"],
    ["start", 252, "run `outpost-agent join` first"],
    ["status", 252, "run `outpost-agent join` first"],
  ])("%s exits with %i and says why", async (line, code, message) => {
    const ran = await run(...line.split(" "));
    expect(ran.stderr).toContain(message);
    expect(ran.stderr).not.toContain("    at ");
    expect(ran.code).toBe(code);
    expect(ran.stdout).toBe("");
  });
});

describe("with a controller", () => {
  let controller: FakeController;
  const agents: ChildProcess[] = [];

  beforeEach(async () => {
    controller = await FakeController.start();
  });
  afterEach(async () => {
    for (const agent of agents.splice(0)) agent.kill("SIGKILL");
    await controller[Symbol.asyncDispose]();
  });

  const joinArguments = (token = controller.token()): string[] => {
    return [
      "join",
      controller.url,
      "--token",
      token,
      "--name",
      "web1",
      "--label",
      "role=web",
      "--label",
      "site=eu",
    ];
  };

  interface Started {
    readonly agent: ChildProcess;
    readonly exited: Promise<number | string | null>;
    readonly log: () => Record<string, unknown>[];
  }

  function start(): Started {
    const agent = spawn(process.execPath, argv(["start"]), {
      env: env(),
      stdio: ["ignore", "ignore", "pipe"],
    });
    agents.push(agent);
    let text = "";
    agent.stderr.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    const exited = new Promise<number | string | null>((resolve) => {
      agent.once("close", (code, signal) => resolve(code ?? signal));
    });
    const log = () =>
      text
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    return { agent, exited, log };
  }

  const statusJson = async () =>
    JSON.parse((await run("status", "--output", "json")).stdout) as Record<string, unknown>;

  test("join, start, run a job, status, leave", async () => {
    const joined = await run(...joinArguments());
    expect(joined).toMatchObject({ code: 0, stderr: "" });
    expect(joined.stdout).toContain("web1 is now a host of");
    expect(joined.stdout).toContain("Next: outpost-agent start\n");
    expect(await statusJson()).toMatchObject({
      name: "web1",
      labels: { role: "web", site: "eu" },
      controller: controller.url,
      agent: { running: false },
      sessionHost: { running: false },
      jobs: [],
      sessions: [],
    });

    const { agent, exited, log } = start();
    const session = await controller.session();
    await session.inventory;
    const peer = signing(session.peer, (await controller.operators.add("ada")).signer);
    const job = newJobId();
    const { status } = await peer.request("job.start", {
      job,
      spec: { command: { kind: "shell", text: "echo hello; exit 3" }, env: {}, input: { kind: "none" } },
      operator: "ada",
      expiresAt: Date.now() + 60_000,
      inlineWaitMs: 10_000,
    });
    expect(status).toMatchObject({ state: "failed", exit: { code: 3 } });
    // The end is put on record a moment after it was told.
    await expect.poll(statusJson, { timeout: 10_000 }).toMatchObject({
      agent: { running: true, pid: agent.pid },
      jobs: [{ job, state: "failed", stdout: 6, stderr: 0 }],
    });
    expect((await run("status")).stdout).toContain(`${job}  failed`);

    agent.kill("SIGTERM");
    expect(await exited).toBe(0);
    expect((await peer.closed).message).toBe("the agent stops");
    expect(log().map(({ msg }) => msg)).toContain("SIGTERM: leaving; jobs go on");
    expect((await run("status")).stdout).toContain("not running; start it with `outpost-agent start`");
  });

  test("a second agent is refused, naming the first; after kill -9 the next one takes over", async () => {
    await run(...joinArguments());
    const first = start();
    await (
      await controller.session()
    ).inventory;
    const second = await run("start");
    expect(second.code).toBe(252);
    expect(second.stderr).toContain(
      `an agent runs on this directory already: pid ${String(first.agent.pid)}`,
    );
    first.agent.kill("SIGKILL");
    expect(await first.exited).toBe("SIGKILL");
    start();
    await (
      await controller.session()
    ).inventory;
  });

  test("an agent whose controller is away stays, tries again, and leaves when told", async () => {
    await run(...joinArguments());
    await controller[Symbol.asyncDispose]();
    const { agent, exited, log } = start();
    await expect
      .poll(() => log().filter(({ state }) => state === "waiting").length, { timeout: 10_000 })
      .toBeGreaterThan(1);
    expect(log().find(({ state }) => state === "waiting")).toMatchObject({
      level: 40,
      code: ErrorCode.controllerUnreachable,
      msg: expect.stringMatching(/^not connected, trying again in \d+\.\d s: nothing listens at /),
    });
    agent.kill("SIGINT");
    expect(await exited).toBe(0);
  });

  test("what the controller refuses exits with 253, a taken name and a dead controller with 252", async () => {
    controller.refusal = new OutpostError(ErrorCode.denied, "the token expired at 12:00");
    expect(await run(...joinArguments())).toMatchObject({
      code: 253,
      stderr: expect.stringMatching(/refused the token: the token expired at 12:00/),
    });
    const other = await TestAuthority.create();
    expect(await run(...joinArguments(other.token(controller.operators.authority)))).toMatchObject({
      code: 253,
      stderr: expect.stringContaining("is not the one that made this token"),
    });
    controller.refusal = new OutpostError(ErrorCode.conflict, "enrolled on Monday");
    expect(await run(...joinArguments())).toMatchObject({
      code: 252,
      stderr: expect.stringContaining("Join with another name: --name NAME"),
    });
    const token = controller.token();
    expect(await run("join", "wss://127.0.0.1:1", "--token", token)).toMatchObject({
      code: 252,
      stderr: expect.stringContaining("nothing listens at 127.0.0.1:1; is the controller running"),
    });
  });

  test("a job's output comes back over streams, exit last", async () => {
    await run(...joinArguments());
    start();
    const session = await controller.session();
    await session.inventory;
    const peer = signing(session.peer, (await controller.operators.add("ada")).signer);
    const job = newJobId();
    await peer.request("job.start", {
      job,
      spec: { command: { kind: "exec", argv: ["seq", "1", "50000"] }, env: {}, input: { kind: "none" } },
      operator: "ada",
      expiresAt: Date.now() + 60_000,
      inlineWaitMs: 0,
    });
    const pieces: Buffer[] = [];
    const order: string[] = [];
    const window = limits.minWindowBytes;
    const { status } = await peer.request(
      "job.read",
      { job, from: { stdout: 0 }, follow: true, window },
      {
        onEvent({ event, params }) {
          if (event !== "read.opened") return;
          const stream = peer.acceptStream(
            params.stream,
            { offset: params.offset, window },
            {
              chunk(offset, bytes) {
                pieces.push(Buffer.from(bytes));
                stream.grant(offset + bytes.byteLength + window);
              },
              end: () => void order.push("end"),
            },
          );
        },
      },
    );
    order.push(status.state);
    const expected = Array.from({ length: 50_000 }, (_, i) => `${String(i + 1)}\n`).join("");
    expect(Buffer.concat(pieces).toString()).toBe(expected);
    expect(order).toEqual(["end", "completed"]);
  });
});
