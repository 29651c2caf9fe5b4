import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Command, ConfigurationName, newJobId, UserName } from "@outpost/protocol";
import * as v from "valibot";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { hostPlatform } from "../platform/index.ts";
import {
  background,
  exec,
  outputOf,
  request,
  shell,
  statusOf,
  until,
  untilEnded,
} from "../testing/job-store.ts";
import { makeGroup, makeUser, needsRoot, openHome, type TestHome, type TestUser } from "../testing/run-as.ts";

const deployConfiguration = v.parse(ConfigurationName, "deploy");
const under = { configuration: deployConfiguration };

let home: TestHome;
let user: TestUser;

beforeAll(() => {
  process.umask(0o022);
});

beforeEach(async (context) => {
  needsRoot(context);
  home = await openHome();
  user = makeUser();
  home.configure("deploy", `user: ${user.name}\n`);
});

afterEach(async () => {
  // Nothing was made where the test was skipped.
  if (process.getuid?.() !== 0) return;
  await home[Symbol.asyncDispose]();
  user[Symbol.dispose]();
});

async function say(text: string, options: Parameters<typeof shell>[2] = under): Promise<string> {
  const { status } = await shell(home.jobs, text, options);
  const { stdout, stderr } = await outputOf(home.jobs, status.job);
  return stdout + stderr;
}

describe("a job that runs as another user", () => {
  test("is that user, with his groups, and nothing of root", async () => {
    expect(await say("id -u; id -g; id -G")).toBe(
      `${String(user.uid)}\n${String(user.gid)}\n${String(user.gid)}\n`,
    );
    const status = await say("grep -E '^(Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapAmb)' /proc/self/status");
    const uid = String(user.uid);
    const none = "0000000000000000";
    expect(status).toContain(`Uid:\t${uid}\t${uid}\t${uid}\t${uid}`);
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapAmb"]) expect(status).toContain(`${set}:\t${none}`);
  });

  test("has the supplementary groups that the configuration says, or none", async () => {
    using group = makeGroup();
    using member = makeUser(group.name);
    home.configure("deploy", `user: ${member.name}\n`);
    expect(await say("id -Gn")).toBe(`${member.name} ${group.name}\n`);
    home.configure("deploy", `user: ${member.name}\ngroups: []\n`);
    expect(await say("id -Gn")).toBe(`${member.name}\n`);
    home.configure("deploy", `user: ${user.name}\ngroups: [${group.name}]\n`);
    expect(await say("id -Gn")).toBe(`${user.name} ${group.name}\n`);
  });

  test("has the user's environment, and no more", async () => {
    const variables = (await say("env")).trim().split("\n").toSorted();
    const names = variables.map((line) => line.split("=")[0]);
    const expected = [
      "HOME",
      "LANG",
      "LOGNAME",
      "OUTPOST_HOST",
      "OUTPOST_JOB",
      "PATH",
      "PWD",
      "SHELL",
      "USER",
    ];
    // The shell that the text runs in is called by its own name there.
    expect(names.filter((name) => name !== "_")).toEqual(expected);
    expect(variables).toContain(`HOME=${user.home}`);
    expect(variables).toContain(`PWD=${user.home}`);
    expect(variables).toContain("SHELL=/bin/bash");
  });

  test("gets variables of any content", async () => {
    const env = { ONE: "'it''s'\n$(id) `id` \\", TWO: "", THREE: "=ä=" };
    const { status } = await exec(home.jobs, ["/usr/bin/env", "-0"], { ...under, env });
    const { stdout } = await outputOf(home.jobs, status.job);
    for (const [name, value] of Object.entries(env)) expect(stdout.split("\0")).toContain(`${name}=${value}`);
  });

  test("takes no code for root from variables", async () => {
    const evil = join(user.home, "evil");
    const env = {
      LD_PRELOAD: "/nonexistent/evil.so",
      ENV: evil,
      PS4: `$(touch ${evil})`,
      SHELLOPTSX: "xtrace",
    };
    const { status } = await shell(home.jobs, "true", { ...under, env });
    const { stderr } = await outputOf(home.jobs, status.job);
    // The loader complains once for each program that it is loaded into: the job's shell, and none before it.
    expect(stderr.match(/evil\.so/g)).toHaveLength(1);
    expect(existsSync(evil)).toBe(false);
    for (const name of ["BASH_FUNC_exec%%", "BASH_ENV", "SHELLOPTS", "UID", "with.dot", "IFS"]) {
      const asked = shell(home.jobs, "true", { ...under, env: { [name]: "() { touch /tmp/evil; }" } });
      await expect(asked, name).rejects.toMatchObject({ code: "denied" });
    }
  });

  test("has no descriptor but its streams, and no terminal", async () => {
    // What `ls` reads the directory by is its own; what a careless parent left to us is replaced by nothing.
    const links = (await say("ls -l /proc/self/fd")).split("\n").filter((line) => line.includes("->"));
    const others = links
      .map((line) => line.replace(/^.* (\d+) -> /, "$1 "))
      .filter((line) => !/^[012] /.test(line));
    expect(others.filter((line) => !/^3 \/proc\/\d+\/fd$|^\d+ \/dev\/null$/.test(line))).toEqual([]);
    expect(await say("(: </dev/tty) 2>/dev/null || echo none")).toBe("none\n");
    expect(await say("ps -o tty= -p $$")).toMatch(/^\?\s*$/);
  });

  test("can open its streams by name", async () => {
    const bytes = Buffer.from("input");
    const input = { kind: "inline", bytes } as const;
    const { status } = await shell(home.jobs, "cat /dev/stdin >/dev/stdout; echo err >/dev/stderr", {
      ...under,
      input,
    });
    expect(await outputOf(home.jobs, status.job)).toEqual({ stdout: "input", stderr: "err\n" });
  });

  test("runs a script that nobody else may read, and that goes with the job", async () => {
    using other = makeUser();
    home.configure("other", `user: ${other.name}\n`);
    const body = Buffer.from('#!/bin/sh\necho "$0 $1"; stat -c \'%a %U\' "$0" "${0%/*}"; sleep 60\n');
    const command: Command = { kind: "script", name: "deploy.sh", body, args: ["now"] };
    const { status } = await home.jobs.start(request(command, { ...under, inlineWaitMs: 0 }));
    const script = join(home.paths.handed, "jobs", status.job, "script/deploy.sh");
    await until(
      () => readFileSync(join(home.paths.jobs, status.job, "stdout"), "utf8").split("\n").length > 3,
    );
    const expected = `${script} now\n500 ${user.name}\n711 root\n`;
    expect((await readRunning(status.job)).stdout).toBe(expected);
    const configuration = v.parse(ConfigurationName, "other");
    expect(await say(`cat ${script}; ls ${home.paths.handed}`, { configuration })).toMatch(
      /Permission denied[^]*Permission denied/,
    );
    await home.jobs.stop({ job: status.job, operator: "ada", graceMs: 0 });
    await untilEnded(home.jobs, status.job);
    expect(existsSync(script)).toBe(false);
  });

  test("cannot get at what is the agent's", async () => {
    writeFileSync(join(home.paths.directory, "agent.json"), "secret", { mode: 0o644 });
    // A script opens the way to what is handed over, and only to that.
    const body = Buffer.from(
      "#!/bin/sh\nexec 2>&1; d=$1; j=$d/jobs/$OUTPOST_JOB\nfor f in $d $d/jobs $j $d/handed $d/handed/jobs; do ls $f && echo GOT; done\nfor f in $d/agent.json $j/spec.json $j/exit; do cat $f && echo GOT; done\nfor f in $d/x $j/x $j/exit $d/handed/jobs/$OUTPOST_JOB/x; do touch $f && echo GOT; done\nln -s /etc/passwd ${0%/*}/link && echo GOT\nrm -f $0 && echo GOT; mv $0 ${0}x && echo GOT; true\n",
    );
    const command: Command = { kind: "script", name: "look", body, args: [home.paths.directory] };
    const { status } = await home.jobs.start(request(command, under));
    const { stdout } = await outputOf(home.jobs, status.job);
    expect(stdout).not.toContain("GOT");
    expect(stdout.split("\n").filter((line) => /denied|not permitted/.test(line)).length).toBeGreaterThan(12);
  });

  test("cannot end, trace or look into its wrapper, nor write how it ended", async () => {
    const text = `w=$(ps -o ppid= -p $$ | tr -d ' ')
      ps -o user= -p $w
      for s in TERM KILL STOP; do kill -$s $w 2>/dev/null && echo GOT; done
      ls /proc/$w/fd >/dev/null 2>&1 && echo GOT
      (echo "exit 0" >/proc/$w/fd/2) 2>/dev/null && echo GOT
      cat /proc/$w/environ >/dev/null 2>&1 && echo GOT
      cat /proc/$w/mem 2>/dev/null && echo GOT
      kill -KILL 0`;
    const { status } = await shell(home.jobs, text, under);
    expect(status).toMatchObject({ state: "failed", exit: { signal: "SIGKILL" } });
    expect((await outputOf(home.jobs, status.job)).stdout).toBe("root\n");
  });

  test("enters no directory that its user may not", async () => {
    const { status } = await shell(home.jobs, "pwd; ls", { ...under, cwd: home.paths.jobs });
    const { stderr, stdout } = await outputOf(home.jobs, status.job);
    expect(status).toMatchObject({ state: "failed", exit: { code: 126 } });
    expect(stdout).toBe("");
    expect(stderr).toContain("cd");
    expect(await say("pwd", { ...under, cwd: "/usr/bin" })).toBe("/usr/bin\n");
  });

  test("is stopped with all that it has begun, as any other", async () => {
    const job = await background(home.jobs, "setsid sleep 61 & sleep 62 & sleep 63", under);
    const ours = (): number[] =>
      hostPlatform()
        .processes()
        .filter(({ pid }) => hostPlatform().environment(pid).includes(`OUTPOST_JOB=${job}`))
        .map(({ pid }) => pid)
        .filter((pid) => hostPlatform().commandLine(pid).startsWith("sleep"));
    await until(() => ours().length === 3, "three processes");
    await home.jobs.stop({ job, operator: "ada", graceMs: 5_000 });
    expect(await untilEnded(home.jobs, job)).toMatchObject({ state: "stopped", exit: { signal: "SIGTERM" } });
    expect(ours()).toEqual([]);
  });

  test("is adopted by the next agent", async () => {
    const job = await background(home.jobs, "mkfifo go; echo begun; read -r word <go; echo $word", under);
    await until(() => statSync(join(home.paths.jobs, job, "stdout")).size > 0);
    await home.reopen();
    expect(statusOf(home.jobs, job).state).toBe("running");
    await say("echo went >go");
    expect(await untilEnded(home.jobs, job)).toMatchObject({ state: "completed" });
    expect((await outputOf(home.jobs, job)).stdout).toBe("begun\nwent\n");
  });

  test("says that there is no such program, or none that the user may run", async () => {
    const missing = await exec(home.jobs, ["no-such-program"], under);
    expect(missing.status).toMatchObject({ state: "failed", reason: { code: "start_failed" } });
    const path = await exec(home.jobs, ["/no/such/program"], under);
    expect(path.status).toMatchObject({ state: "failed", exit: { code: 127 } });
  });

  test("gets streamed input", async () => {
    const job = newJobId();
    const input = { kind: "stream" } as const;
    await home.jobs.start(
      request({ kind: "exec", argv: ["cat"] }, { ...under, job, input, inlineWaitMs: 0 }),
    );
    const spool = await home.jobs.input(job);
    await spool.write(0, Buffer.from("streamed"));
    await spool.end();
    await untilEnded(home.jobs, job);
    expect((await outputOf(home.jobs, job)).stdout).toBe("streamed");
  });
});

describe("who it may be", () => {
  const as = (name: string, configuration = under.configuration): object => ({
    configuration,
    user: v.parse(UserName, name),
  });

  test("is the configuration's user, and nobody else but who is listed", async () => {
    using other = makeUser();
    expect(await say("id -un", as(user.name))).toBe(`${user.name}\n`);
    for (const name of ["root", other.name, "nobody"])
      await expect(shell(home.jobs, "id", as(name)), name).rejects.toMatchObject({ code: "denied" });
    home.configure("deploy", `user: ${user.name}\nusers: ["outpost-*"]\n`);
    expect(await say("id -un", as(other.name))).toBe(`${other.name}\n`);
  });

  test("is root only where root is named", async () => {
    home.configure("deploy", `user: ${user.name}\nusers: ["*"]\n`);
    await expect(shell(home.jobs, "id", as("root"))).rejects.toMatchObject({ code: "denied" });
    home.configure("deploy", `user: ${user.name}\nusers: [root]\n`);
    expect(await say("id -un", as("root"))).toBe("root\n");
  });

  test("is nobody but the agent's user under the default", async () => {
    const asked = shell(home.jobs, "id", { user: v.parse(UserName, user.name) });
    await expect(asked).rejects.toMatchObject({ code: "denied" });
    expect(await say("id -un", {})).toBe("root\n");
  });

  test("is said when there is no such user", async () => {
    home.configure("deploy", "user: no-such-user\n");
    await expect(shell(home.jobs, "id", under)).rejects.toMatchObject({ code: "start_failed" });
    expect(readdirSync(home.paths.jobs)).not.toContain("spec.json");
  });
});

async function readRunning(job: Parameters<typeof statusOf>[1]): Promise<{ stdout: string }> {
  return { stdout: readFileSync(join(home.paths.jobs, job, "stdout"), "utf8") };
}
