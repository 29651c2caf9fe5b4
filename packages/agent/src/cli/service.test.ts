/** The agent as a service: its unit, what it tells systemd, and what `install`, `upgrade` and `uninstall` refuse. */
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Systemd } from "@outpost/service";

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeController } from "../testing/controller.ts";
import { software } from "../version.ts";
import { agentUnitText, installedAs } from "./agent-unit.ts";

const main = join(import.meta.dirname, "..", "main.ts");
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "outpost-service-"));
});
afterEach(() => rm(directory, { recursive: true }));

interface Ran {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[], options: { readonly uid?: number } = {}): Promise<Ran> {
  const env = { ...process.env, OUTPOST_AGENT_DIR: join(directory, "agent") };
  const argv = ["--conditions=source", main, ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, argv, { env, cwd: "/", ...options }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

describe("the unit", () => {
  const text = agentUnitText({
    launcher: "/opt/outpost-agent/current/bin/outpost-agent",
    prefix: "/opt/outpost-agent",
    directory: "/var/lib/outpost-agent",
  });
  const directives = (unit: string): string[] =>
    unit.split("\n").filter((line) => line !== "" && !line.startsWith("#"));

  test("is this one", () => {
    expect(directives(text)).toEqual([
      "[Unit]",
      "Description=Outpost agent: runs jobs and sessions for the operators of its controller",
      "Wants=network-online.target",
      "After=network-online.target nss-lookup.target",
      "StartLimitIntervalSec=0",
      "[Service]",
      "Type=notify",
      "NotifyAccess=main",
      "ExecStart=/opt/outpost-agent/current/bin/outpost-agent start --dir /var/lib/outpost-agent",
      "KillMode=process",
      "Restart=always",
      "RestartSec=1",
      "WatchdogSec=30",
      "WatchdogSignal=SIGKILL",
      "TimeoutStartSec=300",
      "TimeoutStopSec=30",
      "OOMScoreAdjust=-500",
      "OOMPolicy=continue",
      "LimitNOFILE=524288",
      "TasksMax=infinity",
      "[Install]",
      "WantedBy=multi-user.target",
      "[X-Outpost]",
      "Prefix=/opt/outpost-agent",
      "Directory=/var/lib/outpost-agent",
    ]);
  });

  // Each would be a job's, too: see the comment on top of the unit.
  test("restricts no job", () => {
    const restricting =
      /^(No|Private|Protect|Restrict|Capability|SystemCall|ReadOnly|ReadWrite|Inaccessible|Memory|CPU|IO|Lock|User|Group|UMask|Root)/;
    expect(
      directives(text).filter((line) => restricting.test(line) && !line.startsWith("NotifyAccess")),
    ).toEqual([]);
  });

  test("says where program and directory are", () => {
    expect(installedAs(text)).toEqual({ prefix: "/opt/outpost-agent", directory: "/var/lib/outpost-agent" });
    expect(installedAs("[Service]\nExecStart=/bin/true\n")).toBeUndefined();
  });

  test.skipIf(!existsSync("/usr/bin/systemd-analyze"))("systemd finds nothing wrong with it", () => {
    const launcher = join(directory, "a launcher");
    writeFileSync(launcher, "#!/bin/sh\n");
    chmodSync(launcher, 0o755);
    const file = join(directory, "outpost-agent.service");
    writeFileSync(
      file,
      agentUnitText({ launcher, prefix: directory, directory: join(directory, "50% of $it") }),
    );
    // It says what it does not know, and exits with 0 all the same.
    const { status, stderr } = spawnSync("systemd-analyze", ["verify", file], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });
});

describe("the commands", () => {
  test("--print shows what the service manager would be given, without root or systemd", async () => {
    const unit = await run(["install", "--print", "systemd", "--prefix", "/srv/agent"]);
    expect(unit).toMatchObject({ code: 0, stderr: "" });
    expect(unit.stdout).toContain(
      `\nExecStart=/srv/agent/current/bin/outpost-agent start --dir ${directory}/agent\n`,
    );
    const list = await run(["install", "--print", "launchd"]);
    expect(list.stdout).toMatch(/<key>AbandonProcessGroup<\/key>\s*<true\/>/);
    expect(list.stdout).toContain("<string>/opt/outpost-agent/current/bin/outpost-agent</string>");
  });

  test.skipIf(process.getuid?.() !== 0).each(["install", "upgrade", "uninstall"])(
    "%s without root says so, and what can be done without",
    async (command) => {
      await chmod(directory, 0o755);
      const ran = await run([command], { uid: 65_534 });
      expect(ran).toMatchObject({ code: 253, stdout: "" });
      expect(ran.stderr).toContain(
        `outpost-agent ${command} changes services of this machine and needs root`,
      );
    },
  );

  test.skipIf(process.getuid?.() !== 0 || Systemd.isRunning).each(["install", "upgrade", "uninstall"])(
    "%s without systemd says so, and what can be done without",
    async (command) => {
      const ran = await run([command]);
      expect(ran).toMatchObject({ code: 252, stdout: "" });
      expect(ran.stderr).toMatch(/does not run systemd .*outpost-agent start/);
    },
  );
});

describe("what it tells", () => {
  let controller: FakeController;
  let agent: ChildProcess | undefined;
  beforeEach(async () => {
    controller = await FakeController.start();
  });
  afterEach(async () => {
    agent?.kill("SIGKILL");
    await controller[Symbol.asyncDispose]();
  });

  const told = (): string => readFileSync(join(directory, "told"), "utf8");
  const status = async (): Promise<Record<string, unknown>> =>
    JSON.parse((await run(["status", "--output", "json"])).stdout) as Record<string, unknown>;

  test("systemd: ready, connected or not, leaving; and people the same", async () => {
    const joined = await run(["join", controller.url, "--token", controller.token(), "--name", "web1"]);
    expect(joined).toMatchObject({ code: 0 });
    mkdirSync(join(directory, "bin"));
    const notify = join(directory, "bin/systemd-notify");
    writeFileSync(notify, `#!/bin/sh\nshift\necho "$@" >>'${directory}/told'\n`);
    chmodSync(notify, 0o755);
    writeFileSync(join(directory, "told"), "");
    agent = spawn(
      process.execPath,
      ["--conditions=source", main, "start", "--dir", join(directory, "agent")],
      {
        env: {
          ...process.env,
          PATH: `${directory}/bin:${process.env["PATH"]!}`,
          NOTIFY_SOCKET: join(directory, "socket"),
        },
        stdio: "ignore",
      },
    );
    const session = await controller.session();
    await session.inventory;
    await expect.poll(told).toContain("STATUS=connected as web1");
    expect(told()).toMatch(/^READY=1 STATUS=/);
    expect(await status()).toMatchObject({
      agent: { running: true, pid: agent.pid, software },
      connection: { state: "connected" },
    });
    expect((await run(["status"])).stdout).toMatch(/^connection +connected since 20/m);

    await controller[Symbol.asyncDispose]();
    await expect.poll(told).toContain("STATUS=not connected: ");
    expect(await status()).toMatchObject({ connection: { error: { message: expect.any(String) } } });
    expect((await run(["status"])).stdout).toMatch(/^connection +not connected since 20/m);

    const ended = new Promise((resolve) => agent!.once("exit", resolve));
    agent.kill("SIGTERM");
    await ended;
    expect(told().split("\n").at(-2)).toBe("STOPPING=1");
    expect((await run(["status"])).stdout).toMatch(/^connection +none: no agent runs$/m);
  });
});
