import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { HostName, Labels } from "../ids.ts";
import type { Facts } from "../messages/host.ts";
import { compareNames, evaluate, names as namesHost, parse, selects, type TargetHost } from "./index.ts";

const facts: Facts = {
  platform: "linux",
  os: "Debian GNU/Linux 12 (bookworm)",
  osId: "debian",
  osVersion: "12",
  kernel: "6.1.0-18-amd64",
  arch: "x64",
  hostname: "web9.example.org",
  cpus: 8,
  memoryBytes: 16 * 1024 ** 3,
  agentVersion: "1.4.0-rc.1",
  bootId: "b",
  disks: [{ path: "/", sizeBytes: 100 * 1024 ** 3, freeBytes: 5 * 1024 ** 3 }],
  addresses: ["10.0.0.9", "fd00::9"],
  custom: { rack: "r12", load: 0.75, spare: true, role: "db" },
};
const host = (name: string, labels: Labels = {}, more: Pick<TargetHost, "facts"> = {}): TargetHost => ({
  name: name as HostName,
  labels,
  ...more,
});
const hosts = [
  host("web10", { role: "web", zone: "eu-1" }),
  host("web9", { role: "web", zone: "eu-2" }, { facts }),
  host("web1", { role: "web" }),
  host("db1", { role: "db", zone: "eu-1", os: "special" }, { facts }),
  host("d.b-x_1"),
  host("or"),
];
const names = (expression: string): string[] => evaluate(parse(expression), hosts).map(({ name }) => name);

describe("target expressions", () => {
  test.each([
    ["web1", ["web1"]],
    ["db1,web1", ["db1", "web1"]],
    ["web1,db1,web1", ["db1", "web1"]],
    [" web1 , db1 ", ["db1", "web1"]],
    ["web*", ["web1", "web9", "web10"]],
    ["web?", ["web1", "web9"]],
    ["web[9-10]", ["web9", "web10"]],
    ["web[1,9-10]!web9", ["web1", "web10"]],
    ["d*", ["d.b-x_1", "db1"]],
    ["*[1,10]", ["d.b-x_1", "db1", "web1", "web10"]],
    ["role=web", ["web1", "web9", "web10"]],
    ["zone=eu-*", ["db1", "web9", "web10"]],
    ["zone = 'eu-1'", ["db1", "web10"]],
    ['role="we\\b"', ["web1", "web9", "web10"]],
    ["role!=web", ["d.b-x_1", "db1", "or"]],
    ["*!role=web", ["d.b-x_1", "db1", "or"]],
    ["not role=web", ["d.b-x_1", "db1", "or"]],
    ["not not web1", ["web1"]],
    ["d.b*", ["d.b-x_1"]],
    ['"or"', ["or"]],
    ["'or',web1", ["or", "web1"]],
    // In a list of names a word is one.
    ["or", ["or"]],
    ["web1,or", ["or", "web1"]],
    ["(or)", ["or"]],
    ["web* or or", ["or", "web1", "web9", "web10"]],
    ["*1 and not or", ["d.b-x_1", "db1", "web1"]],
    // ClusterShell's operators have no precedence among each other …
    ["web1,web9!web9", ["web1"]],
    ["web10!web9,web1", ["web1", "web10"]],
    ["web*&zone=eu-1,web1", ["web1", "web10"]],
    ["web1,web9^web9,web10", ["web1", "web10"]],
    // … and bind tighter than words; `and` binds tighter than `or`.
    ["not web1,db1", ["d.b-x_1", "or", "web9", "web10"]],
    ["web1,db1 and role=web", ["web1"]],
    ["web1 or role=db and zone=eu-1", ["db1", "web1"]],
    ["(web1 or role=db) and zone=eu-1", ["db1"]],
    ["(web1,web9)&(web9,db1)", ["web9"]],
    ["web*!(web1 or web9)", ["web10"]],
  ])("%s", (expression, expected) => {
    expect(names(expression)).toEqual(expected);
  });

  test.each([
    ["", 1, "missing"],
    ["web1,", 6, "missing"],
    ["web1,,db1", 6, "missing"],
    ["web1, wéb", 8, '"é" cannot stand'],
    ["Web1", 1, "lower case (web1)"],
    ["wEb", 2, "lower case"],
    ["a/b", 2, "not a host name"],
    ["=x", 1, "key"],
    ["web1,-x", 6, "not a host name"],
    ["web[1-", 4, "the bracket is not closed"],
    ["web[1-2],db[", 12, "the bracket is not closed"],
    ["web1]", 5, "no bracket was opened"],
    ["web[1-2]]", 9, "no bracket was opened"],
    ["web[]", 5, "a number is missing"],
    ["web[1,,2]", 7, "a number is missing"],
    ["web[a]", 5, "no number"],
    ["web[1, 7-3]", 8, "backwards"],
    ["web[01-9]", 5, "same length"],
    ["web[1-3/0]", 5, "step"],
    ["web1 web2", 6, "no operator between web1 and web2"],
    ["web1 AND web2", 6, "lower case: and"],
    ["(web1", 1, "not closed"],
    ["web1)", 5, "no parenthesis was opened"],
    ["web1 and", 9, "missing"],
    ["and web1", 1, 'before "and"'],
    ["web1,not web2", 6, "parentheses"],
    ["!web1", 1, "*!"],
    ["role==web", 6, 'with one "="'],
    ["role=", 6, 'an empty one is role=""'],
    ["role=web=1", 9, "must be in quotes"],
    ["role=[a]", 6, "must be in quotes"],
    ["role='web", 6, "quote is not closed"],
    ["Role=web", 1, "not a label key"],
    ["web[1-2]=x", 1, "not a label key"],
    ["mem>=much", 6, "mem is a number"],
    ["version>1.*", 9, "= and != only"],
    ["'Not a host'", 1, "only a host's name"],
    ["@web", 1, "groups are expanded by the client"],
  ])("%j is malformed at %i: %s", (expression, position, message) => {
    expect(() => parse(expression)).toThrow(
      expect.objectContaining({ code: "invalid_argument", data: { position, expression } }),
    );
    expect(() => parse(expression)).toThrow(message);
  });

  test.each([
    ["web2", "there is no host called web2"],
    ["web[1-4]", "there are no hosts called web[2-4]"],
    ["web1,web2,db9,web[3-5]", "there are no hosts called db9,web[2-5]"],
    ["*!web01", "there is no host called web01"],
    ["not web2", "there is no host called web2"],
    ["not", "there is no host called not"],
    ["web1,x*", "no host's name fits x*"],
    ["role=mail", "no host has role=mail"],
    ["web1 or role=mail", "no host has role=mail"],
    ["web1,(role=db and role=web)", "is selected by (role=db and role=web)"],
    ["web1&db1", "is selected by web1&db1"],
    ["web1!web1,db1", "is selected by web1!web1"],
    ["role=web!web*", "is selected by role=web!web*"],
    ["constructor=x", "no host has constructor=x"],
    ["fact.constructor=*", "no host has fact.constructor=*"],
  ])("%s selects nothing, or not all that it names", (expression, message) => {
    expect(() => names(expression)).toThrow(expect.objectContaining({ code: "not_found" }));
    expect(() => names(expression)).toThrow(message);
  });

  test("what is there and may not be selected is not missing", () => {
    const known = new Set(["web1", "web2"]);
    const web = host("web1");
    expect(evaluate(parse("*!web2"), [web], { known })).toEqual([web]);
  });

  test("limits", () => {
    const tooLarge = expect.objectContaining({ code: "limit_exceeded" });
    expect(() => parse("a".repeat(65_537))).toThrow(tooLarge);
    expect(() => parse("a,".repeat(10_001).slice(0, -1))).toThrow(tooLarge);
    expect(() => parse("[1-99999999]")).toThrow(tooLarge);
    expect(() => parse("a[1-1000]b[1-1000]c[1-2]")).toThrow(tooLarge);
    expect(() => parse("a[1-900000],b[1-900000]")).toThrow(tooLarge);
    expect(() => parse(`${"(".repeat(65)}a${")".repeat(65)}`)).toThrow(tooLarge);
    expect(() => parse(`${"not ".repeat(65)}a`)).toThrow(tooLarge);
    expect(() => parse(`${"a*,".repeat(1_000)}a*`)).toThrow(tooLarge);
    expect(() => parse("a[1]".repeat(100))).toThrow("more parts");
    // Whatever it could be written out, one host is looked for in it at once.
    expect(selects(parse("a[1-1000000]"), host("a999999"))).toBe(true);
    expect(selects(parse("*[1-99999999999]"), host("a999999"))).toBe(true);
  });
});

describe("comparisons", () => {
  test.each([
    ["os=debian", true],
    ["os=deb*", true],
    ["os!=debian", false],
    ["os.version=12", true],
    ["os.version>=11", true],
    ["os.like=debian", true],
    ["kernel>=6.1", true],
    ["kernel<6.2", true],
    ["kernel=6.1.*", true],
    ["arch=x64", true],
    ["platform=linux and hostname=*.example.org", true],
    ["cpus=8", true],
    ["cpus>8", false],
    ["cpus>=8 and cpus<=8", true],
    ["mem>=8GiB", true],
    ["mem=16G", true],
    ["mem<16384M", false],
    ["disk>50GiB and disk.free<10gb", true],
    ["address=10.0.*", true],
    ["address='fd00::9'", true],
    ["address!=10.0.0.9", false],
    ["cloud=*", false],
    ["cloud!=aws", true],
    ["version<1.4", true],
    ["version>1.3.9", true],
    ["version=1.4.0-rc1", true],
    ["fact.rack=r12", true],
    ["fact.load<0.8", true],
    ["fact.load=0.750", true],
    ["fact.spare=true", true],
    ["fact.none=*", false],
    ["fact.none!=x", true],
    // What the host's programs say is no label and no fact of another name.
    ["rack=r12", false],
    ["role=db", false],
  ])("of facts: %s is %s", (expression, expected) => {
    expect(selects(parse(expression), host("web9", { role: "web" }, { facts }))).toBe(expected);
  });

  test.each([
    ["os=special", true],
    ["label.os=special", true],
    ["label.role=web", true],
    ["label.none=*", false],
    ["port>=80", true],
    ["port<1000", false],
    ["port=08080", false],
    ["port=8080", true],
    ["size>512M", true],
    ["release>1.9", true],
    ["release=1.10.0", false],
    ["empty=''", true],
    ["empty=*", true],
    ['star="\\*"', true],
    ['text="two words"', true],
    ["text='two *'", true],
    ["text=two?words", true],
  ])("of labels, which go before facts: %s is %s", (expression, expected) => {
    const labels = { os: "special", role: "web", port: "8080", size: "2G", release: "1.10" };
    const more = { empty: "", star: "*", text: "two words" };
    expect(selects(parse(expression), host("web9", { ...labels, ...more }, { facts }))).toBe(expected);
  });
});

describe("what a host can say of itself alone", () => {
  const web1 = host("web1", { role: "web" });
  test.each([
    ["web1", true],
    ["web10", false],
    ["web[1-1000]", true],
    ["web[01-99]", false],
    ["*", true],
    ["web?", true],
    ["db1,web1", true],
    ["db1,web1!web1", false],
    ["nowhere or role=web", true],
    ["role=db", false],
    ["zone=*", false],
    // Every object has these; no host has them as labels.
    ["constructor=*", false],
  ])("%s", (expression, expected) => {
    expect(selects(parse(expression), web1)).toBe(expected);
  });

  const ofNames = fc.constantFrom("web1", "web[1-10]", "web[9-10]", "web*", "db?", "*1", "*");
  const ofLabels = fc.constantFrom("role=web", "role=*", "zone=eu-1", "zone!=eu-1");
  const ofFacts = fc.constantFrom("mem>=8GiB", "cpus<4", "version<1.4", "fact.rack=r*", "os=debian");
  const leaf = fc.oneof(ofNames, ofLabels, ofFacts);
  const { tree } = fc.letrec<{ tree: string }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 5, depthSize: "small" },
      leaf,
      fc
        .tuple(tie("tree"), fc.constantFrom("&", "!", "^", " and ", ","), tie("tree"))
        .map(([left, operator, right]) => `(${left}${operator}${right})`),
      fc.tuple(tie("tree"), tie("tree")).map(([left, right]) => `(${left} or ${right})`),
      tie("tree").map((inner) => `(not ${inner})`),
    ),
  }));
  const universe = [...hosts, ...[2, 3, 4, 5, 6, 7, 8].map((number) => host(`web${String(number)}`))];

  test("is what an evaluation over all hosts says of it, if that finds no mistake", () => {
    let evaluated = 0;
    fc.assert(
      fc.property(tree, (expression) => {
        const targets = parse(expression);
        const those = universe.filter((each) => selects(targets, each));
        try {
          const found = evaluate(targets, universe);
          evaluated++;
          expect(new Set(found)).toEqual(new Set(those));
          expect(found).toEqual(found.toSorted((one, other) => compareNames(one.name, other.name)));
        } catch (error) {
          // Nothing at all, or nothing of a part that is united with others.
          expect(error).toMatchObject({ code: "not_found" });
        }
      }),
      { numRuns: 1_000 },
    );
    expect(evaluated).toBeGreaterThan(100);
  });

  test("selecting follows the laws of sets", () => {
    fc.assert(
      fc.property(tree, tree, fc.constantFrom(...universe), (a, b, one) => {
        const is = (expression: string): boolean => selects(parse(expression), one);
        expect(is(`(${a}),(${b})`)).toBe(is(a) || is(b));
        expect(is(`(${a}) or (${b})`)).toBe(is(a) || is(b));
        expect(is(`(${a})&(${b})`)).toBe(is(a) && is(b));
        expect(is(`(${a}) and (${b})`)).toBe(is(a) && is(b));
        expect(is(`(${a})!(${b})`)).toBe(is(a) && !is(b));
        expect(is(`(${a})^(${b})`)).toBe(is(a) !== is(b));
        expect(is(`not (${a})`)).toBe(!is(a));
      }),
    );
  });
});

describe("asked for by name", () => {
  test.each([
    ["web1", true],
    ["web[1-3]", true],
    ["web*", false],
    ["role=web", false],
    ["*!web1", false],
    ["not web1", false],
    ["web*,web1", true],
    ["(web1 or x) and y*", true],
    ["web2", false],
  ])("%s: %s", (expression, expected) => {
    expect(namesHost(parse(expression), "web1")).toBe(expected);
  });
});

describe("any text", () => {
  test("does no more than throw one of ours", () => {
    const likely = fc.string({
      unit: fc.constantFrom(
        ...Array.from("ab1029 ,&!^()[]-/*?=<>\"'\\@."),
        "and ",
        " or ",
        "not ",
        "web[1-3]",
        "role=",
        "mem>=",
      ),
    });
    fc.assert(
      fc.property(fc.oneof(likely, fc.string({ unit: "binary" })), (text) => {
        try {
          evaluate(parse(text), hosts);
        } catch (error) {
          const { code, data } = error as { code: string; data: { position?: number } };
          expect(["invalid_argument", "not_found", "limit_exceeded"]).toContain(code);
          if (code === "invalid_argument") {
            expect(data.position).toBeGreaterThanOrEqual(1);
            expect(data.position).toBeLessThanOrEqual(text.length + 1);
          }
        }
      }),
      { numRuns: 5_000 },
    );
  });

  test("is read in about as many steps as it has characters", () => {
    // By the square of their number, a million blanks would take minutes.
    const blanks = " ".repeat(1_000_000);
    expect(parse(`web[1${blanks}-${blanks}3]`, { local: true }).root).toMatchObject({
      pattern: { count: 3 },
    });
    expect(() => parse(`web[1${blanks}3]`, { local: true })).toThrow('"1 3" is no number and no range');
  });
});

test.each([
  ['"?"', "😀", true],
  ['"??"', "😀", false],
  [String.raw`"\**"`, "*x", true],
  [String.raw`"\**"`, "xx", false],
  [String.raw`"?\?"`, "😀?", true],
  [String.raw`"\?\*"`, "?*", true],
])("a label with the value %s: %s", (value, label, expected) => {
  expect(selects(parse(`label=${value}`), host("a", { label }))).toBe(expected);
});
