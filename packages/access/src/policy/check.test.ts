import { OutpostError } from "@outpost/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkPolicy, Policy } from "./policy.ts";

/** Problems as an editor would list them. */
const problems = (text: string): string[] =>
  checkPolicy(text).map(({ line, column, message }) => `${String(line)}:${String(column)} ${message}`);

const rule = (...lines: string[]): string =>
  [
    "rules:",
    "  - name: one",
    "    operators: [ada]",
    "    actions: [invoke]",
    ...lines.map((line) => `    ${line}`),
  ].join("\n");

describe("a good policy", () => {
  test.each([
    ["no rule at all: everything is denied", "rules: []"],
    [
      "all keys",
      rule('targets: "web*, role=db"', 'configurations: ["*"]', "users: [www, svc$]", "effect: deny"),
    ],
    ["an empty group", 'groups: {x: []}\nrules: [{name: a, operators: ["@x"], actions: ["*"]}]'],
    [
      "anchors",
      "rules:\n  - &r {name: a, operators: &o [ada], actions: [invoke]}\n  - {name: b, operators: *o, actions: [invoke]}",
    ],
    ["a name that says something", rule().replace("one", '"Web: deploys, only by day – très bien"')],
  ])("%s", (_name, text) => {
    expect(problems(text)).toEqual([]);
  });
});

describe("problems and where they are", () => {
  test.each<[string, string, string[]]>([
    ["nothing", "", ["1:1 the document is empty"]],
    ["no rules", "groups: {}", ['1:1 the key "rules" is missing']],
    ["a list", "- a", ["1:1 the document must be keys with values, not a list"]],
    ["an unknown key", rule("tagrets: web1"), ['5:5 unknown key "tagrets"; did you mean "targets"?']],
    [
      "an unknown key that is like none",
      rule("hours: 9-17"),
      [
        '5:5 unknown key "hours" (there are name, operators, actions, targets, configurations, users, effect)',
      ],
    ],
    ["an unknown key on top", "rules: []\nrule: 1", ['2:1 unknown key "rule"; did you mean "rules"?']],
    ["a key twice", rule("effect: deny", "effect: allow"), ["6:5 this key is there already"]],
    ["an inherited key", rule("constructor: 1"), ['5:5 "constructor" cannot be used as a key']],
    ["__proto__", rule("__proto__: {effect: deny}"), ['5:5 "__proto__" cannot be used as a key']],
    [
      "a group that every object has",
      "groups: {constructor: [ada]}\nrules: []",
      ['1:10 "constructor" cannot be used as a key'],
    ],
    ["a missing key", "rules:\n  - name: one\n    operators: [ada]", ['2:5 the key "actions" is missing']],
    [
      "text for a list",
      rule().replace("[ada]", "ada"),
      ['3:16 operators must be a list, not the text "ada"'],
    ],
    ["an empty list", rule("users: []"), ["5:12 users must not be empty; leave the key out for its default"]],
    [
      "a number",
      rule().replace("ada", "1"),
      ["3:17 an entry of operators must be text, not 1 (text must be in quotes here)"],
    ],
    ["an effect", rule("effect: denied"), ['5:13 effect must be allow or deny, not "denied"']],
    [
      "a name twice",
      `${rule()}\n  - {name: one, operators: [a], actions: [invoke]}`,
      ['5:12 there is a rule "one" already'],
    ],
    [
      "a reserved name",
      rule().replace("one", "owner"),
      ['2:11 "owner" is no name for a rule: what no rule decides is called so'],
    ],
    [
      "an operator",
      rule().replace("[ada]", '[bob, "ad a"]'),
      ['3:22 "ad a" is not an operator\'s name or pattern (A-Z a-z 0-9 . _ + @ - and * ?), nor a @group'],
    ],
    [
      "an unknown group",
      `groups: {admins: []}\n${rule().replace("ada", '"@admin"')}`,
      ['4:17 there is no group "admin"; did you mean "@admins"?'],
    ],
    [
      "a group that no object has",
      rule().replace("ada", '"@toString"'),
      ['3:17 there is no group "toString"'],
    ],
    [
      "a group in a group",
      `groups: {a: ["@b"]}\n${rule()}`,
      ['1:14 "@b" is not an operator\'s name or pattern (A-Z a-z 0-9 . _ + @ - and * ?)'],
    ],
    [
      "an unknown action",
      rule().replace("invoke", "invoek"),
      ['4:15 there is no action "invoek"; did you mean "invoke"?'],
    ],
    ["an action unlike all", rule().replace("invoke", "fly"), ['4:15 there is no action "fly"']],
    ["a pattern of no action", rule().replace("invoke", "jobs.*"), ['4:15 no action fits "jobs.*"']],
    [
      "an action that the rule can never allow",
      rule("targets: role=web").replace("invoke", "token.*"),
      [
        "4:15 token.* is about no host, so that a rule about some hosts says nothing of it; make it a rule without targets",
      ],
    ],
    [
      "targets",
      rule('targets: "web1, Web2"'),
      [
        '5:21 target expression: "Web2" is not a host name or pattern: host names are in lower case (web2), at character 7',
      ],
    ],
    [
      "a fact",
      rule('targets: "web* and os=debian"'),
      [
        '5:24 "os" is a fact, which a host says of itself, and a policy knows names and labels only; if the label of that name is meant, write label.os',
      ],
    ],
    [
      "a fact of facts.d",
      rule("targets: fact.rack=r12"),
      ['5:14 "fact.rack" is a fact, which a host says of itself, and a policy knows names and labels only'],
    ],
    [
      "a group",
      rule('targets: "web1,@eu"'),
      ["5:20 target expression: groups are expanded by the client, and this is behind it, at character 6"],
    ],
    [
      "targets without quotes",
      rule("targets: web1,,web2"),
      ["5:19 target expression: a host, pattern or label is missing, at character 6"],
    ],
    [
      "a configuration",
      rule("configurations: [Root]"),
      ['5:22 "Root" is not a configuration\'s name or pattern (a-z 0-9 . _ - and * ?)'],
    ],
    [
      "a star without quotes",
      rule().replace("invoke", "*"),
      ["4:15 Alias cannot be an empty string; text that begins with * must be in quotes"],
    ],
    [
      "a group without quotes",
      rule().replace("ada", "@a"),
      ["3:17 Plain value cannot start with reserved character @; it must be in quotes"],
    ],
    ["a tag", rule("effect: !!js/function deny"), ["5:13 Unresolved tag: tag:yaml.org,2002:js/function"]],
    [
      "a second document",
      "rules: []\n---\nrules: []",
      ["2:1 Source contains multiple documents; please use YAML.parseAllDocuments()"],
    ],
  ])("%s", (_name, text, expected) => {
    expect(problems(text)).toEqual(expected);
  });

  test("all of them, in the order of the file", () => {
    const text = rule("effect: denied", "targets: [a]", "colour: red").replace("ada", "1");
    expect(checkPolicy(text).map(({ line }) => line)).toEqual([3, 5, 6, 7]);
  });

  test("aliases that multiply are refused, quickly", () => {
    const layers = Array.from(
      { length: 30 },
      (_, index) => `l${String(index + 1)}: &l${String(index + 1)} [${`*l${String(index)}, `.repeat(9)}]`,
    );
    const started = performance.now();
    expect(problems(`l0: &l0 [x]\n${layers.join("\n")}\nrules: []`)).toEqual([
      expect.stringContaining("1:1 cannot be read: Excessive alias count"),
    ]);
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  test("a text that is too long is not read", () => {
    expect(problems(`rules: []\n${"#".repeat(256 * 1024)}`)).toEqual([
      "1:1 is longer than 262144 characters",
    ]);
  });
});

test("loading a bad policy names the file and the first problem, and holds all of them", () => {
  const text = rule("tagrets: web1", "colour: red");
  expect(() => Policy.parse(text, "/etc/policy.yaml")).toThrow(
    expect.objectContaining({
      code: "invalid_argument",
      message: '/etc/policy.yaml:5:5: unknown key "tagrets"; did you mean "targets"? (and 1 more)',
      data: { file: "/etc/policy.yaml", problems: checkPolicy(text) },
    }),
  );
});

test("any text is a policy or has problems that are in it", () => {
  const good = rule('targets: "web1, role=db"', "users: [www]", "effect: deny");
  const anyText = fc.oneof(
    fc.string({ maxLength: 60 }),
    fc
      .tuple(fc.nat(good.length), fc.nat(5), fc.string({ maxLength: 5, unit: "binary" }))
      .map(([at, gone, put]) => good.slice(0, at) + put + good.slice(at + gone)),
  );
  fc.assert(
    fc.property(anyText, (text) => {
      const found = checkPolicy(text);
      const lines = text.split("\n").length;
      for (const { line, column, message } of found) {
        expect(line).toBeGreaterThan(0);
        expect(line).toBeLessThanOrEqual(lines + 1);
        expect(column).toBeGreaterThan(0);
        expect(message).not.toBe("");
      }
      if (found.length > 0) expect(() => Policy.parse(text, "p")).toThrow(OutpostError);
      else expect(Policy.parse(text, "p").text).toBe(text);
    }),
    { numRuns: 2_000 },
  );
});
