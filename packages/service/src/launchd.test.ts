import { execFileSync, spawnSync } from "node:child_process";
import { parse } from "plist";
import { expect, test } from "vitest";
import { launchdText } from "./launchd.ts";

const text = launchdText({
  label: "outpost-agent",
  command: ["/opt/outpost-agent/current/bin/outpost-agent", "start", "--dir", "/var/lib/a & <b>"],
  log: "/var/log/outpost-agent.log",
});

const meant = {
  Label: "outpost-agent",
  ProgramArguments: ["/opt/outpost-agent/current/bin/outpost-agent", "start", "--dir", "/var/lib/a & <b>"],
  RunAtLoad: true,
  KeepAlive: true,
  ThrottleInterval: 1,
  AbandonProcessGroup: true,
  ExitTimeOut: 30,
  ProcessType: "Standard",
  SoftResourceLimits: { NumberOfFiles: 65_536 },
  HardResourceLimits: { NumberOfFiles: 65_536 },
  StandardOutPath: "/var/log/outpost-agent.log",
  StandardErrorPath: "/var/log/outpost-agent.log",
};

test("it says what was meant", () => {
  expect(parse(text)).toEqual(meant);
});

const has = (program: string, ...args: string[]): boolean => spawnSync(program, args).status === 0;

test.skipIf(!has("python3", "-c", "import plistlib"))("another parser reads the same", () => {
  const script = "import json, plistlib, sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))";
  const read = execFileSync("python3", ["-c", script], { input: text, encoding: "utf8" });
  expect(JSON.parse(read)).toEqual(meant);
});

test.skipIf(!has("plutil", "-help"))("macOS finds nothing wrong with it", () => {
  execFileSync("plutil", ["-lint", "-"], { input: text, stdio: ["pipe", "pipe", "inherit"] });
});
