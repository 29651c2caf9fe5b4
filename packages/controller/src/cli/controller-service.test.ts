/** The controller as a service: its unit, and what `controller install` and `uninstall` refuse. */
import { execFile, spawnSync } from "node:child_process";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Systemd } from "@outpost/service";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { controllerUnitText, installedAs } from "./controller-unit.ts";

const main = join(import.meta.dirname, "main.ts");
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "outpost-service-"));
});
afterEach(() => rm(folder, { recursive: true }));

const options = {
  launcher: "/opt/outpost-controller/current/bin/outpost",
  prefix: "/opt/outpost-controller",
  directory: "/var/lib/outpost-controller",
  port: 7443,
};
const directives = (unit: string): string[] =>
  unit.split("\n").filter((line) => line !== "" && !line.startsWith("#"));

describe("the unit", () => {
  test("is this one", () => {
    expect(directives(controllerUnitText(options))).toEqual([
      "[Unit]",
      "Description=Outpost controller",
      "Wants=network-online.target",
      "After=network-online.target",
      "StartLimitIntervalSec=0",
      "[Service]",
      "Type=notify",
      "NotifyAccess=all",
      "User=outpost",
      "Group=outpost",
      "ExecStart=/opt/outpost-controller/current/bin/outpost controller start --dir /var/lib/outpost-controller",
      "Restart=always",
      "RestartSec=1",
      "WatchdogSec=30",
      "WatchdogSignal=SIGKILL",
      "TimeoutStartSec=300",
      "TimeoutStopSec=30",
      "LimitNOFILE=524288",
      "LimitCORE=0",
      "OOMScoreAdjust=-500",
      "CacheDirectory=outpost-controller",
      "CacheDirectoryMode=0700",
      "Environment=NODE_COMPILE_CACHE=%C/outpost-controller",
      "CapabilityBoundingSet=",
      "AmbientCapabilities=",
      "NoNewPrivileges=yes",
      "ProtectSystem=strict",
      'ReadWritePaths="/var/lib/outpost-controller"',
      "ProtectHome=yes",
      "PrivateTmp=yes",
      "PrivateDevices=yes",
      "DevicePolicy=closed",
      "ProtectClock=yes",
      "ProtectControlGroups=yes",
      "ProtectHostname=yes",
      "ProtectKernelLogs=yes",
      "ProtectKernelModules=yes",
      "ProtectKernelTunables=yes",
      "ProtectProc=invisible",
      "ProcSubset=pid",
      "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
      "RestrictNamespaces=yes",
      "RestrictRealtime=yes",
      "RestrictSUIDSGID=yes",
      "LockPersonality=yes",
      "RemoveIPC=yes",
      "MemoryDenyWriteExecute=no",
      "SystemCallArchitectures=native",
      "SystemCallFilter=@system-service @pkey",
      "SystemCallFilter=~@privileged @resources",
      "SystemCallErrorNumber=EPERM",
      "UMask=0077",
      "[Install]",
      "WantedBy=multi-user.target",
      "[X-Outpost]",
      "Prefix=/opt/outpost-controller",
      "Directory=/var/lib/outpost-controller",
    ]);
    expect(installedAs(controllerUnitText(options))).toEqual({
      prefix: options.prefix,
      directory: options.directory,
    });
  });

  test("a port below 1024 takes one capability, a directory in a home that home", () => {
    const text = controllerUnitText({ ...options, port: 443, directory: "/home/ada/100% outpost" });
    expect(text).toContain(
      "\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n",
    );
    expect(text).toContain('\nReadWritePaths="/home/ada/100%% outpost"\n');
    expect(text).not.toContain("ProtectHome");
  });

  describe.skipIf(!existsSync("/usr/bin/systemd-analyze"))("systemd", () => {
    test("finds nothing wrong with it", () => {
      const file = join(folder, "outpost-controller.service");
      const launcher = join(folder, "outpost");
      writeFileSync(launcher, "#!/bin/sh\n");
      chmodSync(launcher, 0o755);
      writeFileSync(file, controllerUnitText({ ...options, launcher, directory: join(folder, "a % b") }));
      // It says what it does not know, and exits with 0 all the same.
      const { status, stderr } = spawnSync("systemd-analyze", ["verify", file], { encoding: "utf8" });
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    });

    test("calls its exposure OK: at most 2 of 10", () => {
      const file = join(folder, "outpost-controller.service");
      writeFileSync(file, controllerUnitText(options));
      // In tenths; a higher exposure exits with 1.
      const args = ["security", "--offline=true", "--threshold=20", "--no-pager", file];
      const { status, stdout } = spawnSync("systemd-analyze", args, { encoding: "utf8" });
      expect(status, stdout).toBe(0);
    });
  });
});

interface Ran {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[], more: { readonly uid?: number } = {}): Promise<Ran> {
  const argv = ["--conditions=source", main, "controller", ...args];
  const env = { ...process.env, OUTPOST_CONTROLLER_DIR: join(folder, "controller") };
  return new Promise((resolve) => {
    execFile(process.execPath, argv, { env, cwd: "/", ...more }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

describe("the commands", () => {
  test("--print shows the unit, without root or systemd", async () => {
    const { code, stdout } = await run(["install", "--print", "--listen", "[::]:443"]);
    expect(code).toBe(0);
    expect(stdout).toContain(`\nReadWritePaths="${folder}/controller"\n`);
    expect(stdout).toContain("\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n");
  });

  test.skipIf(process.getuid?.() !== 0).each(["install", "uninstall"])(
    "%s without root says so, and what can be done without",
    async (command) => {
      await chmod(folder, 0o755);
      const ran = await run([command], { uid: 65_534 });
      expect(ran.code).toBe(253);
      expect(ran.stderr).toContain(
        `outpost controller ${command} changes services of this machine and needs root`,
      );
    },
  );

  test.skipIf(process.getuid?.() !== 0 || Systemd.isRunning).each(["install", "uninstall"])(
    "%s without systemd says so, and what can be done without",
    async (command) => {
      const ran = await run([command]);
      expect(ran.code).toBe(252);
      expect(ran.stderr).toMatch(/does not run systemd .*outpost controller start/s);
    },
  );
});
