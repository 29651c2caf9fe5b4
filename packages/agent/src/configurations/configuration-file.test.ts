import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseConfiguration, readConfiguration } from "./configuration-file.ts";

const whole = `
description: Deploys of the shop
operators: [ada, "ops-*"]
user: deploy
users: [www-data]
groups: [docker]
cwd: /srv/shop
env: { RAILS_ENV: production }
acceptEnv: [VERSION, "SHOP_*"]
allow:
  - command: /usr/bin/systemctl
    arguments:
      - oneOf: [status, restart, { pattern: "re.*" }]
      - { pattern: 'shop-[a-z]+\\.service', anchored: true }
      - optional: --now
      - optional: [--lines, { pattern: '\\d+' }]
      - rest: { pattern: ".*", options: true }
  - command: /usr/local/bin/deploy
limits: { cpu: 50%, memory: 512M, processes: 20, openFiles: 64, jobs: 2, sessions: 1, idle: 10m, time: 1h, output: 1G }
`;

function problems(text: string): string[] {
  const read = readConfiguration("shop", text);
  if ("configuration" in read) return [];
  return read.problems.map(({ line, column, message }) => `${String(line)}:${String(column)} ${message}`);
}

describe("a configuration", () => {
  test("with everything", () => {
    expect(problems(whole)).toEqual([]);
    expect(parseConfiguration("shop", whole, "shop.yaml")).toEqual({
      name: "shop",
      description: "Deploys of the shop",
      operators: ["ada", "ops-*"],
      user: "deploy",
      users: ["www-data"],
      groups: ["docker"],
      cwd: "/srv/shop",
      env: { RAILS_ENV: "production" },
      acceptEnv: ["VERSION", "SHOP_*"],
      allow: [
        {
          command: "/usr/bin/systemctl",
          arguments: [
            {
              kind: "oneOf",
              patterns: [
                { kind: "literal", text: "status" },
                { kind: "literal", text: "restart" },
                { kind: "regex", source: "re.*", options: false },
              ],
            },
            { kind: "regex", source: "shop-[a-z]+\\.service", options: false },
            { kind: "optional", items: [{ kind: "literal", text: "--now" }] },
            {
              kind: "optional",
              items: [
                { kind: "literal", text: "--lines" },
                { kind: "regex", source: "\\d+", options: false },
              ],
            },
            { kind: "rest", pattern: { kind: "regex", source: ".*", options: true } },
          ],
        },
        { command: "/usr/local/bin/deploy", arguments: [] },
      ],
      limits: {
        cpus: 0.5,
        memoryBytes: 512 * 1024 ** 2,
        processes: 20,
        openFiles: 64,
        jobs: 2,
        sessions: 1,
        idleMs: 600_000,
        timeMs: 3_600_000,
        outputBytes: 1024 ** 3,
      },
    });
  });

  test.each(["", "\n", "# nothing but a comment\n", "{}"])("with nothing: %j", (text) => {
    expect(parseConfiguration("shop", text, "shop.yaml")).toMatchObject({ name: "shop", users: [], env: {} });
  });
});

describe("is refused, with the place:", () => {
  test.each<[string, RegExp]>([
    ["usr: deploy", /^1:1 unknown key "usr"; did you mean "user"/],
    ["user: deploy\nlimits:\n  cpus: 1", /^3:3 unknown key "cpus"; did you mean "cpu"/],
    ["user: 7", /^1:7 user must be text/],
    ["user: ../root", /^1:7 .*not the name of a user/],
    ["user: deploy\nuser: root", /^2:1 .*already/],
    ["shell: bash", /^1:8 .*not an absolute path/],
    ["shell: /bin/../bin/bash", /^1:8 .*\/\.\.\//],
    ["command: []", /^1:10 .*must not be empty/],
    ["command: [psql]", /^1:11 .*absolute path/],
    ["shell: /bin/sh\ncommand: [/bin/sh]", /^2:10 .*only one of the two/],
    ["shell: /bin/sh\nallow: [{ command: /bin/ls }]", /^1:8 .*no shell/],
    ["allow: []", /^1:8 .*must not be empty/],
    ["allow:\n  - command: ls", /^2:14 .*not an absolute path/],
    ["allow:\n  - command: /bin/ls\n    arguments: [7]", /^3:17 .*numbers in quotes/],
    ["allow:\n  - command: /bin/ls\n    arguments: [{ patern: a }]", /^3:17 .*\{pattern: …\}/],
    [
      "allow:\n  - command: /bin/ls\n    arguments: [{ pattern: a, option: true }]",
      /^3:31 unknown key "option"/,
    ],
    ["allow:\n  - command: /bin/ls\n    arguments: [{ pattern: '(' }]", /^3:28 .*not a regular expression/],
    ["allow:\n  - command: /bin/ls\n    arguments: [{ pattern: ')(' }]", /^3:28 .*not a regular expression/],
    ["allow:\n  - command: /bin/ls\n    arguments: [{ rest: a }, b]", /^3:16 .*not its last/],
    ["allow:\n  - command: /bin/ls\n    arguments: [{ pattern: a, anchored: false }]", /^3:41 /],
    ["env: { a-b: c }", /^1:8 .*not a variable's name/],
    ["env: { UID: '0' }", /^1:8 .*shells keep for themselves/],
    ["env: { A: 7 }", /^1:11 A must be text/],
    ["limits: { cpu: 0% }", /^1:16 .*not an amount of CPU/],
    ["limits: { cpu: lots }", /^1:16 .*not an amount of CPU/],
    ["limits: { memory: 5X }", /^1:19 .*not a size/],
    ["limits: { time: 5 }", /^1:17 .*must be text/],
    ["limits: { idle: 5y }", /^1:17 .*not a duration/],
    ["limits: { jobs: 0 }", /^1:17 .*at least 1/],
    ["[]", /^1:1 /],
    ["user: [", /^1:\d+ /],
    ["__proto__: 1", /^1:1 .*cannot be used as a key/],
  ])("%j", (text, expected) => {
    expect(problems(text).join("\n")).toMatch(expected);
  });

  test("an error names file, line and column, and how many there are", () => {
    expect(() => parseConfiguration("shop", "usr: a\nshel: b", "/x/shop.yaml")).toThrow(
      /^\/x\/shop\.yaml:1:1: unknown key "usr".* \(and 1 more\)$/,
    );
  });
});

test("whatever is in a file, it is read or refused", () => {
  const value = fc.jsonValue({ maxDepth: 4 });
  const keys = fc.constantFrom(
    "user",
    "allow",
    "limits",
    "env",
    "arguments",
    "command",
    "rest",
    "optional",
    "x",
  );
  const tree = fc.oneof(value, fc.dictionary(keys, value));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        tree.map((each) => JSON.stringify(each)),
      ),
      (text) => {
        const read = readConfiguration("x", text);
        if ("problems" in read) expect(read.problems.length).toBeGreaterThan(0);
      },
    ),
    { numRuns: 2_000 },
  );
});

test("every example of the documentation is right", () => {
  const page = readFileSync(new URL("../../../../docs/configurations.md", import.meta.url), "utf8");
  const examples = [...page.matchAll(/^```yaml\n([^]*?)^```$/gm)].map((match) => match[1]!);
  expect(examples.length).toBeGreaterThan(2);
  for (const example of examples) expect(problems(example), example).toEqual([]);
});
