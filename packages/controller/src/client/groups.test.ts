import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expand } from "@outpost/protocol/targets";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { asExpression, linesOf, wordsOf } from "./group-text.ts";
import { Groups } from "./groups.ts";
import { writtenOut } from "./written-out.ts";

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "outpost-groups-"));
  file = join(folder, "groups.yaml");
});
afterEach(() => rm(folder, { recursive: true }));

const yaml = `
groups:
  eu-web: web* and zone=eu
  batch:
    - node[001-003]
    - "@slurm:gpu"
    - role=db and zone=eu
  one: [db1]
sources:
  slurm:
    map: test "$GROUP" = gpu && echo "gpu[1-2],gpu7" && echo gpu9
    list: echo gpu
  cloud:
    map: cat
    all: printf 'c1\\nc2\\n'
  broken:
    map: echo "no such $GROUP" >&2; exit 3
  chatty:
    map: echo "Node web1 is up"
`;

describe("groups", () => {
  beforeEach(() => writeFile(file, yaml));

  test.each([
    ["@*", "*"],
    ["@eu-web", "web* and zone=eu"],
    ["@one,x", "db1,x"],
    ["@batch", "node[001-003],gpu[1-2],gpu7,gpu9,(role=db and zone=eu)"],
    ["@slurm:gpu!gpu7", "(gpu[1-2],gpu7,gpu9)!gpu7"],
    // Without a command for all hosts: those of all its groups.
    ["@slurm:*", "gpu[1-2],gpu7,gpu9"],
    ["@cloud:*", "c1,c2"],
    // There is no source of this name: a label.
    ["@zone:eu-*", 'zone="eu-*"'],
    ["@os:debian", 'label.os="debian"'],
    ['@owner:"a \\\\\\"b"', 'owner="a \\\\\\"b"'],
    ["owner=ann@example.org", "owner=ann@example.org"],
  ])("%s is %s", async (targets, written) => {
    expect(await writtenOut(targets, file)).toBe(written);
  });

  test.each([
    ["@batsh", "not_found", `there is no group @batsh; groups are in`],
    ["@batsh", "not_found", "did you mean @batch?"],
    ["@constructor", "not_found", "there is no group @constructor"],
    ["@cloud:none", "not_found", "the group @cloud:none has no hosts"],
    ["@slurm:", "invalid_argument", "which group of @slurm: is missing"],
    ["@slurm:cpu", "start_failed", "the source slurm, asked for cpu, has failed (exit code 1)"],
    ["@broken:x", "start_failed", "the source broken, asked for x, has failed (exit code 3): no such x"],
    ["@broken:*", "invalid_argument", 'neither a command for all hosts ("all")'],
    ["@chatty:x", "invalid_argument", '"Node" is neither a host\'s name nor a pattern'],
    ["@Zone:x", "not_found", 'there is no source "Zone"'],
    ["@file:/nowhere/hosts", "not_found", "the file /nowhere/hosts of @file:/nowhere/hosts is not there"],
  ])("%s: %s, %s", async (targets, code, message) => {
    await expect(writtenOut(targets, file)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  test("of a file of hosts: one a line, with comments", async () => {
    const hosts = join(folder, "my hosts");
    await writeFile(hosts, "# ours\nweb1\n\n  web[2-3]  # the new ones\ndb*\nweb1\n");
    expect(await writtenOut(`@file:"${hosts}"`, file)).toBe("web1,web[2-3],db*");
  });

  test("may be completed without running a command", async () => {
    expect(await new Groups(file).names()).toEqual(
      expect.arrayContaining(["eu-web", "batch", "slurm:", "cloud:", "file:", "*"]),
    );
  });
});

test.each([
  ["groups: {a: 'web[1-'}", "1:17: target expression: the bracket is not closed, at character 4"],
  ["groups:\n  a: [web1, 'x y']", "2:16: target expression: there is no operator between x and y"],
  ['groups: {a: ""}', "1:13: target expression: a host, pattern or label is missing"],
  ["groups: {a b: x}", "is not a group's or source's name"],
  ["sources: {a: {list: x}}", 'the key "map" is missing'],
  ["sources: {file: {map: x}}", "cannot be called file"],
  ["group: {}", 'unknown key "group"; did you mean "groups"?'],
])("a file of groups that says %s is refused with the place", async (text, message) => {
  await writeFile(file, text);
  await expect(writtenOut("@a", file)).rejects.toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining(message),
  });
  // Whoever names no group is not bothered.
  expect(await writtenOut("web1", file)).toBe("web1");
});

test("without a file there are no groups, but labels and files", async () => {
  await expect(writtenOut("@a", undefined)).rejects.toThrow(
    "there is no group @a; there is no file of groups",
  );
  await expect(writtenOut("@a", join(folder, "none.yaml"))).rejects.toThrow("there is no group @a");
  expect(await writtenOut("@role:db", undefined)).toBe('role="db"');
});

describe("lists of hosts", () => {
  test("words are what blanks and commas separate, but for those between brackets", () => {
    expect(wordsOf(" web1,web[1,3-5]\tdb[1, 2]-x\n\nmail ")).toEqual([
      "web1",
      "web[1,3-5]",
      "db[1, 2]-x",
      "mail",
    ]);
    expect(wordsOf("")).toEqual([]);
    // A list that was cut off.
    expect(wordsOf("db1,web[1-3 mail")).toEqual(["db1", "web[1-3 mail"]);
    expect(() => asExpression(wordsOf("db1,web[1-3"))).toThrow('"web[1-3" is neither');
  });

  test("lines go without comments", () => {
    expect(linesOf("a\n# b\n c # d\ne#f\n\n")).toEqual(["a", "c", "e#f"]);
  });

  test("a short list stays as it is, a long one is folded", () => {
    expect(asExpression(["web1", "web2", "db*", "web1"])).toBe("web1,web2,db*");
    const long = Array.from({ length: 5_000 }, (_, at) => `web${String(at)}`);
    expect(asExpression([...long, "db*"])).toBe("web[0-4999],db*");
    expect(expand(asExpression(long))).toHaveLength(5_000);
  });
});
