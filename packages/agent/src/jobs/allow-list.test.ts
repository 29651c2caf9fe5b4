/** Escapes from an allow-list: each of these fails without the defence that it is named after. */
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Command, ConfigurationName, type JobStatus } from "@outpost/protocol";
import * as v from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { outputOf, request, type StartOptions } from "../testing/job-store.ts";
import { openHome, type TestHome } from "../testing/run-as.ts";

const configuration = v.parse(ConfigurationName, "tools");

let home: TestHome;
/** Where the allowed programs are. */
let folder: string;
/** What an attack that works would make. */
let evil: string;

beforeEach(async () => {
  home = await openHome();
  folder = mkdtempSync(join(realpathSync(tmpdir()), "outpost-tools-"));
  evil = join(folder, "evil");
  program("show", 'for a in "$@"; do printf "<%s>" "$a"; done; pwd');
  program("other", `touch ${evil}`);
  program("look", "env");
  home.configure(
    "tools",
    `cwd: /usr
allow:
  - command: ${folder}/show
    arguments:
      - oneOf: [status, restart]
      - pattern: "[^/]*"
      - rest: { pattern: ".*" }
  - command: ${folder}/look
`,
  );
});

afterEach(async () => {
  await home[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

function program(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

async function start(
  command: Command,
  options: StartOptions = {},
): Promise<{ status: JobStatus; stdout: string }> {
  const { status } = await home.jobs.start(request(command, { configuration, ...options }));
  return { status, stdout: (await outputOf(home.jobs, status.job)).stdout };
}

const exec = (argv: string[], options?: StartOptions): ReturnType<typeof start> =>
  start({ kind: "exec", argv }, options);

async function expectDenied(asked: Promise<unknown>, why: RegExp): Promise<void> {
  const before = home.jobs.list().length;
  await expect(asked).rejects.toMatchObject({ code: "denied", message: expect.stringMatching(why) });
  expect(home.jobs.list()).toHaveLength(before);
  expect(existsSync(evil)).toBe(false);
}

describe("an allowed command", () => {
  test("runs by its name and by its path, in the directory of the configuration", async () => {
    expect((await exec(["show", "status", "a"])).stdout).toBe("<status><a>/usr\n");
    expect((await exec([join(folder, "show"), "restart", "a", "b c"])).stdout).toBe(
      "<restart><a><b c>/usr\n",
    );
  });

  test.each([
    ["; touch evil", "a;touch evil"],
    ["$()", "$(touch evil)"],
    ["backticks", "`touch evil`"],
    ["a glob", "*"],
    ["a newline", "a\ntouch evil\n"],
    ["quotes", "'\"'; touch evil; '\""],
    ["a pipe", "a | touch evil"],
    ["a redirection", ">evil"],
    ["a variable", "$HOME ${IFS}"],
  ])("takes %s as a part of its argument", async (_, text) => {
    const { status, stdout } = await exec(["show", "status", text]);
    expect(stdout).toBe(`<status><${text}>/usr\n`);
    expect(status.state).toBe("completed");
    expect(existsSync(evil)).toBe(false);
  });
});

describe("what is refused", () => {
  test.each([
    ["an option where a value is expected", ["show", "status", "--config=evil"]],
    ["a lone dash", ["show", "status", "-"]],
    ["the end of options", ["show", "status", "--"]],
    ["an option among the rest", ["show", "status", "a", "-x"]],
    ["an argument too few", ["show", "status"]],
    ["another word", ["show", "stop", "a"]],
    ["a word that is longer", ["show", "status\n", "a"]],
    ["a word that only begins so", ["show", "status restart", "a"]],
    ["an argument where none is allowed", ["look", "-i"]],
  ])("%s", async (_, argv) => {
    await expectDenied(exec(argv), /these arguments/);
  });

  test("a pattern does not match in a part only", async () => {
    await expectDenied(exec(["show", "status", "a/b"]), /these arguments/);
    await expectDenied(exec(["show", "status", "a\n/b"]), /these arguments/);
  });

  test("other names, and other ways to write a path", async () => {
    symlinkSync(join(folder, "show"), join(folder, "link"));
    const tricks = [
      "other",
      "./show",
      "../show",
      `${folder}/./show`,
      `${folder}//show`,
      `${folder}/x/../show`,
    ];
    const paths = [
      `${folder}/other`,
      `${folder}/link`,
      `/proc/self/root${folder}/show`,
      "",
      "/",
      "show/",
      "..",
    ];
    for (const name of [...tricks, ...paths])
      await expectDenied(exec([name, "status", "a"]), /none of the commands/);
  });

  test("a program that a link leads to, when the link is what is allowed", async () => {
    const link = join(folder, "allowed");
    symlinkSync(join(folder, "look"), link);
    home.configure("tools", `allow: [{ command: ${link} }]\n`);
    expect((await exec([link])).status.state).toBe("completed");
    await expectDenied(exec([join(folder, "look")]), /none of the commands/);
  });

  test("shell text, scripts, and sessions", async () => {
    await expectDenied(start({ kind: "shell", text: `${folder}/show status a` }), /shell text/);
    const script: Command = {
      kind: "script",
      name: "show",
      body: Buffer.from("#!/bin/sh\n"),
      args: ["status", "a"],
    };
    await expectDenied(start(script), /a script could be any/);
  });

  test("another working directory", async () => {
    await expectDenied(exec(["show", "status", "a"], { cwd: folder }), /working directory of its own/);
    expect((await exec(["show", "status", "a"], { cwd: "/usr" })).status.state).toBe("completed");
  });

  test("variables, all of them unless they are accepted", async () => {
    await expectDenied(exec(["look"], { env: { HARMLESS: "1" } }), /HARMLESS/);
  });

  test.each([
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "PATH",
    "IFS",
    "ENV",
    "BASH_ENV",
    "BASH_FUNC_look%%",
    "SHELLOPTS",
    "PS4",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "NODE_OPTIONS",
    "PERL5OPT",
    "RUBYOPT",
    "JAVA_TOOL_OPTIONS",
    "GIT_SSH_COMMAND",
    "EDITOR",
    "PAGER",
    "LESSOPEN",
    "HOME",
    "GCONV_PATH",
    "DBUS_SYSTEM_BUS_ADDRESS",
  ])("%s, whatever is accepted", async (name) => {
    home.configure("tools", `acceptEnv: ["*"]\nallow: [{ command: ${folder}/look }]\n`);
    await expectDenied(exec(["look"], { env: { [name]: evil } }), /variable/);
    const secrets = { salt: Buffer.alloc(32), env: { [name]: evil }, files: {} };
    const command: Command = { kind: "exec", argv: ["look"] };
    await expectDenied(home.jobs.start({ ...request(command, { configuration }), secrets }), /variable/);
    const files = { ...secrets, env: {}, files: { [name]: Buffer.from("evil") } };
    await expectDenied(
      home.jobs.start({ ...request(command, { configuration }), secrets: files }),
      /variable/,
    );
  });

  test("an argument that a regular expression would look at for ever", async () => {
    home.configure("tools", `allow: [{ command: ${folder}/show, arguments: [{ pattern: "(a+)+b" }] }]\n`);
    const begun = performance.now();
    await expectDenied(exec(["show", "a".repeat(60)]), /these arguments/);
    expect(performance.now() - begun).toBeLessThan(2_000);
  });
});

test("accepted variables reach the command, and nobody searches a PATH of the operator's", async () => {
  home.configure("tools", `acceptEnv: ["VERSION*"]\nallow: [{ command: ${folder}/look }]\n`);
  const { stdout } = await exec(["look"], { env: { VERSION: "7" } });
  expect(stdout).toContain("VERSION=7\n");
  const other = mkdtempSync(join(realpathSync(tmpdir()), "outpost-path-"));
  writeFileSync(join(other, "look"), `#!/bin/sh\ntouch ${evil}\n`, { mode: 0o755 });
  await expect(exec(["look"], { env: { PATH: other } })).rejects.toMatchObject({ code: "denied" });
  expect(existsSync(evil)).toBe(false);
  rmSync(other, { recursive: true });
});
