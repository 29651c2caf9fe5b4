import { expect, test } from "vitest";
import {
  firstFact,
  groupsOf,
  isEverything,
  isReadableByVersion2,
  parse,
  pointAt,
  usesFacts,
  withGroups,
} from "./index.ts";

const groups: Readonly<Record<string, string>> = {
  web: "web1,web2",
  eu: "zone=eu and role=web",
  one: "db1",
  nested: "@web,mail",
  "slurm:gpu": "gpu[1-4]",
  "file:/etc/my hosts": "a",
  loop: "x,@inner",
  inner: "y or @loop",
  bad: "web[1-",
  twice: "@nested,@nested",
};
const asked: string[] = [];
const resolve = async (group: string): Promise<string> => {
  asked.push(group);
  return groups[group]!;
};

test.each([
  ["web1", "web1"],
  // An @ in a value is no group.
  ["owner=ann@example.org", "owner=ann@example.org"],
  ["@web", "web1,web2"],
  ["@eu", "zone=eu and role=web"],
  // A plain list in a plain list stays one, which also agents before version 3 can read.
  ["@web,db1,@one", "web1,web2,db1,db1"],
  ["@nested", "web1,web2,mail"],
  ["@twice", "web1,web2,mail,web1,web2,mail"],
  ["db1,@eu", "db1,(zone=eu and role=web)"],
  ["*!@web", "*!(web1,web2)"],
  ["not @web and @one", "not (web1,web2) and db1"],
  ["@slurm:gpu & gpu1", "gpu[1-4] & gpu1"],
  ['@file:"/etc/my hosts"', "a"],
])("%s is %s", async (text, written) => {
  expect(await withGroups(text, resolve)).toBe(written);
  parse(written);
});

test("a group is asked for once", async () => {
  asked.length = 0;
  await withGroups("@twice,@web,@nested", resolve);
  expect(asked.sort()).toEqual(["nested", "twice", "web"]);
});

test("a group that contains itself is an error that shows how", async () => {
  await expect(withGroups("a,@loop", resolve)).rejects.toMatchObject({
    code: "invalid_argument",
    message: "the group @loop contains itself: @loop → @inner → @loop",
  });
});

test("what is wrong in a group is said of the group", async () => {
  await expect(withGroups("a,@bad", resolve)).rejects.toMatchObject({
    code: "invalid_argument",
    message: "in the group @bad: target expression: the bracket is not closed, at character 4",
    data: { position: 4, expression: "web[1-" },
  });
});

test("groups of groups do not grow without bound", async () => {
  const doubling = async (group: string): Promise<string> =>
    Number(group) > 25 ? "host" : `@${String(Number(group) + 1)},@${String(Number(group) + 1)}`;
  await expect(withGroups("@1", doubling)).rejects.toMatchObject({ code: "limit_exceeded" });
  const endless = async (group: string): Promise<string> => `@${String(Number(group) + 1)}`;
  await expect(withGroups("@1", endless)).rejects.toMatchObject({ code: "limit_exceeded" });
});

test("groups are named once each, in order", () => {
  expect(groupsOf(parse("@b and (@a,@b:c or not @*)", { groups: true }))).toEqual(["b", "a", "b:c", "*"]);
});

test.each([
  ["os=debian", "os", 1],
  ["web1,(role=web and not mem>=8G)", "mem", 24],
  ["fact.rack=r1", "fact.rack", 1],
  ["label.os=x,role=web,web*", undefined, undefined],
])("the first fact of %s is %s", (text, key, position) => {
  expect(firstFact(parse(text))).toEqual(key === undefined ? undefined : { key, position });
  expect(usesFacts(parse(text))).toBe(key !== undefined);
});

test.each([
  ["*", true],
  ["web1,**", true],
  ["web1 or *", true],
  ["* and *", true],
  ["web*", false],
  ["*!web1", false],
  ["*,web1!web1", false],
  ["* and role=web", false],
  ["not web1", false],
])("%s is every host there may ever be: %s", (text, expected) => {
  expect(isEverything(parse(text))).toBe(expected);
});

test.each([
  ["web1, db*,role=web*", true],
  ["web[1-2]", false],
  ["web1 or web2", false],
  ["(web1)", false],
  ["web1!web2", false],
  ["role!=web", false],
  ["role='web'", false],
  ["os=debian", false],
])("version 2 reads %s: %s", (text, expected) => {
  expect(isReadableByVersion2(parse(text))).toBe(expected);
});

test.each([
  ["web[1-", 4, "web[1-\n   ^"],
  ["web1,", 6, "web1,\n     ^"],
  ["a\tb\u0007é", 4, "a b é\n   ^"],
])("points at the place in %j", (text, position, lines) => {
  expect(pointAt(text, position)).toBe(lines);
});

test("of a long text it shows what is around the place", () => {
  const [line, caret] = pointAt(`${"a".repeat(1_000)}!${"b".repeat(1_000)}`, 1_001).split("\n");
  expect(line).toHaveLength(74);
  expect(line![caret!.indexOf("^")]).toBe("!");
});
