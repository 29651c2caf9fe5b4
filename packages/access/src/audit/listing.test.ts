import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { AuditEntry, AuditListParams } from "@outpost/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { NewAuditEntry } from "./audit-line.ts";
import { listAuditLog } from "./listing.ts";
import { LogDirectory } from "./testing/log-directory.ts";
import { verifyAuditLog } from "./verification.ts";

const entry: fc.Arbitrary<NewAuditEntry> = fc.record(
  {
    kind: fc.constantFrom("request" as const, "outcome" as const, "event" as const),
    action: fc.constantFrom("invoke", "job.stop", "job.read", "policy.loaded"),
    operator: fc.constantFrom("ada", "bob", "*"),
    hosts: fc.uniqueArray(fc.constantFrom("web1", "web2", "db1"), { maxLength: 3 }),
    subject: fc.constantFrom("s1", "s2"),
    decision: fc.constantFrom("allowed" as const, "denied" as const),
    outcome: fc.constantFrom("ok", "denied"),
  },
  { requiredKeys: ["kind", "action"] },
);
/** Times of lines, as `LogDirectory` gives them, and clocks that were set back. */
const step = fc.constantFrom(1_000, 1_000, 1_000, 60_000, -5_000);
const time = fc.integer({ min: -10, max: 40 }).map((seconds) => 1_700_000_000_000 + seconds * 1_000);
const filter: fc.Arbitrary<AuditListParams> = fc.record(
  {
    since: time,
    until: time,
    by: fc.constantFrom("ada", "bob", "*"),
    host: fc.constantFrom("web1", "db1", "x"),
    action: fc.constantFrom("invoke", "job.*", "*", "x"),
    decision: fc.constantFrom("allowed", "denied"),
    subject: fc.constantFrom("s1", "s2"),
    before: fc.nat(30),
    newest: fc.integer({ min: 1, max: 10 }),
  },
  { requiredKeys: [] },
);

function naive(
  all: readonly AuditEntry[],
  wanted: AuditListParams,
): { entries: AuditEntry[]; more: boolean } {
  const actions: Record<string, (action: string) => boolean> = {
    "*": () => true,
    "job.*": (action) => action.startsWith("job."),
  };
  const found = all
    .filter((each) => each.time >= (wanted.since ?? 0) && each.time <= (wanted.until ?? Infinity))
    .filter((each) => wanted.by === undefined || each.operator === wanted.by)
    .filter((each) => wanted.host === undefined || (each.hosts ?? []).includes(wanted.host))
    .filter(
      (each) =>
        wanted.action === undefined ||
        (actions[wanted.action]?.(each.action) ?? each.action === wanted.action),
    )
    .filter(
      (each) => wanted.decision === undefined || [each.decision, each.outcome].includes(wanted.decision),
    )
    .filter((each) => wanted.subject === undefined || each.subject === wanted.subject)
    .filter((each) => each.sequence < (wanted.before ?? Infinity));
  const newest = wanted.newest ?? 200;
  return { entries: found.slice(-newest), more: found.length > newest };
}

test("lists what a naive filter would", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(entry, step), { maxLength: 25 }),
      fc.integer({ min: 1, max: 3_000 }),
      fc.array(filter, { minLength: 1, maxLength: 10 }),
      async (entries, maxFileBytes, filters) => {
        using logs = new LogDirectory();
        using log = logs.open({ maxFileBytes, keptFiles: 1_000 });
        for (const [each, stepMs] of entries) {
          logs.now += stepMs - 1_000;
          log.append(each);
        }
        const all = logs
          .names()
          .flatMap((name) => logs.lines(name))
          .map((line) => JSON.parse(line) as AuditEntry);
        for (const wanted of filters) expect(await log.list(wanted)).toEqual(naive(all, wanted));
      },
    ),
    { numRuns: 150 },
  );
});

describe("answers", () => {
  test("of 200, when nobody says how many, and the pages before them", async () => {
    using logs = new LogDirectory();
    using log = logs.open({ maxFileBytes: 10_000, keptFiles: 100 });
    for (let index = 0; index < 450; index++) log.append({ kind: "event", action: "test" });
    const sequences: number[] = [];
    for (let before: number | undefined, more = true; more;) {
      const page = await log.list(before === undefined ? {} : { before });
      sequences.unshift(...page.entries.map(({ sequence }) => sequence));
      ({ more } = page);
      before = page.entries[0]!.sequence;
    }
    expect(sequences).toEqual(Array.from({ length: 450 }, (_, index) => index + 1));
  });

  test("fit a message, whatever the lines hold", async () => {
    using logs = new LogDirectory();
    using log = logs.open();
    const hosts = Array.from({ length: 10_000 }, (_, index) => `a-host-with-a-long-name-${String(index)}`);
    for (let index = 0; index < 20; index++) log.append({ kind: "request", action: "invoke", hosts });
    const { entries, more } = await log.list({ newest: 20 });
    expect(entries.map(({ sequence }) => sequence)).toEqual([18, 19, 20]);
    expect(more).toBe(true);
    const short = Array.from({ length: 10_000 }, () => "a");
    for (let index = 0; index < 20; index++) log.append({ kind: "request", action: "invoke", hosts: short });
    expect((await log.list({ newest: 20 })).entries).toHaveLength(5);
  });

  test("pass over what is no entry", async () => {
    using logs = new LogDirectory();
    using log = logs.open();
    for (let index = 0; index < 3; index++) log.append({ kind: "event", action: "test" });
    logs.setLines(logs.lines().with(1, "{}"));
    expect((await log.list({})).entries.map(({ sequence }) => sequence)).toEqual([1, 3]);
  });

  test("of a log that is not there are empty", async () => {
    using logs = new LogDirectory();
    expect(await listAuditLog(logs.path, {})).toEqual({ entries: [], more: false });
  });
});

test("another process may write and rotate meanwhile", async () => {
  using logs = new LogDirectory();
  logs.open()[Symbol.dispose]();
  const fixture = fileURLToPath(new URL("./testing/write-log.ts", import.meta.url));
  const writer = spawn(process.execPath, ["--conditions=source", fixture, logs.path], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exit = once(writer, "exit");
  const output = text(writer.stdout);
  try {
    let last = 0;
    let grown = 0;
    while (grown < 40) {
      const verified = await verifyAuditLog(logs.path);
      expect(verified.problems).toEqual([]);
      expect(verified.last).toBeGreaterThanOrEqual(last);
      if (verified.last > last) grown++;
      last = verified.last;
      const { entries } = await listAuditLog(logs.path, { newest: 1_000 });
      // One behind the other, without a hole, up to what was there.
      const first = entries[0]?.sequence ?? 1;
      expect(entries.map(({ sequence }) => sequence)).toEqual(entries.map((_, index) => first + index));
      if (last > 0) expect(entries.at(-1)!.sequence).toBeGreaterThanOrEqual(last);
    }
  } finally {
    writer.stdin.end();
    await exit;
  }
  expect(writer.exitCode).toBe(0);
  const verified = await verifyAuditLog(logs.path);
  expect(verified).toMatchObject({ last: Number(await output), problems: [] });
  expect(verified.first).toBeGreaterThan(1);
});
