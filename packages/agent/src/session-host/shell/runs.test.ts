import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { bash, busybox, needs, type ShellUnderTest, shells, zsh } from "./testing/shells.ts";
import { TestShell, type TestShellOptions } from "./testing/shell.ts";

const open: TestShell[] = [];
afterEach(async () => {
  for (const shell of open.splice(0)) await shell[Symbol.asyncDispose]();
});

async function start(
  shell: ShellUnderTest,
  options: Omit<TestShellOptions, "shell"> = {},
): Promise<TestShell> {
  const started = new TestShell({ shell, ...options });
  open.push(started);
  await started.available();
  return started;
}

/** A loop of the shell itself. busybox leaves one by longjmp from a signal handler, which at times stops it for good in a
 * lock of glibc's malloc (also on Ctrl-C): nothing that we could test. */
const loopsIn = (under: ShellUnderTest): string[] => (under === busybox ? [] : ["while :; do :; done"]);

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe.each(shells)("in $name", (under) => {
  test("stdout, stderr and the exit code come apart and exact", async (context) => {
    needs(context, under);
    const shell = await start(under);
    const { outcome, exit, stdout, stderr } = await shell.run(
      "printf 'a\\000b\\377\\r\\n'; printf 'e\\033[31m' >&2; (exit 7)",
    );
    expect({ outcome, exit }).toEqual({ outcome: "ended", exit: { code: 7 } });
    expect(stdout).toBe("a\0b\u00ff\r\n");
    expect(stderr).toBe("e\u001b[31m");
    expect(shell.started).toEqual([{ pid: shell.process.pid, startTime: expect.any(String) }]);
    // What a person sees: the line, and what it stands for.
    expect(shell.text).toContain("ada: printf");
  });

  test("directory, variables, functions, aliases, options, umask, traps and jobs stay", async (context) => {
    needs(context, under);
    const shell = await start(under);
    const set = await shell.run(
      [
        "cd /usr; v='two  words'; export w=exported; f() { echo \"f:$1\"; }; alias hi='echo alias'",
        "set -o noglob; umask 027; trap 'echo usr1' USR1; sleep 300 & bg=$!",
        ...(under === bash || under === zsh ? ["typeset -A map; map[k]=value; arr=(1 2 3)"] : []),
      ].join("\n"),
    );
    expect(set.exit).toEqual({ code: 0 });
    const seen = await shell.run(
      [
        "pwd; echo \"$v\"; sh -c 'echo $w'; f x; hi; echo *; umask; kill -USR1 $$; kill -0 $bg && echo runs",
        ...(under === bash || under === zsh ? ['echo "${map[k]} ${#arr[@]}"'] : []),
      ].join("\n"),
    );
    expect(seen.stdout.split("\n")).toEqual([
      "/usr",
      "two  words",
      "exported",
      "f:x",
      "alias",
      "*",
      expect.stringMatching(/^0?027$/),
      "usr1",
      "runs",
      ...(under === bash || under === zsh ? ["value 3"] : []),
      "",
    ]);
    // And for whoever enters.
    expect(await shell.line('echo "<$v>"')).toContain("<two  words>");
  });

  test("$? goes in and out", async (context) => {
    needs(context, under);
    const shell = await start(under);
    expect((await shell.run("return 4")).exit).toEqual({ code: 4 });
    expect((await shell.run("echo $?")).stdout).toBe("4\n");
    expect((await shell.run("sh -c 'exit 200'")).exit).toEqual({ code: 200 });
    await shell.available();
    expect(await shell.line("echo it was $?")).toContain("it was 200");
    expect((await shell.run("no-such-command-at-all")).exit).toEqual({ code: 127 });
    expect((await shell.run("true")).exit).toEqual({ code: 0 });
    expect((await shell.run("sh -c 'kill -9 $$'")).exit).toEqual({ code: 137 });
  });

  test("what goes wrong is a failure, on stderr, and the session goes on", async (context) => {
    needs(context, under);
    const shell = await start(under);
    for (const text of [
      "if true; then",
      "echo 'open",
      ")",
      "echo ${nothing:?is missing}; echo on",
      "cd /nowhere",
    ]) {
      const { outcome, exit, stderr } = await shell.run(text);
      expect({ text, outcome }).toEqual({ text, outcome: "ended" });
      expect(exit, text).not.toEqual({ code: 0 });
      expect(exit, text).toBeDefined();
      expect(stderr, text).not.toBe("");
    }
    expect(await shell.run("echo well")).toMatchObject({ exit: { code: 0 }, stdout: "well\n", stderr: "" });
  });

  test("stdin is the job's, else empty", async (context) => {
    needs(context, under);
    const shell = await start(under);
    expect((await shell.run('cat; read x; echo "[$x]"', { stdin: "one\ntwo\n" })).stdout).toBe(
      "one\ntwo\n[]\n",
    );
    expect((await shell.run("read a; read b; echo $b $a", { stdin: "one\ntwo\n" })).stdout).toBe("two one\n");
    expect((await shell.run("cat; echo end")).stdout).toBe("end\n");
  });

  test("what exec does to the descriptors ends with the command", async (context) => {
    needs(context, under);
    const shell = await start(under);
    const file = join(shell.root, "elsewhere");
    const moved = await shell.run(
      `echo before; exec >'${file}' 2>&1 </etc/hostname; echo after; exec 5>'${file}.5'`,
    );
    expect(moved).toMatchObject({ exit: { code: 0 }, stdout: "before\n" });
    expect(readFileSync(file, "utf8")).toBe("after\n");
    expect(await shell.run("echo here; echo err >&2; cat")).toMatchObject({
      stdout: "here\n",
      stderr: "err\n",
    });
    expect(await shell.line("echo there")).toContain("there\n");
    await shell.run("echo kept >&5");
    expect(readFileSync(`${file}.5`, "utf8")).toBe("kept\n");
    expect((await shell.run("exec >&- 2>&-")).outcome).toBe("ended");
    expect(await shell.run("echo again")).toMatchObject({ exit: { code: 0 }, stdout: "again\n" });
  });

  test("a command that is interrupted ends there", async (context) => {
    needs(context, under);
    const shell = await start(under);
    for (const text of ["sleep 300", "x=$(sleep 300)", ...loopsIn(under)]) {
      const { job, directory } = shell.job(`echo begun; ${text}; echo no`);
      const running = shell.follow(job, directory);
      await shell.until("the beginning", () => readFileSync(join(directory, "stdout"), "utf8") === "begun\n");
      // Between fork and exec a signal is nobody's. In the shell's own group nobody can tell that it was lost.
      const begun = (): boolean => shell.programs().some((line) => line.startsWith("sleep"));
      if (text.startsWith("x=")) await shell.until("sleep", begun);
      shell.runs.stop(job, "SIGINT");
      const { outcome, exit, stdout } = await running;
      expect({ text, outcome, stdout }).toEqual({ text, outcome: "ended", stdout: "begun\n" });
      // zsh itself says 2 of a $(…) that was interrupted.
      expect(exit).toEqual({ code: under === zsh && text.startsWith("x=") ? 2 : 130 });
    }
    expect((await shell.run("echo well")).stdout).toBe("well\n");
    expect(isAlive(shell.process.pid)).toBe(true);
  });

  test("a program that handles the interrupt gets one", async (context) => {
    needs(context, under);
    const shell = await start(under);
    const loop = 'i=0; while [ "$i" -lt 15 ]; do sleep 0.1; i=$((i + 1)); done';
    const { job, directory } = shell.job(`sh -c 'trap "echo heard" INT; echo begun; ${loop}; exit 7'`);
    const running = shell.follow(job, directory);
    await shell.until("the beginning", () => readFileSync(join(directory, "stdout"), "utf8") === "begun\n");
    shell.runs.stop(job, "SIGINT");
    expect(await running).toMatchObject({ exit: { code: 7 }, stdout: "begun\nheard\n" });
  });

  test("SIGTERM and SIGKILL end what runs in the foreground, never the shell", async (context) => {
    needs(context, under);
    const shell = await start(under);
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      for (const text of ["sh -c 'trap \"\" INT; echo begun; sleep 300; :'", ...loopsIn(under)]) {
        const { job, directory } = shell.job(text.startsWith("sh") ? text : `echo begun; ${text}`);
        const running = shell.follow(job, directory);
        await shell.until(
          "the beginning",
          () => readFileSync(join(directory, "stdout"), "utf8") === "begun\n",
        );
        shell.runs.stop(job, signal);
        const { exit } = await running;
        const code = text.startsWith("sh") ? (signal === "SIGTERM" ? 143 : 137) : 130;
        expect({ text, signal, exit }).toEqual({ text, signal, exit: { code } });
      }
    }
    expect((await shell.run("echo well")).stdout).toBe("well\n");
  });

  test("exit ends the shell, and with it the run; those that wait never run", async (context) => {
    needs(context, under);
    const shell = await start(under);
    const first = shell.run("echo out; exit 3");
    const second = shell.run("echo never");
    expect(await first).toMatchObject({ outcome: "ended", exit: { code: 3 }, stdout: "out\n" });
    expect(await second).toMatchObject({ outcome: "never", exit: undefined, stdout: "" });
    expect(await shell.ended()).toEqual({ code: 3 });
    expect(await shell.run("echo late")).toMatchObject({
      outcome: "never",
      message: expect.stringContaining("ended"),
    });
  });

  test("a shell that is killed is the run's end", async (context) => {
    needs(context, under);
    const shell = await start(under);
    expect(await shell.run("kill -9 $$")).toMatchObject({ outcome: "ended", exit: { signal: "SIGKILL" } });
  });

  test("set -e ends the shell as it would a person's; set -u and set -x do not disturb", async (context) => {
    needs(context, under);
    const shell = await start(under);
    expect(await shell.run("set -u -x; echo x")).toMatchObject({ exit: { code: 0 }, stdout: "x\n" });
    expect(await shell.run("set +x; echo y")).toMatchObject({ exit: { code: 0 }, stdout: "y\n" });
    expect(await shell.run("echo ${unset_thing}")).toMatchObject({ outcome: "ended", stdout: "" });
    expect(await shell.run("set -e; echo z")).toMatchObject({ exit: { code: 0 }, stdout: "z\n" });
    expect(await shell.run("true; false || echo saved")).toMatchObject({
      exit: { code: 0 },
      stdout: "saved\n",
    });
    expect(await shell.run("sh -c 'exit 6'; echo no")).toMatchObject({ exit: { code: 6 }, stdout: "" });
    expect(await shell.ended()).toEqual({ code: 6 });
  });

  test("a command that unsets PS1, PROMPT_COMMAND and hooks leaves a shell that can be used", async (context) => {
    needs(context, under);
    const shell = await start(under);
    await shell.run("unset PS1 PS2 PS0 PROMPT_COMMAND precmd_functions preexec_functions; IFS=o; echo gone");
    expect((await shell.run("echo well")).stdout).toBe("well\n");
    await shell.run("PS1='mine> '; PROMPT_COMMAND=:");
    await shell.available();
    expect(await shell.line("echo typed")).toMatch(/typed\n[^]*\[web1\] mine> $/);
  });

  test("limits that a command sets do not break the next", async (context) => {
    needs(context, under);
    const shell = await start(under);
    expect((await shell.run("ulimit -n 40; ulimit -c 0; ulimit -n")).stdout).toBe("40\n");
    expect((await shell.run("echo well")).stdout).toBe("well\n");
  });

  test("a program that wants the terminal has it", async (context) => {
    needs(context, under);
    const shell = await start(under);
    const { job, directory } = shell.job(
      'sh -c \'printf "name? " >/dev/tty; read n </dev/tty; echo "hello $n"\'',
    );
    const running = shell.follow(job, directory);
    await shell.until("the question", () => shell.output.includes("name? "));
    expect(shell.prompt.availability).toBe("busy");
    shell.type("bob\r");
    expect(await running).toMatchObject({ exit: { code: 0 }, stdout: "hello bob\n" });
  });

  test("runs are done in order, one at a time; busy=fail says what runs", async (context) => {
    needs(context, under);
    const shell = await start(under);
    const first = shell.run("sleep 0.3; n=1; echo $n");
    const second = shell.run("n=$((n+1)); echo $n");
    const third = shell.run("n=$((n+1)); echo $n");
    expect(shell.runs.jobs).toHaveLength(3);
    await expect(shell.run("echo no", { busy: "fail" })).rejects.toMatchObject({
      code: "busy",
      message: expect.stringContaining(`it runs job ${shell.runs.jobs[0]!}`),
    });
    expect([(await first).stdout, (await second).stdout, (await third).stdout]).toEqual([
      "1\n",
      "2\n",
      "3\n",
    ]);
    expect(shell.runs.jobs).toEqual([]);
    await shell.available();
    expect((await shell.run("echo free", { busy: "fail" })).stdout).toBe("free\n");
  });

  test("a run waits for what somebody runs by hand", async (context) => {
    needs(context, under);
    const shell = await start(under);
    shell.type("sleep 300\r");
    await shell.until("sleep", () => shell.prompt.availability === "busy");
    await expect(shell.run("echo no", { busy: "fail" })).rejects.toMatchObject({ code: "busy" });
    const waiting = shell.run("echo turn");
    await shell.until("sleep in the foreground", () => shell.foreground().startsWith("sleep"));
    shell.type("\u0003");
    expect((await waiting).stdout).toBe("turn\n");
  });

  test("a half-typed line keeps runs waiting while its viewer is there, and is given up when not", async (context) => {
    needs(context, under);
    const shell = await start(under);
    shell.controlled = true;
    shell.type("touch made-by-nobody");
    await expect(shell.run("echo no", { busy: "fail" })).rejects.toMatchObject({
      code: "busy",
      message: expect.stringContaining("somebody is typing"),
    });
    const waiting = shell.run("echo turn");
    await shell.until("the echo", () => shell.output.includes("made-by-nobody"));
    expect(shell.prompt.halfTyped).toBe(true);
    expect(shell.started).toHaveLength(0);
    shell.controlled = false;
    expect(await waiting).toMatchObject({ exit: { code: 0 }, stdout: "turn\n" });
    expect(existsSync(join(shell.home, "made-by-nobody"))).toBe(false);
  });

  test("so is an unfinished command on a continuation line", async (context) => {
    needs(context, under);
    const shell = await start(under);
    shell.type("for i in 1 2; do\r");
    await shell.until("PS2", () => shell.marks.at(-1)?.kind === "continuation");
    expect(shell.prompt.halfTyped).toBe(true);
    expect(await shell.run("echo turn")).toMatchObject({ exit: { code: 0 }, stdout: "turn\n" });
  });

  test("one that waits can be taken out", async (context) => {
    needs(context, under);
    const shell = await start(under);
    const first = shell.job("sleep 300");
    const second = shell.job("echo no");
    const running = shell.follow(first.job, first.directory);
    const waiting = shell.follow(second.job, second.directory);
    await shell.until("sleep", () => shell.foreground().startsWith("sleep"));
    shell.runs.stop(second.job, "SIGTERM");
    expect(await waiting).toMatchObject({ outcome: "never", message: expect.stringContaining("stopped") });
    shell.runs.stop(first.job, "SIGINT");
    expect((await running).exit).toEqual({ code: 130 });
    // Asked again it is the same answer.
    expect((await shell.follow(second.job, second.directory)).outcome).toBe("never");
  });

  test("whoever asks again joins the run; one that has ended is answered at once", async (context) => {
    needs(context, under);
    const shell = await start(under);
    const { job, directory } = shell.job("n=x$n; echo $n; sleep 0.3");
    const gone = new AbortController();
    const first = shell.runs.run({ job, directory, busy: "wait" }, () => gone.abort(), gone.signal);
    await expect(first).rejects.toMatchObject({ code: "cancelled" });
    const again = await shell.follow(job, directory, "fail");
    expect(again).toMatchObject({ outcome: "ended", exit: { code: 0 }, stdout: "x\n" });
    expect(shell.started).toHaveLength(1);
    expect(await shell.follow(job, directory, "fail")).toMatchObject({ outcome: "ended", stdout: "x\n" });
    await shell.run("kill -9 $$");
    expect(await shell.follow(job, directory, "fail")).toMatchObject({ outcome: "ended", stdout: "x\n" });
  });

  test("much output goes to its file, not to the terminal", async (context) => {
    needs(context, under);
    const shell = await start(under);
    const { job, directory } = shell.job(
      "head -c 67108864 /dev/zero | tee /dev/stderr | tail -c 5; echo end",
    );
    const { exit, stdout } = await shell
      .follow(job, directory)
      .then(({ exit, stdout }) => ({ exit, stdout }));
    expect(exit).toEqual({ code: 0 });
    expect(stdout).toBe("\0\0\0\0\0end\n");
    expect(shell.output.length).toBeLessThan(10_000);
  });

  test("a line interrupted before it began never ran", async (context) => {
    needs(context, under);
    const shell = await start(under);
    const { job, directory } = shell.job("echo no");
    const write = shell.write.bind(shell);
    shell.write = (text) => write(text.replace(/\r$/, ""));
    const running = shell.follow(job, directory);
    shell.write = write;
    await shell.until("the echo", () => shell.output.includes("session-run"));
    shell.type("\u0003");
    expect(await running).toMatchObject({
      outcome: "never",
      stdout: "",
      message: expect.stringContaining("interrupted"),
    });
    expect((await shell.run("echo well")).stdout).toBe("well\n");
  });
});

test("a shell without integration takes no runs, and says so", async (context) => {
  const fish = { name: "another shell", path: "/bin/cat" };
  needs(context, fish);
  const shell = await start(fish);
  expect(shell.integration).toBe("none");
  await expect(shell.run("echo no")).rejects.toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining("bash, zsh and sh"),
  });
});
