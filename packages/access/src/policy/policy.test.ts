import { Action, type HostName, type Labels } from "@outpost/protocol";
import { fits, type TargetHost } from "@outpost/protocol/targets";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { initialPolicy } from "./initial.ts";
import { closedPolicy, permissivePolicy, Policy } from "./policy.ts";
import type { PolicyRequest } from "./rule.ts";

const host = (name: string, labels: Labels = {}): TargetHost => ({ name: name as HostName, labels });
const web1 = host("web1", { role: "web" });
const db1 = host("db1", { role: "db", stage: "prod" });

const policy = Policy.parse(
  `
groups:
  deployers: [ada, "grace@*"]
rules:
  - name: admins
    operators: [root]
    actions: ["*"]
    configurations: ["*"]
    users: ["*"]
  - name: deployers
    operators: ["@deployers"]
    actions: [invoke, session.open, job.read, host.list]
    targets: role=web
    configurations: [default, "deploy-*"]
    users: [www, "app*"]
  - name: no prod stops
    operators: ["*"]
    actions: [job.stop, session.*]
    targets: stage=prod
    effect: deny
  - name: not as root
    operators: ["*"]
    actions: [invoke]
    users: [root]
    effect: deny
  - name: looking
    operators: [joan]
    actions: ["*.read", "*.list"]
  - name: all of the web
    operators: [joan]
    actions: ["*"]
    targets: role=web
`,
  "policy.yaml",
);

const decide = (request: PolicyRequest): string => {
  const { allowed, rule } = policy.decide(request);
  return `${allowed ? "allowed" : "denied"} by ${rule}`;
};

test("targets of the whole language, but facts: a host cannot talk itself into a rule", () => {
  const ranges = Policy.parse(
    `rules: [{name: some, operators: ["*"], actions: [invoke], targets: "web[1-3]!web2 or (stage=prod and not mail*)"}]`,
    "policy.yaml",
  );
  const may = (name: string, labels = {}): boolean =>
    ranges.decide({ operator: "ada", action: "invoke", host: host(name, labels) }).allowed;
  expect(["web1", "web2", "web3", "web03"].map((name) => may(name))).toEqual([true, false, true, false]);
  expect([may("db1", { stage: "prod" }), may("mail1", { stage: "prod" })]).toEqual([true, false]);
  const labels = Policy.parse(
    `rules: [{name: some, operators: ["*"], actions: [invoke], targets: "label.os=linux"}]`,
    "policy.yaml",
  );
  const facts = { custom: { os: "linux" }, osId: "linux" };
  const lying = { ...host("web1"), facts } as unknown as typeof web1;
  expect(labels.decide({ operator: "ada", action: "invoke", host: lying }).allowed).toBe(false);
  expect(
    labels.decide({ operator: "ada", action: "invoke", host: host("web1", { os: "linux" }) }).allowed,
  ).toBe(true);
});

describe("decisions", () => {
  test.each<[string, PolicyRequest, string]>([
    ["a rule", { operator: "ada", action: "invoke", host: web1 }, "allowed by deployers"],
    ["a pattern in a group", { operator: "grace@x", action: "invoke", host: web1 }, "allowed by deployers"],
    ["another host", { operator: "ada", action: "invoke", host: db1 }, "denied by default"],
    ["another action", { operator: "ada", action: "job.remove", host: web1 }, "denied by default"],
    ["another operator", { operator: "grace", action: "invoke", host: web1 }, "denied by default"],
    ["names are not folded", { operator: "Ada", action: "invoke", host: web1 }, "denied by default"],
    [
      "a configuration that is named",
      { operator: "ada", action: "invoke", host: web1, configuration: "default" },
      "allowed by deployers",
    ],
    [
      "a configuration by pattern",
      { operator: "ada", action: "invoke", host: web1, configuration: "deploy-app" },
      "allowed by deployers",
    ],
    [
      "another configuration",
      { operator: "ada", action: "session.open", host: web1, configuration: "root" },
      "denied by default",
    ],
    ["a user", { operator: "ada", action: "invoke", host: web1, user: "app2" }, "allowed by deployers"],
    ["another user", { operator: "ada", action: "invoke", host: web1, user: "db" }, "denied by default"],
    [
      "a denied user",
      { operator: "root", action: "invoke", host: web1, user: "root" },
      "denied by not as root",
    ],
    ["nobody in particular", { operator: "root", action: "invoke", host: web1 }, "allowed by admins"],
    [
      "configuration and user say nothing of what is there already",
      { operator: "ada", action: "job.read", host: web1, configuration: "x", user: "root" },
      "allowed by deployers",
    ],
    ["deny before allow", { operator: "root", action: "job.stop", host: db1 }, "denied by no prod stops"],
    ["deny elsewhere", { operator: "root", action: "job.stop", host: web1 }, "allowed by admins"],
    [
      "deny before ownership",
      { operator: "ada", action: "job.stop", host: db1, owner: "ada" },
      "denied by no prod stops",
    ],
    ["ownership", { operator: "ada", action: "job.stop", host: web1, owner: "ada" }, "allowed by owner"],
    [
      "ownership of a session",
      { operator: "ada", action: "session.control", owner: "ada" },
      "denied by no prod stops",
    ],
    [
      "somebody else's",
      { operator: "ada", action: "job.stop", host: web1, owner: "joan" },
      "denied by default",
    ],
    [
      "ownership is about jobs and sessions",
      { operator: "ada", action: "host.remove", host: web1, owner: "ada" },
      "denied by default",
    ],
    [
      "ownership opens nothing",
      { operator: "joe", action: "session.open", host: web1, owner: "joe" },
      "denied by default",
    ],
    ["an action about no host", { operator: "root", action: "token.create" }, "allowed by admins"],
    ["an action about no host by pattern", { operator: "joan", action: "policy.read" }, "allowed by looking"],
    ["some hosts are not the controller", { operator: "joan", action: "token.create" }, "denied by default"],
    [
      "not even if one is named",
      { operator: "joan", action: "operator.add", host: web1 },
      "denied by default",
    ],
    [
      "all of some hosts",
      { operator: "joan", action: "host.remove", host: web1 },
      "allowed by all of the web",
    ],
    ["a host that is not named", { operator: "joan", action: "host.remove" }, "denied by default"],
  ])("%s", (_name, request, expected) => {
    expect(decide(request)).toBe(expected);
  });

  test("a rule that denies everything on some hosts leaves the controller's own actions alone", () => {
    const strict = Policy.parse(
      `rules:
  - {name: all, operators: ["*"], actions: ["*"]}
  - {name: not prod, operators: [ada], actions: ["*"], targets: stage=prod, effect: deny}`,
      "policy.yaml",
    );
    expect(strict.decide({ operator: "ada", action: "policy.read" }).rule).toBe("all");
    expect(strict.decide({ operator: "ada", action: "invoke", host: db1 }).rule).toBe("not prod");
    // Nobody said which host: it could be one of them.
    expect(strict.decide({ operator: "ada", action: "invoke" }).rule).toBe("not prod");
  });

  test("reasons are sentences", () => {
    const reason = (request: PolicyRequest): string => policy.decide(request).reason;
    expect(reason({ operator: "grace", action: "job.stop", host: web1 })).toBe(
      "no rule allows grace to job.stop on web1",
    );
    expect(
      reason({ operator: "ada", action: "invoke", host: web1, configuration: "root", user: "www" }),
    ).toBe("no rule allows ada to invoke on web1 in the configuration root as www");
    expect(reason({ operator: "ada", action: "operator.add" })).toBe("no rule allows ada to operator.add");
    expect(reason({ operator: "root", action: "job.stop", host: db1 })).toBe(
      'the rule "no prod stops" denies job.stop on stage=prod',
    );
    expect(reason({ operator: "root", action: "session.watch", host: db1 })).toBe(
      'the rule "no prod stops" denies session.* on stage=prod',
    );
    expect(reason({ operator: "root", action: "invoke", host: db1 })).toBe(
      'the rule "admins" allows everything',
    );
    expect(reason({ operator: "ada", action: "job.stop", host: web1, owner: "ada" })).toBe("it is ada's own");
  });
});

describe("explanations", () => {
  const says = (request: PolicyRequest): string[] => policy.explain(request).map((each) => each.says);

  test("every rule in its order, and why it is not about the request", () => {
    expect(policy.explain({ operator: "ada", action: "invoke", host: db1, user: "db" })).toEqual([
      { rule: "admins", says: "is for other operators (root)" },
      { rule: "deployers", says: "is about other hosts (role=web)" },
      { rule: "no prod stops", says: "is about other actions (job.stop, session.*)" },
      { rule: "not as root", says: "is about other users (root)" },
      { rule: "looking", says: "is for other operators (joan)" },
      { rule: "all of the web", says: "is for other operators (joan)" },
    ]);
  });

  test("what it says when it is", () => {
    const sayings = says({ operator: "ada", action: "invoke", host: web1, user: "app1" });
    expect(sayings[1]).toBe("allows invoke on role=web");
  });

  test("groups keep their names, configurations and users are named", () => {
    expect(says({ operator: "joe", action: "invoke", host: web1 })[1]).toBe(
      "is for other operators (@deployers)",
    );
    expect(says({ operator: "ada", action: "invoke", host: web1, configuration: "root" })[1]).toBe(
      "is about other configurations (default, deploy-*)",
    );
    expect(says({ operator: "joan", action: "invoke", host: web1, user: "www" })[5]).toBe(
      "lets nobody choose a user",
    );
    expect(says({ operator: "joan", action: "token.create" })[5]).toBe(
      "is about some hosts only (role=web), and token.create is about none",
    );
  });
});

describe("policies that are not written", () => {
  test("the first one lets its operator do everything, and nobody else anything", () => {
    const first = Policy.parse(initialPolicy("ada@example.org"), "policy.yaml");
    for (const action of Action.options) {
      const request = { action, host: db1, configuration: "x", user: "root" };
      expect(first.decide({ operator: "ada@example.org", ...request })).toMatchObject({
        allowed: true,
        rule: "admins",
      });
      expect(first.decide({ operator: "ada", ...request })).toMatchObject({ allowed: false });
    }
  });

  test("its examples are ones", () => {
    const text = initialPolicy("root");
    const examples = text
      .slice(text.indexOf("# groups:"))
      .replace("# groups", "groups")
      .replaceAll(/^#/gm, "");
    const read = Policy.parse(examples, "policy.yaml");
    expect(read.decide({ operator: "grace", action: "invoke", host: web1 }).rule).toBe("deployers");
    const prod = host("a", { stage: "production" });
    expect(read.decide({ operator: "root", action: "job.stop", host: prod }).rule).toBe(
      "production stays up",
    );
  });

  test("of a host without one: everything", () => {
    expect(permissivePolicy.decide({ operator: "x", action: "job.stop", host: web1, owner: "x" })).toEqual({
      allowed: true,
      rule: "none",
      reason: "this host has no policy of its own",
    });
    expect(permissivePolicy.explain({ operator: "x", action: "invoke" })).toEqual([]);
  });

  test("of a host with a bad one: nothing, not even one's own", () => {
    const closed = closedPolicy("policy.yaml cannot be used");
    expect(closed.decide({ operator: "x", action: "job.read", owner: "x" })).toEqual({
      allowed: false,
      rule: "default",
      reason: "policy.yaml cannot be used",
    });
  });
});

// ------------------------------------------------------------------------------ against a model

interface ModelRule {
  readonly name: string;
  readonly operators: readonly string[];
  readonly actions: readonly string[];
  readonly targets?: string;
  readonly configurations?: readonly string[];
  readonly users?: readonly string[];
  readonly effect?: "allow" | "deny";
}

const groups = { team: ["ada", "b*"], none: [] as string[] };

/** The semantics once more, as plainly as can be, in the words of `docs/policy.md`. */
function model(rules: readonly ModelRule[], request: PolicyRequest): { allowed: boolean; rule: string } {
  const { operator, action, owner, configuration = "default", user } = request;
  const some = (patterns: readonly string[], text: string): boolean =>
    patterns.some((pattern) => fits(pattern, text));
  const aboutHosts = ["host", "invoke", "job", "session"].includes(action.split(".")[0]!);
  const starts = action === "invoke" || action === "session.open";
  const applies = (rule: ModelRule): boolean => {
    const denies = rule.effect === "deny";
    const operators = rule.operators.flatMap((name) =>
      name.startsWith("@") ? groups[name.slice(1) as keyof typeof groups] : [name],
    );
    if (!some(operators, operator) || !some(rule.actions, action)) return false;
    const { targets = "*" } = rule;
    if (targets !== "*") {
      if (!aboutHosts) return false;
      const labels = Object.entries(request.host?.labels ?? {}).map(([key, value]) => `${key}=${value}`);
      const selected = [request.host?.name ?? "", ...labels].includes(targets);
      if (request.host === undefined ? !denies : !selected) return false;
    }
    if (!starts) return !denies || (rule.configurations === undefined && rule.users === undefined);
    if (denies) {
      if (rule.configurations !== undefined && !some(rule.configurations, configuration)) return false;
      return rule.users === undefined || (user !== undefined && some(rule.users, user));
    }
    return (
      some(rule.configurations ?? ["default"], configuration) &&
      (user === undefined || some(rule.users ?? [], user))
    );
  };
  const applying = rules.filter(applies);
  const denying = applying.find(({ effect }) => effect === "deny");
  if (denying !== undefined) return { allowed: false, rule: denying.name };
  const allowing = applying[0];
  if (allowing !== undefined) return { allowed: true, rule: allowing.name };
  const mine = owner === operator && /^(job|session)\./.test(action) && action !== "session.open";
  return mine ? { allowed: true, rule: "owner" } : { allowed: false, rule: "default" };
}

const few = <T>(...choices: T[]) =>
  fc.uniqueArray(fc.constantFrom(...choices), { minLength: 1, maxLength: 3 });
const anyRules: fc.Arbitrary<ModelRule[]> = fc
  .array(
    fc.record(
      {
        operators: few("ada", "bob", "*", "b*", "@team", "@none"),
        actions: few("*", "job.*", "session.*", "invoke", "job.stop", "session.open", "*.list"),
        targets: fc.constantFrom("*", "web1", "role=db", "role=web"),
        configurations: few("default", "x", "*", "d*"),
        users: few("root", "w*", "*"),
        effect: fc.constantFrom("allow" as const, "allow" as const, "deny" as const),
      },
      { requiredKeys: ["operators", "actions"] },
    ),
    { maxLength: 6 },
  )
  .map((rules) => rules.map((rule, index) => ({ name: `rule ${String(index)}`, ...rule })));
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const anyRequest: fc.Arbitrary<PolicyRequest> = fc.record({
  operator: fc.constantFrom("ada", "bob", "eve"),
  action: fc.constantFrom(...Action.options),
  host: optional(fc.constantFrom(web1, db1)),
  owner: optional(fc.constantFrom("ada", "bob", "eve")),
  configuration: optional(fc.constantFrom("default", "x", "dev")),
  user: optional(fc.constantFrom("root", "www", "ada")),
});

describe("properties", () => {
  test("decides as the model does", () => {
    fc.assert(
      fc.property(anyRules, fc.array(anyRequest, { minLength: 1, maxLength: 20 }), (rules, requests) => {
        const read = Policy.parse(JSON.stringify({ groups, rules }), "policy.yaml");
        for (const request of requests) expect(read.decide(request)).toMatchObject(model(rules, request));
      }),
      { numRuns: 500 },
    );
  });

  test("what explains and what decides agree", () => {
    fc.assert(
      fc.property(anyRules, anyRequest, (rules, request) => {
        const read = Policy.parse(JSON.stringify({ groups, rules }), "policy.yaml");
        const { rule } = read.decide(request);
        const speaking = read.explain(request).filter(({ says }) => /^(?:allows|denies) /.test(says));
        const deciding = speaking.find(({ says }) => says.startsWith("denies")) ?? speaking[0];
        if (deciding !== undefined) expect(rule).toBe(deciding.rule);
        else expect(["owner", "default"]).toContain(rule);
      }),
    );
  });

  test("one rule more that denies never allows more", () => {
    fc.assert(
      fc.property(anyRules, anyRules, anyRequest, (rules, others, request) => {
        const denying = others.map((rule) => ({ ...rule, name: `no ${rule.name}`, effect: "deny" }));
        const before = Policy.parse(JSON.stringify({ groups, rules }), "").decide(request);
        const after = Policy.parse(JSON.stringify({ groups, rules: [...rules, ...denying] }), "").decide(
          request,
        );
        if (after.allowed) expect(before).toEqual(after);
      }),
    );
  });
});

test("1,000 hosts and 50 rules that all concern the operator are decided in milliseconds", () => {
  const rules = Array.from({ length: 50 }, (_, index) => ({
    name: `rule ${String(index)}`,
    operators: ["a*", "b*", "c*"],
    actions: ["*"],
    targets: `role=r${String(index)},x${String(index)}*`,
  }));
  const many = Policy.parse(JSON.stringify({ rules }), "policy.yaml");
  const hosts = Array.from({ length: 1_000 }, (_, index) => host(`host${String(index)}`, { role: "r49" }));
  const started = performance.now();
  for (const each of hosts)
    expect.soft(many.decide({ operator: "cid", action: "invoke", host: each }).allowed).toBe(true);
  // 12 ms measured, most of it for the expectations; the limit is for a machine that does much else.
  expect(performance.now() - started).toBeLessThan(500);
});
