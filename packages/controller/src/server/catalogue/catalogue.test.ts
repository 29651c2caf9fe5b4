import { mkdtempSync, rmSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type HostId,
  type HostName,
  newHostId,
  newJobId,
  newOperatorId,
  newTokenId,
  type OperatorName,
  TokenId,
} from "@outpost/protocol";
import * as v from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fakeFacts } from "../testing/fake-agent.ts";
import { Catalogue } from "./catalogue.ts";
import type { FanOutRecord, JobRecord } from "./fan-outs.ts";
import type { NewOperator } from "./operators.ts";
import { migrations } from "./schema.ts";
import { migrationsOf01 } from "./testing/schema-0.1.ts";
import type { NewToken } from "./tokens.ts";

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
  authorization: Buffer.from("signed"),
  hadSecrets: true,
  request: 7,
  hosts: 1,
  endedAt: undefined,
  inputSize: undefined,
  inputError: undefined,
  removedBy: undefined,
  rollout: undefined,
  ...more,
});

const alice: NewOperator = {
  id: newOperatorId(),
  name: "alice" as OperatorName,
  createdAt: 1,
  invitedUntil: 100,
  key: undefined,
  signedInAt: undefined,
};

const token = (hash: string, more: Partial<NewToken> = {}): NewToken => ({
  id: newTokenId(),
  hash: Buffer.from(hash),
  createdAt: 1,
  createdBy: "alice",
  expiresAt: 100,
  uses: 2,
  name: undefined,
  labels: {},
  quarantine: false,
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
  turn: "begun",
  ...more,
});

describe("the file", () => {
  test("is only its owner's, and is taken up again", () => {
    {
      using catalogue = new Catalogue(file);
      catalogue.transaction("synced", () => catalogue.operators.insert(alice));
    }
    expect(statSync(file).mode & 0o777).toBe(0o600);
    using again = new Catalogue(file);
    expect(again.operators.byId(alice.id)).toEqual({ ...alice, lastSeen: undefined });
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
    expect(() =>
      catalogue.transaction("unsynced", () => {
        catalogue.operators.insert(alice);
        throw new Error("half-way");
      }),
    ).toThrow("half-way");
    expect(catalogue.operators.byId(alice.id)).toBeUndefined();
  });

  test("of version 0.1 is brought up to date, with all that is in it", () => {
    expect(migrations.slice(0, migrationsOf01.length)).toEqual(migrationsOf01);
    const [operator, host] = [newOperatorId(), newHostId()];
    const raw = new DatabaseSync(file);
    for (const step of migrationsOf01) raw.exec(step);
    raw.exec(`PRAGMA user_version = ${String(migrationsOf01.length)}`);
    raw.prepare("INSERT INTO operators (id, name, created_at) VALUES (?, 'root', 3)").run(operator);
    raw
      .prepare(
        `INSERT INTO hosts (id, name, labels, facts, enrolled_at, last_seen, connected, key_hash, token_hash)
         VALUES (?, 'web1', '{"role":"web"}', ?, 4, 5, 0, x'01', x'02')`,
      )
      .run(host, JSON.stringify(fakeFacts));
    for (const hash of ["x'0a'", "x'0b'"]) {
      raw.exec(`INSERT INTO tokens VALUES (${hash}, 6, 'root', 1000, 2, 1)`);
    }
    raw.close();

    using catalogue = new Catalogue(file);
    expect(catalogue.operators.all()).toEqual([
      {
        id: operator,
        name: "root",
        createdAt: 3,
        invitedUntil: 0,
        key: undefined,
        signedInAt: undefined,
        lastSeen: undefined,
      },
    ]);
    expect(catalogue.hosts.all()).toMatchObject([
      {
        id: host,
        name: "web1",
        labels: { role: "web" },
        quarantinedSince: undefined,
        certificate: undefined,
      },
    ]);
    const tokens = catalogue.tokens.all();
    expect(tokens).toMatchObject([
      { uses: 2, used: 1, labels: {}, quarantine: false },
      { uses: 2, used: 1, labels: {}, quarantine: false },
    ]);
    for (const { id } of tokens) expect(v.is(TokenId, id)).toBe(true);
    expect(tokens[0]!.id).not.toBe(tokens[1]!.id);
    expect(catalogue.tokens.use(Buffer.of(0x0a), 500)).toBe(true);
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
      quarantinedSince: 5,
      certificate: { expiresAt: 900, authority: "aa" },
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

  test("hosts: approved, with another certificate, and gone, so that the name is free", () => {
    using catalogue = new Catalogue(":memory:");
    const host = {
      id: newHostId(),
      name: "web1" as HostName,
      labels: {},
      facts: fakeFacts,
      enrolledAt: 5,
      quarantinedSince: 5,
      certificate: undefined,
      keyHash: Buffer.from("k"),
      tokenHash: Buffer.from("t"),
    };
    catalogue.hosts.insert(host);
    catalogue.hosts.approve(host.id);
    catalogue.hosts.certified(host.id, { expiresAt: 7, authority: "bb" });
    expect(catalogue.hosts.byName(host.name)).toMatchObject({
      quarantinedSince: undefined,
      certificate: { expiresAt: 7, authority: "bb" },
    });
    const removal = { id: host.id, kind: "host", name: "web1", removedAt: 8, removedBy: "alice" } as const;
    catalogue.removals.insert(removal);
    catalogue.hosts.delete(host.id);
    catalogue.hosts.insert({ ...host, id: newHostId() });
    expect(catalogue.removals.byId(host.id)).toEqual(removal);
    expect(catalogue.removals.byId(newHostId())).toBeUndefined();
  });

  test("operators: the first key within the time is theirs, and no other", () => {
    using catalogue = new Catalogue(":memory:");
    const { operators } = catalogue;
    operators.insert(alice);
    expect(operators.signIn(alice.id, "late", 100)).toBe(false);
    expect([operators.signIn(alice.id, "first", 99), operators.signIn(alice.id, "second", 99)]).toEqual([
      true,
      false,
    ]);
    operators.seen(alice.id, 120);
    expect(operators.byName(alice.name)).toEqual({ ...alice, key: "first", signedInAt: 99, lastSeen: 120 });
    operators.delete(alice.id);
    expect(operators.all()).toEqual([]);
  });

  test("tokens: uses are counted, and no further than allowed", () => {
    using catalogue = new Catalogue(":memory:");
    const hash = Buffer.from("hash");
    catalogue.tokens.insert(token("hash"));
    expect([
      catalogue.tokens.use(hash, 50),
      catalogue.tokens.use(hash, 50),
      catalogue.tokens.use(hash, 50),
    ]).toEqual([true, true, false]);
    catalogue.tokens.insert(token("other"));
    expect(catalogue.tokens.use(Buffer.from("other"), 100)).toBe(false);
    catalogue.tokens.purge(101);
    expect(catalogue.tokens.byHash(hash)).toBeUndefined();
  });

  test("tokens: what they fix is kept; a revoked one is of no use, and the first revocation stands", () => {
    using catalogue = new Catalogue(":memory:");
    const { tokens } = catalogue;
    const fixed = token("fixed", { name: "web7" as HostName, labels: { site: "eu" }, quarantine: true });
    tokens.insert(fixed);
    const unused = { used: 0, revokedAt: undefined, revokedBy: undefined };
    expect(tokens.byId(fixed.id)).toEqual({ ...fixed, hash: new Uint8Array(fixed.hash), ...unused });
    tokens.revoke(fixed.id, 50, "bob");
    tokens.revoke(fixed.id, 60, "carol");
    expect(tokens.byId(fixed.id)).toMatchObject({ revokedAt: 50, revokedBy: "bob" });
    expect(tokens.use(fixed.hash, 51)).toBe(false);
    tokens.insert(token("good"));
    tokens.insert(token("over", { expiresAt: 20 }));
    expect(tokens.revokeAll(70, "the change of the CA")).toBe(1);
    expect(tokens.byId(fixed.id)).toMatchObject({ revokedAt: 50 });
  });

  test("fan-out jobs: written, changed, listed, found by prefix and name, deleted", () => {
    using catalogue = new Catalogue(":memory:");
    const table = catalogue.fanOuts;
    const host = newHostId();
    const old = fanOut({ name: "nightly", createdAt: 1_000 });
    const young = fanOut({ name: "nightly", createdAt: 2_000 });
    for (const record of [old, young]) table.insert(record, [job(record, host)]);
    expect(table.byId(old.id)).toMatchObject({
      ...old,
      spec: new Uint8Array(Buffer.from("spec")),
      authorization: new Uint8Array(Buffer.from("signed")),
    });
    expect([...table.hosts(old.id)]).toEqual([{ host, hostName: "web1" }]);
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
      waiting: { kind: "stop", operator: "bob", graceMs: 5, authorization: "c2lnbmVk" },
    });
    table.updateJob(ended);
    expect(table.job(old.id, host)).toEqual(ended);
    expect(table.counts(old.id)).toEqual([{ state: "completed", jobs: 1, unread: 7 }]);
    table.update(
      {
        ...old,
        spec: undefined,
        authorization: undefined,
        endedAt: 9,
        inputSize: 4,
        inputError: { code: "x", message: "y" },
      },
      true,
    );
    expect(table.byId(old.id)).toMatchObject({
      endedAt: 9,
      inputSize: 4,
      spec: undefined,
      authorization: undefined,
      inputError: { code: "x", message: "y" },
    });
    expect(table.unfinished().map(({ id }) => id)).toEqual([young.id]);
    expect(table.endedBefore(10)).toEqual([old.id]);
    table.delete(old.id);
    expect([table.byId(old.id), table.jobs(old.id)]).toEqual([undefined, []]);
  });
});
