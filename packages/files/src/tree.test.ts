import { randomBytes } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findSources } from "./sources.ts";
import { readAll, streamOf, writeAll, begin, directory, file, link } from "./testing/records.ts";
import { makeTree, namesBelow, readTree, type Scratch, scratch, type Tree } from "./testing/tree.ts";
import { maxSmallBytes, readSmallFile } from "./small-file.ts";
import { asFatal } from "./system-error.ts";
import { readTrees } from "./tree-reader.ts";
import { type Problem, TreeWriter } from "./tree-writer.ts";

let at: Scratch;
beforeEach(() => void (at = scratch()));
afterEach(() => at[Symbol.dispose]());

const name = fc
  .string({
    unit: fc.constantFrom("a", "b", "Z", ".", " ", "é", "€", "😀", "\u{e000}", "\n", "*", "-"),
    minLength: 1,
    maxLength: 6,
  })
  .filter((text) => text !== "." && text !== "..");
const mtime = fc.integer({ min: -1_000_000_000_000, max: 4_000_000_000_000 });
const trees = fc.letrec<{ tree: Tree; node: Tree[string] }>((tie) => ({
  tree: fc.dictionary(name, tie("node"), { maxKeys: 4 }),
  node: fc.oneof(
    { depthSize: "small", maxDepth: 3 },
    fc.record({
      kind: fc.constant("file" as const),
      content: fc.string({
        unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
        maxLength: 300,
      }),
      mode: fc.integer({ min: 0, max: 0o7777 }),
      mtime,
    }),
    fc.record({
      kind: fc.constant("link" as const),
      target: fc.constantFrom("a", "../x", "/etc/passwd", "a b"),
      mtime,
    }),
    fc.record({
      kind: fc.constant("directory" as const),
      // Somebody who is not root must be able to list it and to take it away.
      mode: fc.integer({ min: 0, max: 0o7777 }).map((mode) => mode | 0o700),
      mtime,
      entries: tie("tree"),
    }),
  ),
})).tree;
const sizes = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 5 });

/** A round, each in folders of its own. */
let rounds = 0;
function folders(): { from: string; to: string } {
  rounds++;
  return { from: at.folder(`from-${String(rounds)}`), to: at.folder(`to-${String(rounds)}`) };
}

describe("a tree", () => {
  test("is the same on the other side, however its stream was cut", async () => {
    await fc.assert(
      fc.asyncProperty(trees, sizes, async (tree, cut) => {
        const { from, to } = folders();
        makeTree(from, tree);
        await writeAll(await readAll([`${from}/.`]), { path: to, into: true }, cut);
        expect(readTree(to)).toEqual(tree);
        // Over what is there, too.
        await writeAll(await readAll([`${from}/.`]), { path: to, into: true });
        expect(readTree(to)).toEqual(tree);
      }),
      { numRuns: 100 },
    );
  });

  test("whose stream is cut short or changed is never taken for whole, and leaves no half file", async () => {
    const how = fc.oneof(
      fc.record({ cut: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }) }),
      fc.record({
        at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        flip: fc.integer({ min: 1, max: 255 }),
      }),
      fc.record({ more: fc.integer({ min: 0, max: 255 }) }),
    );
    await fc.assert(
      fc.asyncProperty(trees, how, sizes, async (tree, change, cut) => {
        const { from, to } = folders();
        makeTree(from, tree);
        const whole = await readAll([`${from}/.`]);
        await expect(writeAll(changed(whole, change), { path: to, into: true }, cut)).rejects.toThrow();
        const contents = new Set(filesOf(tree));
        for (const content of filesOf(readTree(to))) expect(contents).toContain(content);
        expect(namesBelow(to).filter((path) => /\.outpost-[0-9a-f]{8}$/.test(path))).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  test("is the same stream each time, read in the order of its names", async () => {
    makeTree(at.path, {
      dir: {
        kind: "directory",
        mode: 0o755,
        mtime: 0,
        entries: Object.fromEntries(["b", "a", "é", "Z"].map((each) => [each, plain(each)])),
      },
    });
    const first = await readAll([join(at.path, "dir")]);
    expect(await readAll([join(at.path, "dir")])).toEqual(first);
    expect([...first.toString("latin1").matchAll(/dir\/([^\xa4]+?)\xa4/g)].map(([, each]) => each)).toEqual([
      "Z",
      "a",
      "b",
      "Ã©",
    ]);
  });
});

const plain = (content: string): Tree[string] => ({ kind: "file", content, mode: 0o644, mtime: 0 });

function changed(
  whole: Buffer,
  change: { cut: number } | { at: number; flip: number } | { more: number },
): Buffer {
  if ("cut" in change) return whole.subarray(0, Math.floor(change.cut * whole.byteLength));
  if ("more" in change) return Buffer.concat([whole, Buffer.of(change.more)]);
  const copy = Buffer.from(whole);
  const index = Math.floor(change.at * copy.byteLength);
  copy[index] = copy[index]! ^ change.flip;
  return copy;
}

function filesOf(tree: Tree): string[] {
  return Object.values(tree).flatMap((node) =>
    node.kind === "file" ? [node.content] : node.kind === "directory" ? filesOf(node.entries) : [],
  );
}

describe("a stream from somebody hostile", () => {
  const outside = (): string => join(at.path, "outside");
  beforeEach(() => {
    at.folder("outside");
    at.folder("to");
  });
  const strictly = (records: Parameters<typeof streamOf>[0]): Promise<unknown> =>
    writeAll(streamOf([begin(), ...records]), { path: join(at.path, "to"), into: true, strict: true });

  test.each([
    ["..", [...file("../outside/x")]],
    ["an absolute path", [...file("/etc/x")]],
    ["a path that is empty", [...file("")]],
    ["an empty name", [directory("a"), ...file("a//x")]],
    ["a dot", [directory("a"), ...file("a/./x")]],
    [".. in the middle", [directory("a"), ...file("a/../../outside/x")]],
    ["NUL", [...file("a\0b")]],
    ["a name that is too long", [...file("n".repeat(256))]],
    ["a directory that did not come", [...file("a/x")]],
    ["a file through a file", [...file("a"), ...file("a/x")]],
    ["a file through a link", [link("a", "b"), ...file("a/x")]],
    ["the same path twice", [...file("a"), ...file("a")]],
    ["a path that comes too late", [directory("b"), ...file("a")]],
    ["a directory that is over", [directory("a"), ...file("b"), ...file("a/x")]],
    ["content without a file", [{ type: "data", bytes: Buffer.of(1) } as const]],
    ["a second begin", [begin()]],
  ])("with %s is refused", async (_what, records) => {
    await expect(strictly(records)).rejects.toMatchObject({ code: "protocol_error" });
    expect(namesBelow(at.path).filter((path) => path.startsWith("outside/"))).toEqual([]);
  });

  test("with links writes none that leads outside, by way of other links neither", async () => {
    const problems: Problem[] = [];
    const records = [
      begin(),
      link("a", "/etc"),
      link("b", "../outside"),
      link("c", "."),
      link("d", "c/../../outside"),
      directory("e"),
      link("e/a", "../c"),
      link("e/b", "../../outside"),
      link("f", ""),
    ];
    const path = join(at.path, "to");
    await writeAll(streamOf(records), {
      path,
      into: true,
      strict: true,
      onProblem: (each) => problems.push(each),
    });
    expect(namesBelow(path)).toEqual(["c", "e", "e/a"]);
    expect(problems.map((each) => each.path)).toEqual(["a", "b", "d", "e/b", "f"]);
  });

  test("never goes through a link that is there already", async () => {
    symlinkSync(outside(), join(at.path, "to/dir"));
    symlinkSync(join(outside(), "file"), join(at.path, "to/file"));
    const problems: Problem[] = [];
    const stream = streamOf([begin(), directory("dir"), ...file("dir/x"), ...file("file")]);
    for (const strict of [true, false]) {
      await writeAll(stream, {
        path: join(at.path, "to"),
        into: true,
        strict,
        onProblem: (each) => problems.push(each),
      });
    }
    expect(namesBelow(outside())).toEqual([]);
    expect(lstatSync(join(at.path, "to/file")).isFile()).toBe(true);
    expect(problems).toEqual([
      { path: "dir", message: "is there, and is no directory", kind: "here" },
      { path: "dir", message: "is there, and is no directory", kind: "here" },
    ]);
  });

  test("sets no user id; somebody who is trusted may", async () => {
    const records = [
      begin(),
      { type: "file", path: "x", mode: 0o4755, mtime: 0, size: 0 } as const,
      file("x", "")[2]!,
    ];
    await strictly(records.slice(1));
    expect(statSync(join(at.path, "to/x")).mode & 0o7777).toBe(0o755);
    await writeAll(streamOf(records), { path: join(at.path, "to"), into: true });
    expect(statSync(join(at.path, "to/x")).mode & 0o7777).toBe(0o4755);
  });

  test("of random records stays where it belongs", async () => {
    const path = fc.constantFrom("a", "b", "a/b", "a/b/c", "..", "../outside/x", "/x", "a/..", "b/a", ".");
    const target = fc.constantFrom(".", "..", "../outside", "a", "a/..", "b/../..", "../../outside", "/");
    const record = fc.oneof(
      path.map((each) => [directory(each)]),
      path.map((each) => [...file(each)]),
      fc.tuple(path, target).map(([each, to]) => [link(each, to)]),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(record, { maxLength: 8 }), async (records) => {
        const { to } = folders();
        const stream = streamOf([begin(), ...records.flat()]);
        await writeAll(stream, { path: to, into: true, strict: true }).catch(() => {});
        expect(namesBelow(outside())).toEqual([]);
        // Whatever links there are lead nowhere else.
        for (const each of namesBelow(to)) {
          const real = spawnSync("realpath", ["-m", join(to, each)], { encoding: "utf8" }).stdout.trim();
          expect(`${real}/`.startsWith(`${to}/`), `${each} is ${real}`).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("does not make the reader hold more than a record", async () => {
    const stream = Buffer.concat([
      streamOf([begin()]).subarray(0, 16),
      Buffer.from([0x7f, 0xff, 0xff, 0xff]),
    ]);
    await expect(writeAll(stream, { path: join(at.path, "to"), into: true })).rejects.toThrow(/too large/);
  });
});

describe("where it goes", () => {
  const copy = async (paths: readonly string[], path: string, into = false): Promise<string[]> => {
    const problems: string[] = [];
    const onProblem = ({ path: where, message }: Problem): void => void problems.push(`${where} ${message}`);
    await writeAll(await readAll(paths.map((each) => `${at.path}/${each}`)), {
      path: join(at.path, path),
      into,
      onProblem,
    });
    return problems;
  };
  const content = (path: string): string => readFileSync(join(at.path, path), "utf8");
  beforeEach(() => {
    makeTree(at.path, {
      file: plain("file"),
      dir: { kind: "directory", mode: 0o755, mtime: 0, entries: { x: plain("x") } },
      to: { kind: "directory", mode: 0o755, mtime: 0, entries: {} },
    });
  });

  test("into a directory that is there; else it is the name", async () => {
    await copy(["file"], "to");
    expect(content("to/file")).toBe("file");
    await copy(["file"], "to/other");
    expect(content("to/other")).toBe("file");
    await copy(["dir"], "to");
    expect(content("to/dir/x")).toBe("x");
    await copy(["dir"], "to/new");
    expect(content("to/new/x")).toBe("x");
    await copy(["dir/."], "to");
    expect(content("to/x")).toBe("x");
    await copy(["file", "dir"], "to/a/b", true);
    expect(content("to/a/b/dir/x")).toBe("x");
  });

  test("several files need a directory, and a name needs one to be in", async () => {
    await expect(copy(["file", "dir"], "to/new")).rejects.toMatchObject({
      code: "not_found",
      message: /--into/,
    });
    await expect(copy(["file"], "no/such/x")).rejects.toThrow(
      `there is no directory ${join(at.path, "no/such")}`,
    );
    await expect(copy(["file"], "file/x")).rejects.toMatchObject({ code: "conflict" });
    await expect(copy(["file"], "file", true)).rejects.toMatchObject({ code: "conflict" });
  });

  test("a file takes the place of a file or a link, and of no directory; a directory takes the place of nothing", async () => {
    symlinkSync("../dir/x", join(at.path, "to/file"));
    await copy(["file"], "to");
    expect(lstatSync(join(at.path, "to/file")).isFile()).toBe(true);
    expect(content("dir/x")).toBe("x");
    mkdirSync(join(at.path, "to/inner/file"), { recursive: true });
    expect(await copy(["file", "dir"], "to/inner")).toEqual([
      expect.stringMatching(/^file is a directory in .*inner$/),
    ]);
    expect(content("to/inner/dir/x")).toBe("x");
    writeFileSync(join(at.path, "to/dir"), "a file");
    expect(await copy(["dir"], "to")).toEqual(["dir is there, and is no directory"]);
    expect(content("to/dir")).toBe("a file");
    expect(namesBelow(join(at.path, "to")).filter((each) => each.includes(".outpost-"))).toEqual([]);
  });

  test("a file takes the place of no device, pipe or socket", async () => {
    spawnSync("mkfifo", [join(at.path, "to/file")]);
    const why = ["file", expect.stringMatching(/^is a named pipe in .*to, and is not replaced$/)] as const;
    expect(await copy(["file"], "to")).toEqual([expect.stringMatching(/^file is a named pipe in .*to, and/)]);
    expect(lstatSync(join(at.path, "to/file")).isFIFO()).toBe(true);
    const problems: Problem[] = [];
    await writeAll(streamOf([begin(), link("file", "x")]), {
      path: join(at.path, "to"),
      into: true,
      onProblem: (each) => problems.push(each),
    });
    expect(problems.map((each) => [each.path, each.message])).toEqual([why]);
    expect(namesBelow(join(at.path, "to"))).toEqual(["file"]);
  });

  test("a name as long as names may be", async () => {
    const long = "é".repeat(127);
    writeFileSync(join(at.path, long), "long");
    await copy([long], "to");
    expect(content(`to/${long}`)).toBe("long");
  });
});

describe("what is read", () => {
  test("links that are named are followed, others are not; what is no file is left out with a word", async () => {
    makeTree(at.path, { real: plain("real"), link: { kind: "link", target: "real", mtime: 0 } });
    mkdirSync(join(at.path, "dir"));
    symlinkSync("../real", join(at.path, "dir/link"));
    spawnSync("mkfifo", [join(at.path, "dir/pipe")]);
    const problems: Problem[] = [];
    const to = at.folder("to");
    await writeAll(await readAll([join(at.path, "link"), join(at.path, "dir")]), {
      path: to,
      into: true,
      onProblem: (each) => problems.push(each),
    });
    expect(lstatSync(join(to, "link")).isFile()).toBe(true);
    expect(readlinkSync(join(to, "dir/link"))).toBe("../real");
    expect(problems).toEqual([
      { path: "dir/pipe", message: "is a named pipe and is left out", kind: "warning" },
    ]);
  });

  test("a file that grows is copied as it was when it was opened, one that shrinks as far as it goes; both are told of", async () => {
    const content = randomBytes(700 * 1024);
    for (const [change, size] of [
      [(path: string) => appendFileSync(path, "more"), content.byteLength],
      [(path: string) => truncateSync(path, 300 * 1024), 300 * 1024],
    ] as const) {
      const { from, to } = folders();
      const path = join(from, "log");
      writeFileSync(path, content);
      utimesSync(path, 1, 1);
      const problems: Problem[] = [];
      const writer = new TreeWriter({ path: to, into: true, onProblem: (each) => problems.push(each) });
      let isChanged = false;
      for await (const bytes of readTrees(await findSources([path]))) {
        await writer.write(bytes);
        if (!isChanged) change(path);
        isChanged = true;
      }
      expect(await writer.end()).toEqual({ files: 1, bytes: size, failed: 0 });
      expect(readFileSync(join(to, "log"))).toEqual(content.subarray(0, size));
      expect(problems).toEqual([{ path: "log", message: "was changed while it was read", kind: "warning" }]);
    }
  });

  test("what cannot be read is missing, and the rest is there", async (context) => {
    if (process.getuid?.() === 0 && !existsSync("/proc/self/mem"))
      context.skip("root may read everything here");
    const { to } = folders();
    const problems: Problem[] = [];
    // Reading it fails with EIO, whoever reads.
    const stream = await readAll([`${at.folder("good")}/.`, "/proc/self/mem", join(at.path, "nothing")]);
    const totals = await writeAll(stream, { path: to, into: true, onProblem: (each) => problems.push(each) });
    expect(totals).toEqual({ files: 0, bytes: 0, failed: 2 });
    expect(problems.map(({ path, kind }) => [path, kind])).toEqual([
      [join(at.path, "nothing"), "source"],
      ["mem", "source"],
    ]);
    expect(namesBelow(to)).toEqual([]);
  });

  test("files of /proc, which say that they are empty", async () => {
    const to = at.folder("to");
    await writeAll(await readAll(["/proc/version"]), { path: to, into: true });
    expect(readFileSync(join(to, "version"), "utf8")).toBe(readFileSync("/proc/version", "utf8"));
  });

  test("what is named and cannot be copied is missing; a pattern leaves it out with a word", async () => {
    const folder = at.folder("run");
    spawnSync("mkfifo", [join(folder, "pipe")]);
    const { missing } = await findSources([join(folder, "pipe"), "/dev/null"]);
    expect(missing).toEqual([
      { path: join(folder, "pipe"), message: "is a named pipe, which cannot be copied" },
      { path: "/dev/null", message: "is a device, which cannot be copied" },
    ]);
    expect(await findSources([join(folder, "pipe")], { pipes: true })).toMatchObject({ missing: [] });
    const found = await findSources([join(folder, "p*")], { patterns: true });
    expect(found).toMatchObject({ missing: [], sources: [{ name: "pipe" }] });
  });

  test("a pattern for more than may be found is missing, and not cut short", async () => {
    const folder = at.folder("many");
    for (const each of ["a", "b", "c"]) writeFileSync(join(folder, each), "");
    const find = (maxFound: number): ReturnType<typeof findSources> =>
      findSources([join(folder, "*")], { patterns: true, maxFound });
    expect((await find(3)).sources).toHaveLength(3);
    expect(await find(2)).toMatchObject({
      sources: [],
      missing: [{ message: "matches more than 2 paths; copy their directory" }],
    });
  });

  test("only what is a small file is read in one go", async () => {
    const path = join(at.path, "small");
    writeFileSync(path, "content");
    const small = readSmallFile(path, 0, Buffer.alloc(maxSmallBytes));
    expect(small).toMatchObject({ hasChanged: false });
    expect(Buffer.from(small!.bytes).toString()).toBe("content");
    writeFileSync(path, Buffer.alloc(maxSmallBytes + 1));
    expect(readSmallFile(path, 0, Buffer.alloc(maxSmallBytes))).toBeUndefined();
    expect(readSmallFile("/proc/version", 0, Buffer.alloc(maxSmallBytes))).toBeUndefined();
  });

  test("two sources of one name are refused, the same one twice is one", async () => {
    const [one, other] = [at.folder("one"), at.folder("other")];
    writeFileSync(join(one, "x"), "");
    writeFileSync(join(other, "x"), "");
    const { missing } = await findSources([join(one, "x"), join(other, "x")]);
    expect(missing).toEqual([
      { path: join(other, "x"), message: expect.stringContaining("the same name as") },
    ]);
    expect(await findSources([join(one, "x"), join(one, "x")])).toMatchObject({
      missing: [],
      sources: [{ name: "x" }],
    });
  });

  test("patterns stand for what is there, as in a shell", async () => {
    const folder = at.folder("in");
    for (const each of ["a.log", "b.log", ".c.log", "b.txt", "[x]", "]"])
      writeFileSync(join(folder, each), "");
    mkdirSync(join(folder, "sub"));
    writeFileSync(join(folder, "sub/d.log"), "");
    const found = async (pattern: string): Promise<string[]> => {
      const { sources, missing } = await findSources([join(folder, pattern)], { patterns: true });
      return [...sources.map((each) => each.name), ...missing.map(({ message }) => message)];
    };
    expect(await found("*.log")).toEqual(["a.log", "b.log"]);
    expect(await found(".*.log")).toEqual([".c.log"]);
    expect(await found("?.txt")).toEqual(["b.txt"]);
    expect(await found("*/*.log")).toEqual(["d.log"]);
    expect(await found("[!a].log")).toEqual(["b.log"]);
    expect(await found("[a-b].*")).toEqual(["a.log", "b.log", "b.txt"]);
    expect(await found("[x]")).toEqual(["[x]"]);
    expect(await found("[]]")).toEqual(["]"]);
    expect(await found("[")).toEqual(["nothing matches that"]);
    expect(await found("*.gif")).toEqual(["nothing matches that"]);
  });
});

test("what is given up leaves nothing that is not whole, and what is whole stays", async () => {
  const to = at.folder("to");
  const stream = streamOf([begin(), ...file("a"), ...file("b", "x".repeat(1000))]);
  const writer = new TreeWriter({ path: to, into: true });
  await writer.write(stream.subarray(0, stream.indexOf("xxx") + 100));
  expect(namesBelow(to)).toContainEqual(expect.stringMatching(/^\.b\.outpost-/));
  await writer.abort();
  await writer.abort();
  expect(namesBelow(to)).toEqual(["a"]);
  await expect(writer.write(stream)).rejects.toMatchObject({ code: "cancelled" });
});

test.each([
  ["ENOSPC", "disk_full"],
  ["EMFILE", "limit_exceeded"],
  ["EACCES", undefined],
])("%s is the end of all of it, or of one file", (system, code) => {
  expect(asFatal(Object.assign(new Error("no"), { code: system }), "x")?.code).toBe(code);
});

test("a directory of ours that is closed to ourselves is opened for the time", async () => {
  const { from, to } = folders();
  makeTree(from, { dir: { kind: "directory", mode: 0o555, mtime: 1000, entries: { x: plain("x") } } });
  for (let turn = 0; turn < 2; turn++) await writeAll(await readAll([`${from}/.`]), { path: to, into: true });
  expect(readTree(to)).toEqual(readTree(from));
  for (const each of [from, to]) chmodSync(join(each, "dir"), 0o755);
});
