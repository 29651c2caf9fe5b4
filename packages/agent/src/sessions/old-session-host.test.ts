/** A session host of an older agent lives as long as its sessions do, also after an upgrade. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigurationName, newSessionId, type SessionSpec, systemClock, UserName } from "@outpost/protocol";
import { pino } from "pino";
import * as v from "valibot";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Configurations } from "../configurations/index.ts";
import { agentPaths } from "../directory.ts";
import { helloResult } from "../testing/session.ts";
import { FakeSessionHost } from "../testing/sessions.ts";
import { Sessions } from "./sessions.ts";

const plain: SessionSpec = { env: {}, columns: 80, rows: 24, record: false, temporary: false, onExit: "end" };

let directory: string;
let host: FakeSessionHost;
let sessions: Sessions;

beforeEach(() => {
  directory = mkdtempSync(join(realpathSync(tmpdir()), "outpost-old-"));
  const paths = agentPaths(directory);
  const configurations = new Configurations(paths.configurations);
  host = new FakeSessionHost();
  host.handlers = { hello: () => ({ ...helloResult("web1"), version: 1 }) };
  const log = pino({ level: "silent" });
  sessions = new Sessions({ paths, clock: systemClock, log, configurations, dial: host.dial });
});

afterEach(async () => {
  await sessions[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

const open = (spec: Partial<SessionSpec> = {}): Promise<unknown> =>
  sessions.open({ session: newSessionId(), spec: { ...plain, ...spec }, operator: "ada" });

test("opens what it knows", async () => {
  await expect(open()).resolves.toMatchObject({ state: "opened" });
});

test("is not asked for what it would ignore: configurations, users, and a default that is not everything", async () => {
  const refused = { code: "version_mismatch", message: expect.stringContaining("older than its agent") };
  await expect(open({ configuration: v.parse(ConfigurationName, "deploy") })).rejects.toMatchObject(refused);
  await expect(open({ user: v.parse(UserName, "deploy") })).rejects.toMatchObject(refused);
  mkdirSync(join(directory, "configurations"));
  writeFileSync(join(directory, "configurations", "default.yaml"), "user: deploy\n");
  await expect(open()).rejects.toMatchObject(refused);
  expect(host.held.size).toBe(0);
});
