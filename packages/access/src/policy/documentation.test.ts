/** The examples of `docs/policy.md` are policies, and what it says of them is what they do. */
import { readFileSync } from "node:fs";
import { Action, type HostName, type Labels } from "@outpost/protocol";
import { describe, expect, test } from "vitest";
import { checkPolicy, Policy } from "./policy.ts";

const text = readFileSync(new URL("../../../../docs/policy.md", import.meta.url), "utf8");
const examples = [...text.matchAll(/^```yaml\n([^]*?)^```/gm)].map((match) => match[1]!);
const policy = Policy.parse(examples[0]!, "policy.yaml");
const host = (labels: Labels) => ({ name: "web1" as HostName, labels });

test("every example is a policy", () => {
  expect(examples).toHaveLength(2);
  for (const example of examples) expect(checkPolicy(example)).toEqual([]);
});

test("the table has every action, once", () => {
  const listed = [...text.matchAll(/^\| `([a-z.]+)` +\| /gm)].map((match) => match[1]!);
  const actions: readonly string[] = Action.options;
  expect(listed.filter((word) => actions.includes(word)).toSorted()).toEqual([...actions].toSorted());
});

test("what is explained is explained so", () => {
  const request = { operator: "linus", action: "job.stop", host: host({ role: "web" }) } as const;
  expect(text).toContain(`\nweb1  allowed   on call  ${policy.decide(request).reason}\n`);
  const said = policy.explain(request).map(({ rule, says }) => `${rule.padEnd(19)}  ${says}\n`);
  expect(text).toContain(`\n${said.join("")}`);
});

describe("the example", () => {
  test("production stays up for admins, too", () => {
    const request = { operator: "root", action: "job.stop", host: host({ stage: "production" }) } as const;
    expect(policy.decide(request).rule).toBe("production stays up");
  });

  test("deployers are not given tokens, nor root", () => {
    const web = { operator: "ada", action: "invoke", host: host({ role: "web" }) } as const;
    expect(policy.decide(web).allowed).toBe(true);
    expect(policy.decide({ ...web, user: "root" }).allowed).toBe(false);
    expect(policy.decide({ operator: "ada", action: "token.create" }).allowed).toBe(false);
  });
});
