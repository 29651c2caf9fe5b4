import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode, newHostId } from "@outpost/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readConfig, writeConfig, writeMetricsTextfile } from "./config.ts";
import { agentPaths, type AgentPaths } from "./directory.ts";
import { defaultJobSettings } from "./jobs/index.ts";
import { defaultSessionSettings } from "./session-host/settings.ts";

let paths: AgentPaths;
beforeEach(async () => {
  paths = agentPaths(await mkdtemp(join(tmpdir(), "outpost-config-")));
});
afterEach(() => rm(paths.directory, { recursive: true }));

const valid = { controller: "wss://controller:7443", host: newHostId(), name: "web1" };

function write(value: unknown): Promise<void> {
  return writeFile(paths.config, typeof value === "string" ? value : JSON.stringify(value));
}

test("what is left out has its default", async () => {
  await writeConfig(paths, valid);
  expect(await readConfig(paths)).toEqual({
    ...valid,
    labels: {},
    factsIntervalMs: 600_000,
    settings: defaultJobSettings,
    sessions: defaultSessionSettings,
  });
});

test("settings replace the defaults one by one", async () => {
  await writeConfig(paths, {
    ...valid,
    labels: { role: "web" },
    settings: { maxRunningJobs: 2 },
    sessions: { maxSessions: 3 },
  });
  expect(await readConfig(paths)).toMatchObject({
    labels: { role: "web" },
    settings: { ...defaultJobSettings, maxRunningJobs: 2 },
    sessions: { ...defaultSessionSettings, maxSessions: 3 },
  });
});

test.each([
  [
    { ...valid, settings: { maxRunningJob: 2 } },
    "settings.maxRunningJob: there is no such key; there are maxRunningJobs, ",
  ],
  [
    { ...valid, contoller: "x" },
    "contoller: there is no such key; there are controller, host, name, labels, settings, sessions",
  ],
  [
    { ...valid, sessions: { maxSession: 2 } },
    "sessions.maxSession: there is no such key; there are maxSessions, defaultIdleTimeoutMs, ",
  ],
  [{ ...valid, settings: { maxRunningJobs: "2" } }, "settings.maxRunningJobs: "],
  [{ ...valid, settings: { minFreeBytes: -1 } }, "settings.minFreeBytes: "],
  [{ ...valid, name: "Web 1" }, "name: is not a host name"],
  [{ ...valid, controller: "http://x" }, 'controller: "http://x" begins with http:'],
  [{ controller: valid.controller, host: valid.host }, "name: "],
  [[], ""],
  ["{", "is not JSON"],
])("%j: the error names the file and the key", async (value, message) => {
  await write(value);
  await expect(readConfig(paths)).rejects.toMatchObject({
    code: ErrorCode.invalidArgument,
    message: expect.stringContaining(message),
  });
  await expect(readConfig(paths)).rejects.toThrow(paths.config);
});

test("the file for metrics is written down beside what was there, and nothing else is", async () => {
  await write({ ...valid, settings: { maxRunningJobs: 2 } });
  await writeMetricsTextfile(paths, "/var/lib/node_exporter/outpost.prom");
  const metricsTextfile = "/var/lib/node_exporter/outpost.prom";
  expect(JSON.parse(await readFile(paths.config, "utf8"))).toEqual({
    ...valid,
    settings: { maxRunningJobs: 2 },
    metricsTextfile,
  });
  expect((await readConfig(paths)).metricsTextfile).toBe(metricsTextfile);
  for (const file of ["outpost.prom", "/var/lib/outpost.txt", ""]) {
    await expect(writeMetricsTextfile(paths, file)).rejects.toThrow("--metrics-textfile");
  }
});

test("a directory that has not joined says how to", async () => {
  await expect(readConfig(paths)).rejects.toMatchObject({
    code: ErrorCode.notFound,
    message: expect.stringContaining("outpost-agent join"),
  });
});
