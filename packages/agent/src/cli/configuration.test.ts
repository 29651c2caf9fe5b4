import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(realpathSync(tmpdir()), "outpost-cli-"));
  mkdirSync(join(directory, "configurations"));
  chmodSync(join(directory, "configurations"), 0o755);
});

afterEach(() => rmSync(directory, { recursive: true }));

function write(name: string, text: string): string {
  const path = join(directory, "configurations", `${name}.yaml`);
  writeFileSync(path, text, { mode: 0o644 });
  return path;
}

function agent(...args: readonly string[]): {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
} {
  return spawnSync(
    process.execPath,
    [...process.execArgv, main, "configuration", ...args, "--dir", directory],
    {
      encoding: "utf8",
    },
  );
}

test("lists what there is, and what cannot be used", () => {
  write("shop", "description: Deploys of the shop\n");
  write("bad", "usr: x\n");
  const { stdout, status } = agent("list");
  expect(status).toBe(0);
  expect(stdout.split("\n")).toEqual([
    expect.stringMatching(/^bad {6}CANNOT BE USED: .*bad\.yaml:1:1: unknown key "usr"/),
    "default  what every host offers: there is no file",
    "shop     Deploys of the shop",
    "",
  ]);
  const { configurations } = JSON.parse(agent("list", "--output", "json").stdout) as {
    configurations: object[];
  };
  expect(configurations).toHaveLength(3);
});

test("shows one", () => {
  write(
    "shop",
    "operators: [ada]\nenv: { A: secret-value }\nlimits: { memory: 512M, idle: 90s }\nallow: [{ command: /bin/ls, arguments: [{ rest: { pattern: '.*' } }] }]\n",
  );
  const { stdout } = agent("show", "shop");
  expect(stdout).toMatch(/^operators {3}ada$/m);
  expect(stdout).toMatch(/^commands\n {2}\/bin\/ls \/\.\*\/…$/m);
  expect(stdout).toMatch(/^ {2}memory {6}512M\n {2}idle {8}90s$/m);
  expect(stdout).not.toContain("secret-value");
  expect(agent("show", "none")).toMatchObject({
    status: 252,
    stderr: expect.stringContaining("no configuration"),
  });
});

test("checks text, users and programs, and says how limits are enforced", () => {
  write(
    "shop",
    "limits: { openFiles: 64, cpu: 50% }\nallow: [{ command: /no/such/program }]\nuser: no-such-user\n",
  );
  const { stdout, status } = agent("check", "shop");
  expect(status).toBe(1);
  expect(stdout).toContain("problem: there is no user 'no-such-user' on this host");
  expect(stdout).toContain("problem: there is no program /no/such/program");
  expect(stdout).toMatch(/limit openFiles: each process/);
  expect(stdout).toMatch(/cpu.*(control group|not enforced)/);
  write("shop", "allow: [{ command: /bin/ls }]\n");
  expect(agent("check", "shop").status).toBe(0);
  write("shop", "allow: [{ comand: /bin/ls }]\n");
  expect(agent("check")).toMatchObject({
    status: 1,
    stdout: expect.stringMatching(/shop\.yaml:1:11: unknown key "comand"/),
  });
});

test("checks a file that is not there yet", () => {
  const file = join(directory, "new.yaml");
  writeFileSync(file, "shell: bash\n");
  expect(agent("check", file)).toMatchObject({ status: 1, stdout: expect.stringContaining(`${file}:1:8: `) });
  expect(agent("check", join(directory, "none.yaml")).status).toBe(252);
});

test("says that a program could be replaced by others", () => {
  const program = join(directory, "tool");
  writeFileSync(program, "#!/bin/sh\n");
  chmodSync(program, 0o777);
  write("shop", `allow: [{ command: ${program} }]\n`);
  expect(agent("check", "shop").stdout).toContain(`others may replace ${program}`);
});
