import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, statSync, symlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { AuditEntry } from "@outpost/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { NewAuditEntry } from "./audit-line.ts";
import { LogDirectory } from "./testing/log-directory.ts";
import { verifyAuditLog } from "./verification.ts";

const invoke: NewAuditEntry = {
  kind: "request",
  action: "invoke",
  operator: "ada",
  hosts: ["web1"],
  what: "uptime",
};
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const mode = (path: string): number => statSync(path).mode & 0o777;

async function isWhole(logs: LogDirectory): Promise<void> {
  expect(await verifyAuditLog(logs.path)).toMatchObject({ problems: [] });
}

describe("lines", () => {
  test("are JSON, in one form, each with the hash of the one before", () => {
    using logs = new LogDirectory();
    using log = logs.open();
    expect(log.append({ ...invoke, decision: "allowed", rule: "admins", subject: "0123456789ab" })).toBe(1);
    expect(
      log.append({
        kind: "outcome",
        action: "invoke",
        of: 1,
        outcome: "completed",
        bytes: 12,
        durationMs: 3,
      }),
    ).toBe(2);
    const first =
      `{"sequence":1,"time":1700000001000,"kind":"request","action":"invoke","operator":"ada","hosts":["web1"],` +
      `"subject":"0123456789ab","what":"uptime","decision":"allowed","rule":"admins","previous":"${"0".repeat(64)}"}`;
    const second =
      `{"sequence":2,"time":1700000002000,"kind":"outcome","action":"invoke","of":1,"outcome":"completed",` +
      `"bytes":12,"durationMs":3,"previous":"${sha256(first)}"}`;
    expect(logs.read()).toBe(`${first}\n${second}\n`);
  });

  test("stay lines, whatever is in them", async () => {
    using logs = new LogDirectory();
    using log = logs.open();
    const what = 'a\nb\r\u2028"\\\u0000\u001b[31m\ud800';
    log.append({ ...invoke, what, operator: "x\ny" });
    expect(logs.lines()).toHaveLength(1);
    const { entries } = await log.list({});
    expect(entries[0]).toMatchObject({ what, operator: "x\ny" });
    await isWhole(logs);
  });

  test("hold no more than an audit log should", async () => {
    using logs = new LogDirectory();
    using log = logs.open();
    const hosts = Array.from({ length: 10_003 }, (_, index) => `${"\u0001".repeat(60)}${String(index)}`);
    log.append({ ...invoke, what: "w".repeat(1_001), message: "m".repeat(1_000), hosts });
    const [entry] = (await log.list({})).entries as [AuditEntry];
    expect(entry.what).toBe(`${"w".repeat(999)}…`);
    expect(entry.message).toBe("m".repeat(1_000));
    expect(entry.hosts).toHaveLength(10_001);
    expect(entry.hosts!.at(-1)).toBe("… and 3 more");
    expect(logs.lines()[0]!.length).toBeLessThan(4 * 1024 * 1024);
    await isWhole(logs);
  });
});

describe("the file", () => {
  test("is for its user alone, and so is the directory", () => {
    using logs = new LogDirectory();
    mkdirSync(logs.path, { mode: 0o755 });
    logs.write("");
    chmodSync(logs.file(), 0o644);
    using _log = logs.open();
    expect(mode(logs.path)).toBe(0o700);
    expect(mode(logs.file())).toBe(0o600);
  });

  test("is made with these rights", () => {
    using logs = new LogDirectory();
    using log = logs.open({ maxFileBytes: 1 });
    log.append(invoke);
    log.append(invoke);
    expect(mode(logs.path)).toBe(0o700);
    expect(logs.names().map((name) => mode(logs.file(name)))).toEqual([0o600, 0o600]);
  });

  test("is none that somebody has pointed elsewhere", () => {
    using logs = new LogDirectory();
    mkdirSync(logs.path);
    logs.write("", "elsewhere");
    symlinkSync(logs.file("elsewhere"), logs.file());
    expect(() => logs.open()).toThrow(expect.objectContaining({ code: "internal" }));
  });

  test("takes nothing any more when the log is closed", () => {
    using logs = new LogDirectory();
    const log = logs.open();
    log[Symbol.dispose]();
    log[Symbol.dispose]();
    expect(() => log.append(invoke)).toThrow("closed");
  });
});

describe("opened again", () => {
  test("the chain goes on", async () => {
    using logs = new LogDirectory();
    for (const sequence of [1, 2, 3]) {
      using log = logs.open();
      expect(log.append(invoke)).toBe(sequence);
    }
    expect(await verifyAuditLog(logs.path)).toEqual({
      entries: 3,
      first: 1,
      last: 3,
      head: sha256(logs.lines()[2]!),
      problems: [],
    });
  });

  test("after a cut at every byte of the last line: it is taken off and said, or was not there", async () => {
    using logs = new LogDirectory();
    {
      using log = logs.open();
      log.append(invoke);
      log.append({ ...invoke, what: "é…\n" });
    }
    const whole = Buffer.from(logs.read());
    const start = whole.indexOf(10) + 1;
    for (let end = start; end <= whole.length; end++) {
      logs.write(whole.subarray(0, end));
      const isCut = end > start && end < whole.length;
      using log = logs.open();
      // Seen without anything being appended.
      const { entries } = await log.list({ action: "audit.repaired" });
      const what = `the last line was incomplete: ${String(end - start)} bytes were taken off`;
      expect(entries).toMatchObject(isCut ? [{ sequence: 2, kind: "event", what }] : []);
      expect(log.append(invoke)).toBe(isCut || end === whole.length ? 3 : 2);
      await isWhole(logs);
    }
  });

  test("after the first line was cut", async () => {
    using logs = new LogDirectory();
    mkdirSync(logs.path);
    logs.write('{"sequence":1,');
    using log = logs.open();
    expect(log.append(invoke)).toBe(2);
    expect(logs.lines()[0]).toContain('"previous":"0000');
    await isWhole(logs);
  });

  test("after a disk left zeros", async () => {
    using logs = new LogDirectory();
    {
      using log = logs.open();
      log.append(invoke);
    }
    logs.write(Buffer.concat([Buffer.from(logs.read()), Buffer.alloc(300_000)]));
    using log = logs.open();
    expect(log.append(invoke)).toBe(3);
    await isWhole(logs);
  });

  test("after lines that are none: no number comes twice, and they are told of", async () => {
    using logs = new LogDirectory();
    {
      using log = logs.open();
      log.append(invoke);
      log.append(invoke);
    }
    logs.setLines([logs.lines()[0]!, "garbage", "{}"]);
    {
      using log = logs.open();
      expect(log.append(invoke)).toBe(4);
    }
    const { problems, last } = await verifyAuditLog(logs.path);
    expect(last).toBe(4);
    expect(problems.map(({ line }) => line)).toEqual([2, 3]);
  });
});

describe("rotation", () => {
  test("names files by their first line, keeps so many, and says what it removed", async () => {
    using logs = new LogDirectory();
    using log = logs.open({ maxFileBytes: 500, keptFiles: 2 });
    for (let index = 0; index < 30; index++) log.append(invoke);
    const names = logs.names();
    expect(names).toHaveLength(3);
    for (const name of names.slice(0, 2)) {
      const { sequence } = JSON.parse(logs.lines(name)[0]!) as AuditEntry;
      expect(name).toBe(`audit-${String(sequence).padStart(12, "0")}.ndjson`);
    }
    const result = await log.verify();
    expect(result.problems).toEqual([]);
    expect(result.first).toBeGreaterThan(1);
    const { entries } = await log.list({ action: "audit.removed" });
    expect(entries.at(-1)).toMatchObject({ kind: "event", of: result.first });
  });

  test("a crash between the rename and the first line of the new file is harmless", async () => {
    using logs = new LogDirectory();
    {
      using log = logs.open();
      log.append(invoke);
      log.append(invoke);
    }
    renameSync(logs.file(), logs.file("audit-000000000001.ndjson"));
    await isWhole(logs);
    for (const sequence of [3, 4]) {
      // The second time there is an empty file already.
      logs.open()[Symbol.dispose]();
      using log = logs.open();
      expect(log.append(invoke)).toBe(sequence);
    }
    await isWhole(logs);
  });

  test("what is in its way is not replaced", async () => {
    using logs = new LogDirectory();
    using log = logs.open({ maxFileBytes: 1 });
    log.append(invoke);
    logs.write("evidence\n", "audit-000000000001.ndjson");
    log.append(invoke);
    expect(logs.lines()).toHaveLength(2);
    expect(logs.read("audit-000000000001.ndjson")).toBe("evidence\n");
    expect((await log.verify()).problems).not.toEqual([]);
  });

  test("keeping none keeps the chain", async () => {
    using logs = new LogDirectory();
    using log = logs.open({ maxFileBytes: 1, keptFiles: 0 });
    for (let index = 0; index < 5; index++) log.append(invoke);
    expect(logs.names()).toEqual(["audit.ndjson"]);
    await isWhole(logs);
  });
});

test("whatever is appended, rotated and opened again: all of it is there, in one chain", async () => {
  const text = fc.string({ unit: "binary", maxLength: 30 });
  const entry: fc.Arbitrary<NewAuditEntry> = fc.record(
    {
      kind: fc.constantFrom("request", "outcome", "event"),
      action: text,
      operator: text,
      hosts: fc.array(text, { maxLength: 3 }),
      subject: text,
      what: text,
      decision: fc.constantFrom("allowed", "denied"),
      rule: text,
      of: fc.maxSafeNat(),
      outcome: text,
      message: text,
      bytes: fc.maxSafeNat(),
      durationMs: fc.nat(),
    },
    { requiredKeys: ["kind", "action"] },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(entry, { maxLength: 8 }), { maxLength: 5 }),
      fc.integer({ min: 1, max: 2_000 }),
      async (lives, maxFileBytes) => {
        using logs = new LogDirectory();
        for (const life of lives) {
          using log = logs.open({ maxFileBytes, keptFiles: 1_000 });
          for (const each of life) log.append(each);
        }
        using log = logs.open();
        const appended = lives.flat();
        const { entries, more } = await log.list({ newest: 1_000 });
        expect(more).toBe(false);
        expect(entries.map(({ sequence: _s, time: _t, previous: _p, ...rest }) => rest)).toEqual(appended);
        expect(entries.map(({ sequence }) => sequence)).toEqual(appended.map((_, index) => index + 1));
        expect(await log.verify()).toMatchObject({ entries: appended.length, problems: [] });
      },
    ),
    { numRuns: 100 },
  );
});

/** Runs `fill-log.ts` in a process that may write so many KiB into a file. */
function fillLimited(directory: string, kib: number): string {
  const path = fileURLToPath(new URL("./testing/fill-log.ts", import.meta.url));
  const script = `ulimit -f ${String(kib * 2)}; exec "$0" --conditions=source "$@"`;
  const { stdout, stderr, status } = spawnSync(
    "/bin/dash",
    ["-c", script, process.execPath, path, directory],
    {
      encoding: "utf8",
    },
  );
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return stdout;
}

describe("when there is no room", () => {
  // dash counts blocks of 512 bytes; a limit on the size of a file is as full as a disk, and needs no disk.
  test.skipIf(!existsSync("/bin/dash"))("nothing half-written stays, and what fits is appended", async () => {
    using logs = new LogDirectory();
    const [full, last] = fillLimited(logs.path, 4).trim().split("\n");
    expect(full).toBe("disk_full");
    const { entries, last: found, problems } = await verifyAuditLog(logs.path);
    expect(problems).toEqual([]);
    expect([entries, found]).toEqual([Number(last), Number(last)]);
    expect(statSync(logs.file()).size).toBeLessThanOrEqual(4 * 1024);
    expect(logs.read().endsWith("\n")).toBe(true);
    using log = logs.open();
    expect(log.append(invoke)).toBe(found + 1);
    await isWhole(logs);
  });

  test("a log whose directory is gone says so", () => {
    using logs = new LogDirectory();
    using log = logs.open({ maxFileBytes: 1 });
    log.append(invoke);
    rmSync(logs.path, { recursive: true });
    expect(() => log.append(invoke)).toThrow(expect.objectContaining({ code: "internal" }));
  });
});
