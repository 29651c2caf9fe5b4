import { mkdtempSync, rmSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type HostId, type HostName, newHostId, newJobId, newOperatorId } from "@outpost/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fakeFacts } from "../testing/fake-agent.ts";
import { Catalogue } from "./catalogue.ts";
import type { FanOutRecord, JobRecord } from "./fan-outs.ts";

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "outpost-catalogue-"));
  file = join(directory, "catalogue.sqlite");
});
afterEach(() => rmSync(directory, { recursive: true }));

const fanOut = (more: Partial<FanOutRecord> = {}): FanOutRecord => ({
  id: newJobId(),
  name: undefined,
  operator: "alice",
  command: "true",
  mode: "keep",
  createdAt: 1_000,
  expiresAt: 61_000,
  spec: Buffer.from("spec"),
  hosts: 1,
  endedAt: undefined,
  inputSize: undefined,
  inputError: undefined,
  removedBy: undefined,
  ...more,
});

const job = (record: FanOutRecord, host: HostId, more: Partial<JobRecord> = {}): JobRecord => ({
  fanOut: record.id,
  host,
  position: 0,
  hostName: "web1" as HostName,
  status: {
    job: record.id,
    state: "pending",
    output: { stdout: { written: 0, received: 0 }, stderr: { written: 0, received: 0 } },
  },
  received: { stdout: 0, stderr: 0, timeline: 0 },
  unread: 0,
  held: true,
  collected: false,
  waiting: undefined,
  ...more,
});

describe("the file", () => {
  test("is only its owner's, and is taken up again", () => {
    const id = newOperatorId();
    {
      using catalogue = new Catalogue(file);
      catalogue.transaction("synced", () => catalogue.operators.insert({ id, name: "alice" }, 1));
    }
    expect(statSync(file).mode & 0o777).toBe(0o600);
    using again = new Catalogue(file);
    expect(again.operators.byId(id)).toMatchObject({ id, name: "alice" });
  });

  test("of a newer controller is refused and not touched", () => {
    new Catalogue(file)[Symbol.dispose]();
    const raw = new DatabaseSync(file);
    raw.exec("PRAGMA user_version = 99");
    raw.close();
    expect(() => new Catalogue(file)).toThrow(expect.objectContaining({ code: "version_mismatch" }));
  });

  test("takes a transaction whole or not at all", () => {
    using catalogue = new Catalogue(file);
    const id = newOperatorId();
    expect(() =>
      catalogue.transaction("unsynced", () => {
        catalogue.operators.insert({ id, name: "alice" }, 1);
        throw new Error("half-way");
      }),
    ).toThrow("half-way");
    expect(catalogue.operators.byId(id)).toBeUndefined();
  });
});

describe("tables", () => {
  test("hosts: what was connected when we died was last seen when we were last alive", () => {
    using catalogue = new Catalogue(":memory:");
    const host = {
      id: newHostId(),
      name: "web1" as HostName,
      labels: { role: "web" },
      facts: fakeFacts,
      enrolledAt: 5,
    };
    catalogue.hosts.insert({ ...host, keyHash: Buffer.from("k"), tokenHash: Buffer.from("t") });
    expect(catalogue.hosts.all()).toEqual([{ ...host, lastSeen: undefined }]);
    catalogue.hosts.connected(host.id, 100, fakeFacts);
    catalogue.noteAlive(150);
    catalogue.hosts.settle(catalogue.aliveAt!);
    expect(catalogue.hosts.all()[0]?.lastSeen).toBe(150);
    catalogue.hosts.settle(500);
    expect(catalogue.hosts.all()[0]?.lastSeen).toBe(150);
  });

  test("tokens: uses are counted, and no further than allowed", () => {
    using catalogue = new Catalogue(":memory:");
    const hash = Buffer.from("hash");
    catalogue.tokens.insert({ hash, createdAt: 1, createdBy: "alice", expiresAt: 100, uses: 2 });
    expect([
      catalogue.tokens.use(hash, 50),
      catalogue.tokens.use(hash, 50),
      catalogue.tokens.use(hash, 50),
    ]).toEqual([true, true, false]);
    catalogue.tokens.insert({
      hash: Buffer.from("other"),
      createdAt: 1,
      createdBy: "alice",
      expiresAt: 100,
      uses: 2,
    });
    expect(catalogue.tokens.use(Buffer.from("other"), 100)).toBe(false);
    catalogue.tokens.purge(101);
    expect(catalogue.tokens.byHash(hash)).toBeUndefined();
  });

  test("fan-out jobs: written, changed, listed, found by prefix and name, deleted", () => {
    using catalogue = new Catalogue(":memory:");
    const table = catalogue.fanOuts;
    const host = newHostId();
    const old = fanOut({ name: "nightly", createdAt: 1_000 });
    const young = fanOut({ name: "nightly", createdAt: 2_000 });
    for (const record of [old, young]) table.insert(record, [job(record, host)]);
    expect(table.byId(old.id)).toMatchObject({ ...old, spec: new Uint8Array(Buffer.from("spec")) });
    expect(table.jobs(old.id)).toEqual([job(old, host)]);
    expect([...table.list({})].map(({ id }) => id)).toEqual([young.id, old.id]);
    expect([...table.list({ before: 2_000 })].map(({ id }) => id)).toEqual([old.id]);
    expect([...table.list({ after: 1_000, name: "nightly" })].map(({ id }) => id)).toEqual([young.id]);
    expect(table.idsByPrefix(old.id.slice(0, 8), 5)).toEqual([old.id]);
    expect(table.idsByName("nightly", 5)).toEqual([young.id, old.id]);
    expect(table.heldBy(host).sort()).toEqual([old.id, young.id].sort());

    const ended = job(old, host, {
      status: { ...job(old, host).status, state: "completed", exit: { code: 0 } },
      received: { stdout: 3, stderr: 2, timeline: 1 },
      unread: 7,
      held: false,
      collected: true,
      waiting: { kind: "stop", operator: "bob", graceMs: 5 },
    });
    table.updateJob(ended);
    expect(table.job(old.id, host)).toEqual(ended);
    expect(table.counts(old.id)).toEqual([{ state: "completed", jobs: 1, unread: 7 }]);
    table.update(
      { ...old, spec: undefined, endedAt: 9, inputSize: 4, inputError: { code: "x", message: "y" } },
      true,
    );
    expect(table.byId(old.id)).toMatchObject({
      endedAt: 9,
      inputSize: 4,
      spec: undefined,
      inputError: { code: "x", message: "y" },
    });
    expect(table.unfinished().map(({ id }) => id)).toEqual([young.id]);
    expect(table.endedBefore(10)).toEqual([old.id]);
    table.delete(old.id);
    expect([table.byId(old.id), table.jobs(old.id)]).toEqual([undefined, []]);
  });
});
