import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newSessionId, SessionName } from "@outpost/protocol";
import * as v from "valibot";
import { afterEach, beforeEach, expect, test } from "vitest";
import { hostPlatform } from "../platform/index.ts";
import { SessionDirectory, type SessionRecord } from "../session-host/session-directory.ts";
import { heldSessions } from "./held-sessions.ts";

const platform = hostPlatform();
let root: string;
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), "outpost-held-"))));
afterEach(() => rmSync(root, { recursive: true }));

function write(createdAt: number, more: Partial<SessionRecord> = {}): SessionRecord {
  const record: SessionRecord = {
    session: newSessionId(),
    spec: { env: {}, columns: 80, rows: 24, record: false, temporary: false, onExit: "end" },
    operator: "ada",
    createdAt,
    bootId: platform.bootId,
    shell: "/bin/bash",
    integration: "bash",
    ...more,
  };
  const directory = new SessionDirectory(root, record.session);
  directory.create();
  directory.write(record);
  return record;
}

test("a session is live while its shell is, else as its record says, or unsettled", async () => {
  const mine = { pid: process.pid, startTime: platform.startTime(process.pid)! };
  const name = v.parse(SessionName, "deploy");
  const live = write(1, { process: mine });
  const named = write(2, { process: { ...mine, startTime: "0" } });
  new SessionDirectory(root, named.session).write({ ...named, spec: { ...named.spec, name } });
  const earlier = write(3, { process: mine, bootId: "an earlier one" });
  const reason = { code: "exited", message: "its shell has exited" } as const;
  const ended = write(4, { end: { state: "closed", endedAt: 5, activeAt: 5, reason } });
  mkdirSync(join(root, newSessionId()));
  writeFileSync(join(root, "stray"), "");
  const held = await heldSessions(root, platform);
  expect(held.map(({ session, state }) => [session, state])).toEqual([
    [live.session, "live"],
    [named.session, "unsettled"],
    [earlier.session, "unsettled"],
    [ended.session, "closed"],
  ]);
  expect(held[1]).toEqual({
    session: named.session,
    name: "deploy",
    operator: "ada",
    state: "unsettled",
    shell: "/bin/bash",
    createdAt: "1970-01-01T00:00:00.002Z",
  });
});

test("a directory that is not there holds none", async () => {
  expect(await heldSessions(join(root, "none"), platform)).toEqual([]);
});
