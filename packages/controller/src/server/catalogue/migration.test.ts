import { mkdtempSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newHostId, newJobId } from "@outpost/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ownerOf } from "../fan-out.ts";
import { Catalogue } from "./catalogue.ts";
import { migrations } from "./schema.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "outpost-migration-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

test("a fan-out job of version 0.1 is its operator's still, and has nothing that was signed", () => {
  const file = join(directory, "catalogue.sqlite");
  const [id, host] = [newJobId(), newHostId()];
  {
    const old = new DatabaseSync(file);
    for (const step of migrations.slice(0, 2)) old.exec(step);
    old.exec("PRAGMA user_version = 2");
    old
      .prepare(
        `INSERT INTO fanouts (id, operator, command, mode, created_at, expires_at, spec, hosts, finished)
         VALUES (?, 'ada', 'true', 'keep', 1000, 61000, x'01', 1, 0)`,
      )
      .run(id);
    const waiting = JSON.stringify({ kind: "stop", operator: "ada" });
    old
      .prepare(
        `INSERT INTO jobs (fanout, host, position, host_name, state, status, stdout, stderr, timeline, unread, held,
         collected, waiting) VALUES (?, ?, 0, 'web1', 'running', '{"state":"running"}', 0, 0, 0, 0, 1, 0, ?)`,
      )
      .run(id, host, waiting);
    old.close();
  }
  using catalogue = new Catalogue(file);
  const record = catalogue.fanOuts.byId(id)!;
  expect(record).toMatchObject({
    operator: "ada",
    hadSecrets: false,
    authorization: undefined,
    request: undefined,
    rollout: undefined,
  });
  expect(ownerOf(record)).toBe("ada");
  expect(catalogue.fanOuts.job(id, host)).toMatchObject({
    waiting: { kind: "stop", operator: "ada" },
    // It was sent at once, as all were.
    turn: "begun",
  });
});
