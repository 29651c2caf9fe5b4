/** `outpost-agent policy` and `audit` as processes, on directories that were written here. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AuditLog } from "@outpost/access";
import { systemClock } from "@outpost/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { agentPaths, type AgentPaths } from "../directory.ts";
import { accessStatus, operatorsText, policyText } from "./status-access.ts";
import { parseMoment } from "./moment.ts";

const main = join(import.meta.dirname, "..", "main.ts");
let paths: AgentPaths;

beforeEach(() => {
  paths = agentPaths(mkdtempSync(join(tmpdir(), "outpost-access-")));
});
afterEach(() => rmSync(paths.directory, { recursive: true }));

interface Ran {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const argv = ["--conditions=source", main, ...args, "--dir", paths.directory];
    execFile(process.execPath, argv, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

describe("policy check", () => {
  test("no policy, a good one, a bad one, and one by name", async () => {
    expect(await run("policy", "check")).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("allows whatever"),
    });
    writeFileSync(paths.policy, `rules: [{ name: all, operators: [ada], actions: ["*"] }]\n`);
    expect(await run("policy", "check")).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("nothing is wrong"),
    });
    const bad = join(paths.directory, "new.yaml");
    writeFileSync(bad, "rules:\n  - nam: x\n");
    const ran = await run("policy", "check", bad);
    expect(ran).toMatchObject({ code: 1, stderr: "" });
    expect(ran.stdout).toMatch(new RegExp(`^${bad}:2:\\d+: `));
    const { stdout } = await run("policy", "check", bad, "--output", "json");
    expect(JSON.parse(stdout)).toMatchObject({
      file: bad,
      problems: expect.arrayContaining([
        expect.objectContaining({ line: 2, message: expect.stringContaining("nam") }),
      ]),
    });
    const none = await run("policy", "check", join(paths.directory, "none.yaml"));
    expect(none).toMatchObject({ code: 252, stderr: expect.stringContaining("there is no file") });
  });
});

describe("audit", () => {
  beforeEach(() => {
    using audit = AuditLog.open({ directory: paths.audit, clock: systemClock });
    audit.append({ kind: "event", action: "agent.started", hosts: ["web1"] });
    audit.append({
      kind: "request",
      action: "invoke",
      operator: "ada",
      hosts: ["web1"],
      subject: "0123456789ab",
      what: "echo \u001b[31mred",
      decision: "allowed",
      rule: "none",
    });
    audit.append({
      kind: "request",
      action: "job.read",
      hosts: ["web1"],
      decision: "denied",
      message: "the request came without an operator's signature",
    });
  });

  test("list: all, and what is asked for; nothing reaches the terminal but text", async () => {
    const all = await run("audit", "list");
    expect(all).toMatchObject({ code: 0, stderr: "" });
    expect(all.stdout.trimEnd().split("\n")).toHaveLength(4);
    expect(all.stdout).toContain("echo �[31mred");
    const { stdout } = await run("audit", "list", "--denied", "--since", "1h", "--output", "json");
    expect(JSON.parse(stdout)).toMatchObject({ entries: [{ sequence: 3, action: "job.read" }], more: false });
    const newest = await run("audit", "list", "--newest", "1", "--operator", "ada");
    expect(newest.stdout).toContain("ada");
    expect((await run("audit", "list", "--subject", "none")).stdout).toBe("nothing\n");
  });

  test("verify: whole, then with a line that somebody has edited", async () => {
    expect(await run("audit", "verify")).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^3 lines, #1 to #3: none was edited.*\nhead: [0-9a-f]{64}\n$/),
    });
    const file = join(paths.audit, "audit.ndjson");
    writeFileSync(file, readFileSync(file, "utf8").replace('"ada"', '"bob"'));
    const found = await run("audit", "verify");
    expect(found.code).toBe(1);
    expect(found.stdout).toContain("audit.ndjson:");
  });

  test.each([
    [["audit"], "what about the audit log?"],
    [["policy"], "what about the policy?"],
    [["audit", "list", "--since", "yesterday"], "--since"],
    [["audit", "list", "--newest", "none"], "--newest"],
    [["audit", "verfy"], "verify?"],
  ])("%j is wrong usage", async (args, message) => {
    expect(await run(...args)).toMatchObject({ code: 251, stderr: expect.stringContaining(message) });
  });
});

test("status says whom the host believes, and what its policy is", () => {
  const none = accessStatus(paths);
  expect(operatorsText(none)).toContain("nobody is obeyed");
  expect(policyText(none)).toContain("whatever the controller lets through");
  writeFileSync(paths.policy, "rules: 7\n");
  expect(policyText(accessStatus(paths))).toMatch(/^NOTHING is allowed: .*policy.yaml:1:\d+/);
});

test("moments", () => {
  expect(parseMoment("since", "2h", 10_000_000)).toBe(10_000_000 - 7_200_000);
  expect(parseMoment("since", "2026-03-01T12:00:00Z")).toBe(Date.UTC(2026, 2, 1, 12));
  expect(parseMoment("since", "2026-03-01")).toBe(new Date(2026, 2, 1).getTime());
  for (const text of ["", "2026-13-01", "noon", "2x"])
    expect(() => parseMoment("since", text)).toThrow("--since");
});
