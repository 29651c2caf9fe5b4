import { linkSync, mkdirSync, renameSync, rmSync, truncateSync } from "node:fs";
import type { AuditEntry, AuditVerification } from "@outpost/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LogDirectory } from "./testing/log-directory.ts";
import { verifyAuditLog } from "./verification.ts";

const count = 12;

function filled(maxFileBytes = 1_000_000): LogDirectory {
  const logs = new LogDirectory();
  using log = logs.open({ maxFileBytes });
  for (let index = 0; index < count; index++) {
    log.append({ kind: "request", action: "invoke", operator: "ada", what: `echo ${String(index)}` });
  }
  return logs;
}

const told = ({ problems }: AuditVerification): string[] =>
  problems.map(({ file, line, message }) => `${file}:${String(line)} ${message}`);

describe("what was done to the lines", () => {
  const after = async (change: (lines: string[]) => string[]): Promise<string[]> => {
    using logs = filled();
    logs.setLines(change(logs.lines()));
    return told(await verifyAuditLog(logs.path));
  };

  test("nothing", async () => expect(await after((lines) => lines)).toEqual([]));

  test("one was edited", async () => {
    expect(await after((lines) => lines.with(4, lines[4]!.replace("echo 4", "echo 5")))).toEqual([
      "audit.ndjson:5 this line was edited (or what the next one says of it): its hash is another one",
    ]);
  });

  test("one was edited and reads the same", async () => {
    expect(await after((lines) => lines.with(4, lines[4]!.replace("{", "{ ")))).toHaveLength(1);
  });

  test("one became something else", async () => {
    expect(await after((lines) => lines.with(4, "{}"))).toEqual([
      "audit.ndjson:5 this is no entry: it was edited or put in, or the disk is damaged",
    ]);
  });

  test("one is missing", async () => {
    expect(await after((lines) => lines.toSpliced(4, 1))).toEqual([
      "audit.ndjson:5 line number 5 is missing before this one",
    ]);
  });

  test("some are missing", async () => {
    expect(await after((lines) => lines.toSpliced(4, 3))).toEqual([
      "audit.ndjson:5 lines number 5 to 7 are missing before this one",
    ]);
  });

  test("the first ones are missing", async () => {
    expect(await after((lines) => lines.slice(2))).toEqual([
      "audit.ndjson:1 lines number 1 to 2 are missing before this one, and rotation has not removed them",
    ]);
  });

  test("one was put in", async () => {
    expect(await after((lines) => lines.toSpliced(4, 0, lines[2]!))).toEqual([
      "audit.ndjson:5 number 3 comes after 4: this line or the one before it was put in or moved",
      "audit.ndjson:6 line number 4 is missing before this one",
    ]);
  });

  test("two changed places", async () => {
    const problems = await after((lines) => lines.with(4, lines[5]!).with(5, lines[4]!));
    expect(problems.map((problem) => problem.split(" ", 1)[0])).toEqual([
      "audit.ndjson:5",
      "audit.ndjson:6",
      "audit.ndjson:7",
    ]);
  });

  test("everything is something else: told, but not without end", async () => {
    const problems = await after(() => Array.from({ length: 5_000 }, () => "x"));
    expect(problems).toHaveLength(1_001);
    expect(problems.at(-1)).toBe("audit.ndjson:1000 and 4000 problems more");
  });
});

describe("what was done to the files", () => {
  const after = async (change: (logs: LogDirectory, names: string[]) => void): Promise<string[]> => {
    using logs = filled(400);
    change(logs, logs.names());
    return told(await verifyAuditLog(logs.path));
  };
  const firstOf = (name: string): number => Number(/\d+/.exec(name)![0]);

  test("nothing", async () => expect(await after(() => {})).toEqual([]));

  test("one is missing", async () => {
    let expected = "";
    const problems = await after((logs, names) => {
      rmSync(logs.file(names[1]));
      expected = `${names[2]!}:1 lines number ${String(firstOf(names[1]!))} to ${String(firstOf(names[2]!) - 1)} are missing before this one`;
    });
    expect(problems).toEqual([expected]);
  });

  test("the oldest is missing", async () => {
    const problems = await after((logs, names) => rmSync(logs.file(names[0])));
    expect(problems).toEqual([expect.stringContaining("rotation has not removed them")]);
  });

  test("one has another name", async () => {
    const problems = await after((logs, names) => {
      renameSync(logs.file(names[0]), logs.file("audit-000000000002.ndjson"));
    });
    expect(problems).toEqual([
      "audit-000000000002.ndjson:1 the file's name says that it begins with line number 2, and it begins with 1",
    ]);
  });

  test("one was cut off", async () => {
    const problems = await after((logs, names) => {
      truncateSync(logs.file(names[0]), logs.read(names[0]).length - 5);
    });
    expect(problems).toEqual([
      "audit-000000000001.ndjson:0 the file was cut off in the middle of its last line",
      expect.stringMatching(/^audit-0+\d+\.ndjson:1 line number \d+ is missing before this one$/),
    ]);
  });

  test("one was emptied", async () => {
    const problems = await after((logs, names) => truncateSync(logs.file(names[1]), 0));
    expect(problems).toEqual([
      expect.stringMatching(/:0 the file is empty: its lines are missing$/),
      expect.stringMatching(/:1 lines number \d+ to \d+ are missing before this one$/),
    ]);
  });

  test("the first line of a rotated one became something else", async () => {
    const problems = await after((logs, names) => {
      logs.setLines(logs.lines(names[1]).with(0, "x"), names[1]);
    });
    expect(problems).toEqual([expect.stringContaining(":1 this is no entry")]);
  });

  test("one is there under two names", async () => {
    const problems = await after((logs) => linkSync(logs.file(), logs.file("audit-000000000999.ndjson")));
    expect(problems).toContainEqual(
      expect.stringContaining("this line or the one before it was put in or moved"),
    );
  });

  test("one is no file", async () => {
    using logs = filled(400);
    mkdirSync(logs.file("audit-000000000999.ndjson"));
    await expect(verifyAuditLog(logs.path)).rejects.toThrow("cannot be read: EISDIR");
  });

  test("there is none, or there never was a log", async () => {
    using logs = new LogDirectory();
    const empty = { entries: 0, first: 0, last: 0, head: "0".repeat(64), problems: [] };
    expect(await verifyAuditLog(logs.path)).toEqual(empty);
    logs.open()[Symbol.dispose]();
    expect(await verifyAuditLog(logs.path)).toEqual(empty);
  });
});

describe("properties", () => {
  /** What somebody does to a log, all files behind each other. */
  const change = fc.oneof(
    fc.record({
      kind: fc.constant("edit" as const),
      at: fc.nat(),
      // Any byte of the text becomes any other one.
      offset: fc.nat(),
      by: fc.integer({ min: 1, max: 255 }),
    }),
    fc.record({
      kind: fc.constant("remove" as const),
      at: fc.nat(),
      gone: fc.integer({ min: 1, max: count }),
    }),
    fc.record({ kind: fc.constant("insert" as const), at: fc.nat(), copyOf: fc.nat() }),
    fc.record({ kind: fc.constant("move" as const), at: fc.nat(), to: fc.nat() }),
  );
  type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

  function apply(lines: readonly Buffer[], done: Change): Buffer[] {
    const at = done.at % lines.length;
    switch (done.kind) {
      case "edit": {
        const line = Buffer.from(lines[at]!);
        const offset = done.offset % line.length;
        line[offset] = (line[offset]! + done.by) % 256;
        return lines.with(at, line);
      }
      case "remove":
        return lines.toSpliced(at, done.gone);
      case "insert":
        return lines.toSpliced(at, 0, lines[done.copyOf % lines.length]!);
      case "move":
        return lines.toSpliced(at, 1).toSpliced(done.to % lines.length, 0, lines[at]!);
      default:
        return done satisfies never;
    }
  }

  const whole = (lines: readonly Buffer[]): Buffer =>
    Buffer.concat(lines.flatMap((line) => [line, Buffer.from("\n")]));

  test("any edit, removal, insertion or move is found, be it by the head alone at the end", async () => {
    using logs = filled();
    const before = logs.lines().map((line) => Buffer.from(line));
    const { head } = await verifyAuditLog(logs.path);
    await fc.assert(
      fc.asyncProperty(change, async (done) => {
        const after = apply(before, done);
        logs.write(whole(after));
        const result = await verifyAuditLog(logs.path);
        if (whole(after).equals(whole(before))) {
          expect(result.problems).toEqual([]);
          return;
        }
        // Cut at the end, or the last line edited: the chain has nothing behind it that could tell.
        const isBeginning = after.every((line, index) => line.equals(before[index] ?? Buffer.alloc(0)));
        const isLast = done.kind === "edit" && done.at % before.length === before.length - 1;
        if (!isBeginning && !isLast) expect(result.problems).not.toEqual([]);
        else if (result.problems.length === 0) expect(result.head).not.toBe(head);
      }),
      { numRuns: 1_000 },
    );
  });

  test("any change in rotated files is found, wherever it is", async () => {
    await fc.assert(
      fc.asyncProperty(change, fc.nat(), async (done, pick) => {
        using logs = filled(400);
        const names = logs.names().slice(0, -1);
        const name = names[pick % names.length]!;
        const before = logs.lines(name).map((line) => Buffer.from(line));
        const after = apply(before, done);
        logs.write(whole(after), name);
        if (whole(after).equals(whole(before))) return;
        expect((await verifyAuditLog(logs.path)).problems).not.toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  test("a line that was written anew with a right hash and number is found by the next one", async () => {
    using logs = filled();
    const lines = logs.lines();
    const fifth = JSON.parse(lines[4]!) as AuditEntry;
    logs.setLines(lines.with(4, JSON.stringify({ ...fifth, operator: "eve" })));
    expect((await verifyAuditLog(logs.path)).problems).toMatchObject([{ line: 5 }]);
  });
});
