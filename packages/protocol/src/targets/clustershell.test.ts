/** The same results as ClusterShell's, for everything that both languages can say. docs/targets.md tells where they differ. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compareNames, expand, fold } from "./index.ts";

/** One process for all questions: a line of JSON each, and a line of JSON for an answer. */
const program = `
import json, sys
from ClusterShell.NodeSet import NodeSet, RESOLVER_NOGROUP
for line in sys.stdin:
    try:
        nodes = NodeSet(json.loads(line), resolver=RESOLVER_NOGROUP)
        answer = {"folded": str(nodes), "names": list(nodes)}
    except Exception as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
`;
const python = ["python3", "/usr/bin/python3"].find(
  (each) => spawnSync(each, ["-c", "import ClusterShell.NodeSet"]).status === 0,
);

interface Answer {
  readonly folded?: string;
  readonly names?: readonly string[];
  readonly error?: string;
}

let shell: ChildProcessWithoutNullStreams;
let lines: AsyncIterator<string>;

beforeAll(() => {
  if (python === undefined) return;
  shell = spawn(python, ["-u", "-c", program]);
  lines = createInterface({ input: shell.stdout })[Symbol.asyncIterator]();
});

afterAll(() => {
  shell?.stdin.end();
});

async function ask(expression: string): Promise<Answer> {
  shell.stdin.write(`${JSON.stringify(expression)}\n`);
  const { value } = await lines.next();
  return JSON.parse(value) as Answer;
}

const left =
  python === undefined
    ? "ClusterShell is not installed here (Debian: apt-get install clustershell)"
    : undefined;
const runs = { seed: 20_261_121, numRuns: 2_500 };

const digits = (length: number): fc.Arbitrary<string> =>
  fc.integer({ min: 0, max: 10 ** length - 1 }).map((number) => String(number).padStart(length, "0"));
const number = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 12 }).map(String) },
  { weight: 2, arbitrary: digits(2) },
  { weight: 1, arbitrary: digits(3) },
);

/** `3`, `1-4`, `08-12`, `0-10/2`. */
const range = fc
  .record({
    start: fc.integer({ min: 0, max: 105 }),
    length: fc.integer({ min: 0, max: 12 }),
    step: fc.constantFrom(1, 1, 1, 2, 3),
    padding: fc.constantFrom(0, 0, 2, 3),
  })
  .map(({ start, length, step, padding }) => {
    const [first, last] = [start, start + length].map((each) => String(each).padStart(padding, "0"));
    // Bounds of different lengths are padded to none.
    const [from, to] = first!.length === last!.length || padding === 0 ? [first, last] : [last, last];
    return `${from!}-${to!}${step === 1 ? "" : `/${String(step)}`}`;
  });
const bracket = fc
  .array(fc.oneof(number, range), { minLength: 1, maxLength: 3 })
  .map((parts) => `[${parts.join(",")}]`);
/** Beside digits: numbers of one length. ClusterShell takes a1[8-12] for a[18-112]. */
const digitBracket = fc
  .tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 9 }))
  .map((pair) => `[${String(Math.min(...pair))}-${String(Math.max(...pair))}]`);

const text = fc.constantFrom("a", "b", "n", "-", "-x", ".y", "_");
const index = fc.oneof(
  { weight: 3, arbitrary: number },
  { weight: 4, arbitrary: bracket },
  { weight: 1, arbitrary: fc.tuple(number, digitBracket).map((parts) => parts.join("")) },
  { weight: 1, arbitrary: fc.tuple(digitBracket, number).map((parts) => parts.join("")) },
);
const pattern = fc
  .tuple(
    fc.constantFrom("a", "b", "n"),
    fc.array(fc.tuple(index, text), { maxLength: 3 }),
    fc.option(index, { nil: "" }),
  )
  .map(([head, middle, tail]) => `${head}${middle.flat().join("")}${tail}`);
const expression = fc
  .tuple(
    pattern,
    fc.array(fc.tuple(fc.constantFrom(",", ",", ",", "!", "&", "^", " , "), pattern), { maxLength: 6 }),
  )
  .map(([first, others]) => `${first}${others.flat().join("")}`);

const sameAs = async (given: string): Promise<void> => {
  const answer = await ask(given);
  expect(answer.error, given).toBeUndefined();
  const names = expand(given);
  expect(names, given).toEqual(answer.names!.toSorted(compareNames));
  expect(fold(names), given).toBe(answer.folded);
};

test("expressions mean the same names, and these are folded the same", async ({ skip }) => {
  skip(left !== undefined, left);
  await fc.assert(fc.asyncProperty(expression, sameAs), runs);
});

test("names with one number, of any padding, are folded the same", async ({ skip }) => {
  skip(left !== undefined, left);
  const names = fc.array(number, { minLength: 1, maxLength: 40 }).map((all) => all.map((each) => `n${each}`));
  await fc.assert(
    fc.asyncProperty(names, (all) => sameAs(all.join(","))),
    runs,
  );
});

test("names with several numbers are folded the same", async ({ skip }) => {
  skip(left !== undefined, left);
  const few = fc.integer({ min: 0, max: 11 });
  const names = fc
    .tuple(
      fc.integer({ min: 2, max: 4 }),
      fc.array(fc.tuple(few, few, few, few), { minLength: 1, maxLength: 60 }),
    )
    .map(([axes, all]) =>
      all.map((numbers) =>
        numbers
          .slice(0, axes)
          .map((each) => `a${String(each)}`)
          .join("-"),
      ),
    );
  await fc.assert(
    fc.asyncProperty(names, (all) => sameAs(all.join(","))),
    { ...runs, numRuns: 1_500 },
  );
});

test("blocks with holes are folded the same", async ({ skip }) => {
  skip(left !== undefined, left);
  const size = fc.integer({ min: 1, max: 12 });
  const block = fc.tuple(size, size, size, size).map(([a, b, c, d]) => {
    const [from, to] = [Math.min(a, b), Math.max(a, b)];
    const [low, high] = [Math.min(c, d), Math.max(c, d)];
    return `r[${String(from)}-${String(to)}]s[${String(low)}-${String(high)}]`;
  });
  const blocks = fc
    .tuple(block, fc.array(fc.tuple(fc.constantFrom(",", "!", "^", "&"), block), { maxLength: 5 }))
    .map(([first, others]) => `${first}${others.flat().join("")}`);
  await fc.assert(fc.asyncProperty(blocks, sameAs), { ...runs, numRuns: 1_000 });
});

test("what ClusterShell cannot read is no expression of ours either", async ({ skip }) => {
  skip(left !== undefined, left);
  for (const wrong of [
    "a[",
    "a[1",
    "a]",
    "a[1-2]]",
    "a[]",
    "a[1-]",
    "a[1,,2]",
    "a[1,]",
    "a[2-1]",
    "a[1-2/0]",
    "a[1/2]",
    "a[01-9]",
    "a[1-010]",
    "a[b]",
    "a[1[2]]",
    "a,",
    "a!",
    "a,,b",
  ]) {
    expect(await ask(wrong), wrong).toHaveProperty("error");
    expect(() => expand(wrong), wrong).toThrow(expect.objectContaining({ code: "invalid_argument" }));
  }
});
