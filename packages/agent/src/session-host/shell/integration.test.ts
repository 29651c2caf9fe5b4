import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { bash, busybox, dash, needs, type ShellUnderTest, shells, zsh } from "./testing/shells.ts";
import { TestShell, type TestShellOptions } from "./testing/shell.ts";

const open: TestShell[] = [];
afterEach(async () => {
  for (const shell of open.splice(0)) await shell[Symbol.asyncDispose]();
});

function begin(shell: ShellUnderTest, options: Omit<TestShellOptions, "shell"> = {}): TestShell {
  const started = new TestShell({ shell, ...options });
  open.push(started);
  return started;
}

async function start(...args: Parameters<typeof begin>): Promise<TestShell> {
  const shell = begin(...args);
  await shell.available();
  return shell;
}

/** The kinds of the marks since `from`, with the status of those that have one. */
const story = (shell: TestShell, from = 0): string =>
  shell.marks
    .slice(from)
    .map((mark) => ("status" in mark ? `${mark.kind}=${String(mark.status)}` : mark.kind))
    .join(" ");

describe.each(shells)("any shell: $name", (under) => {
  test("the prompt names the host, and marks tell of every command", async (context) => {
    needs(context, under);
    const shell = await start(under);
    expect(shell.text).toMatch(/\[web1\] [^\n]*$/);
    const from = shell.marks.length;
    await shell.line("(exit 3)");
    await shell.line("");
    const command = under === bash || under === zsh ? "command " : "";
    expect(story(shell, from)).toBe(`${command}done=3 prompt input done=3 prompt input`);
  });

  test("Ctrl-C at the prompt gives up the line", async (context) => {
    needs(context, under);
    const shell = await start(under);
    const from = shell.marks.length;
    shell.type("half a line");
    await shell.until("the echo", () => shell.output.includes("half a line"));
    expect(shell.prompt.halfTyped).toBe(true);
    shell.type("\u0003");
    await shell.until("a new prompt", () => shell.marks.slice(from).some(({ kind }) => kind === "input"));
    expect(shell.prompt.halfTyped).toBe(false);
    expect(shell.prompt.mayHoldText).toBe(false);
  });

  test("Ctrl-C in the user's start-up files leaves a shell with marks", async (context) => {
    needs(context, under);
    const profile = "echo starting; sleep 300; echo never\n";
    const shell = begin(under, {
      home: { ".profile": profile, ".bash_profile": profile, ".zprofile": profile },
    });
    await shell.until("the profile", () => shell.programs().some((line) => line.startsWith("sleep")));
    expect(shell.prompt.isStarting).toBe(true);
    shell.type("\u0003");
    await shell.available();
    expect((await shell.run("echo well")).stdout).toBe("well\n");
  });

  test("exit ends the session; or leaves it, at the prompt only", async (context) => {
    needs(context, under);
    const ending = await start(under);
    ending.type("exit 5\r");
    expect(await ending.ended()).toEqual({ code: 5 });

    const leaving = await start(under, { onExit: "leave" });
    await leaving.line("n=1");
    await leaving.line("exit");
    expect(story(leaving)).toContain("leave");
    const count = leaving.marks.filter(({ kind }) => kind === "leave").length;
    expect(count).toBe(1);
    expect(await leaving.line("echo n=$n; (exit 4); echo $?")).toContain("n=1\n4\n");
    expect(await leaving.line('x=$(exit 7; echo no); echo "<$?$x>"')).toContain("<7>\n");
    expect(leaving.marks.filter(({ kind }) => kind === "leave")).toHaveLength(1);
    expect(await leaving.run("exit 6")).toMatchObject({ outcome: "ended", exit: { code: 6 } });
    expect(await leaving.ended()).toEqual({ code: 6 });
  });

  test("the session's environment is what was asked for, with nothing of ours exported", async (context) => {
    needs(context, under);
    const shell = await start(under, { env: { ENV: "/some/env", MINE: "yes" } });
    const { stdout } = await shell.run("env");
    const names = stdout.split("\n").map((line) => line.split("=")[0]!);
    expect(names).toEqual(expect.arrayContaining(["HOME", "MINE", "PATH", "TERM"]));
    expect(names.filter((name) => /outpost|ZDOTDIR|POSIXLY|HISTFILE|PS1|PROMPT/i.test(name))).toEqual([]);
    expect(stdout).toContain("ENV=/some/env\n");
  });

  test("another shell inside says nothing", async (context) => {
    needs(context, under);
    const shell = await start(under);
    await shell.line("export PS1");
    shell.type("/bin/sh -i\r");
    await shell.until("the other shell", () => shell.foregroundGroup() !== shell.process.pid);
    shell.type("echo in''side\r");
    await shell.until("its answer", () => shell.output.includes("inside\r\n"));
    expect(shell.prompt.availability).toBe("busy");
    shell.type("exit\r");
    await shell.available();
  });

  test("PS1 that is set in the session keeps its marks", async (context) => {
    needs(context, under);
    const shell = await start(under);
    if (under === bash || under === zsh) {
      expect(await shell.line("PS1='mine> '")).toMatch(/\n\[web1\] mine> $/);
      expect(await shell.line("PS1='two> '; PS2='more> '")).toMatch(/\n\[web1\] two> $/);
    } else {
      // These shells have no hook. The next run puts the marks back.
      shell.type("PS1='mine> '\r");
      await shell.until("the new prompt", () => shell.text.endsWith("\nmine> "));
      await shell.until("the state", () => shell.prompt.availability === "available");
      expect((await shell.run("echo well")).stdout).toBe("well\n");
      await shell.until("the marks", () => shell.text.endsWith("[web1] mine> "));
    }
    // As Python's activate scripts do.
    expect(await shell.line('PS1="(venv) $PS1"')).toMatch(
      /\n\[web1\] \(venv\) (two|mine)> $|\(venv\) \[web1\] mine> $/,
    );
    expect((await shell.run("echo well")).stdout).toBe("well\n");
    await shell.until("one prefix", () => /\n\[web1\] \(venv\) (two|mine)> $/.test(shell.text));
  });

  test("lines typed ahead are run in their order, runs behind them", async (context) => {
    needs(context, under);
    const shell = await start(under);
    shell.type("sleep 0.2; n=1\rn=${n}2\rn=${n}3\r");
    expect((await shell.run("echo $n")).stdout).toBe("123\n");
  });
});

describe("bash", () => {
  const home = { ".bashrc": "echo bashrc-read\n", ".profile": "echo profile-read\n" };

  test("starts as a login shell", async (context) => {
    needs(context, bash);
    const first = await start(bash, {
      home: { ...home, ".bash_profile": "echo bash_profile-read\nPS1='> '\n" },
    });
    expect(first.text).toBe("bash_profile-read\n[web1] > ");
    expect(
      await first.line("shopt login_shell; set -o | grep posix; shopt inherit_errexit; echo $HISTFILE"),
    ).toMatch(
      new RegExp(
        `login_shell\\s+on\\nposix\\s+off\\ninherit_errexit\\s+off\\n${first.home}/.bash_history\\n`,
      ),
    );
    const second = await start(bash, {
      home: { ...home, ".bash_login": "echo bash_login-read\n. ~/.bashrc\n" },
    });
    expect(second.text).toMatch(/^bash_login-read\nbashrc-read\n\[web1\] /);
    const third = await start(bash, { home });
    expect(third.text).toMatch(/^profile-read\n\[web1\] /);
    third.type("exit\r");
    await third.ended();
  });

  test("logging out reads ~/.bash_logout and saves the history, without our lines", async (context) => {
    needs(context, bash);
    for (const control of ["", "HISTCONTROL=ignoreboth\n", "HISTIGNORE='[ ]*'\n", "set +o history\n"]) {
      const shell = await start(bash, {
        home: { ".bash_profile": control, ".bash_logout": "echo logout-read\n" },
      });
      await shell.line("echo mine");
      await shell.run("echo ours");
      await shell.available();
      expect(await shell.line("history 5")).not.toContain("session-run");
      shell.type("exit\r");
      await shell.ended();
      expect(shell.text).toContain("logout-read");
      if (control.includes("+o")) continue;
      expect(readFileSync(join(shell.home, ".bash_history"), "utf8")).toBe("echo mine\nhistory 5\nexit\n");
    }
  });

  test("PROMPT_COMMAND sees $? and $_, string or array, whoever sets it and when", async (context) => {
    needs(context, bash);
    const profile = `PROMPT_COMMAND='echo "<$?:$_>"'\nPS1='> '\n`;
    const shell = await start(bash, { home: { ".bash_profile": profile } });
    expect(await shell.line("(exit 3) # x")).toMatch(/<3:[^>]*>\n\[web1\] > $/);
    expect(await shell.line("true a b")).toContain("<0:b>\n");
    expect(await shell.line("echo $_")).toContain("\nb\n");
    expect(await shell.line(`PROMPT_COMMAND=('echo "[$?"' 'echo "$?]"'); (exit 4)`)).toMatch(/\[4\n4\]\n/);
    expect(await shell.line("(exit 5)")).toMatch(/\[5\n5\]\n\[web1\] > $/);
    expect(await shell.line(`PROMPT_COMMAND+=('PS1="late> "')`)).toContain("0]");
    expect(await shell.line("")).toMatch(/\[web1\] late> $/);
    expect(story(shell).endsWith("done=0 prompt input")).toBe(true);
    expect(await shell.line("unset PROMPT_COMMAND")).toMatch(/\[web1\] late> $/);
    expect(await shell.line("PS1='plain> '")).toMatch(/\[web1\] plain> $/);
    expect(await shell.line("unset PS0 PS1 PS2")).toMatch(/\[web1\] $/);
    expect(await shell.line("(exit 6)")).toMatch(/\[web1\] $/);
    expect(story(shell).endsWith("command done=6 prompt input")).toBe(true);
  });

  test("a prompt that is made anew each time, as starship does, keeps marks and prefix", async (context) => {
    needs(context, bash);
    const profile = `
starship_precmd() { local s=$?; PS1="\\n$((n += 1)):$s\\n> "; }
PROMPT_COMMAND="starship_precmd\${PROMPT_COMMAND:+;$PROMPT_COMMAND}"
start=0; PS0='(\${start:$((start = 7)):0})'\n`;
    const shell = await start(bash, { home: { ".bash_profile": profile } });
    expect(await shell.line("(exit 2)")).toMatch(/\(\)\n\[web1\] 2:2\n> $/);
    expect(await shell.line("echo $start")).toMatch(/\n\(\)7\n\n\[web1\] 3:0\n> $/);
  });

  test("user's traps, set -u, set -e, set -x and shopt go on working", async (context) => {
    needs(context, bash);
    const profile = "set -u\ntrap 'echo err' ERR\ntrap 'echo usr' USR1\nPS1='> '\n";
    const shell = await start(bash, { home: { ".bash_profile": profile } });
    expect(shell.text).toBe("[web1] > ");
    expect(await shell.line("true")).toBe("true\n[web1] > ");
    expect(await shell.line("kill -USR1 $$")).toContain("usr\n[web1] > ");
    expect(await shell.line("sh -c 'exit 3'")).toBe("sh -c 'exit 3'\nerr\n[web1] > ");
    // One line for PROMPT_COMMAND, as everybody's hooks have; bash-preexec needs to find the very command there.
    expect(await shell.line("set -x")).toBe("set -x\n++ __outpost_prompt\n[web1] > ");
    expect(await shell.line("echo a")).toBe("echo a\n+ echo a\na\n++ __outpost_prompt\n[web1] > ");
    await shell.line("set +x; trap - ERR; shopt -u promptvars; shopt -s nocasematch; IFS=0a");
    expect(await shell.line("PS1='{$HOME}> '")).toMatch(/\[web1\] \{\$HOME\}> $/);
    expect(await shell.line("! true")).toMatch(/\[web1\] \{\$HOME\}> $/);
    await shell.line("set -e");
    expect(await shell.line("false || (true; exit 0)")).toMatch(/\[web1\] [^\n]*> $/);
    shell.type("sh -c 'exit 9'\r");
    expect(await shell.ended()).toEqual({ code: 9 });
  });

  test("a DEBUG trap sees one command of ours at most, and the user's as they are", async (context) => {
    needs(context, bash);
    const profile = `trap 'seen+=("$BASH_COMMAND")' DEBUG\nPS1='> '\n`;
    const shell = await start(bash, { home: { ".bash_profile": profile } });
    await shell.line("seen=()");
    await shell.line("true one");
    const shown = await shell.line('printf "{%s}" "${seen[@]}"');
    expect(shown.replaceAll("{__outpost_prompt}", "")).toContain('\n{true one}{printf "{%s}" "${seen[@]}"}');
  });

  test("editing modes, what a terminal answers, and redrawing", async (context) => {
    needs(context, bash);
    const shell = await start(bash);
    await shell.line("set -o vi");
    shell.type("\u001b[I\u001b[5;1R\u001b[?62;c");
    expect(shell.prompt.halfTyped).toBe(false);
    shell.type("echo abc");
    shell.type("\u001b");
    await shell.until("the echo", () => shell.output.includes("echo abc"));
    expect(await shell.run("echo turn")).toMatchObject({ exit: { code: 0 }, stdout: "turn\n" });
    await shell.available();
    await shell.line("set -o emacs");
    shell.type("abc");
    const from = shell.marks.length;
    shell.type("\u000c");
    await shell.until("the prompt again", () => shell.marks.slice(from).some(({ kind }) => kind === "input"));
    expect(shell.prompt.halfTyped).toBe(true);
    shell.type("\u007f\u007f\u007f");
    expect(shell.prompt.halfTyped).toBe(false);
  });

  test("a user's alias for . and history expansion do not matter to runs", async (context) => {
    needs(context, bash);
    const shell = await start(bash);
    await shell.line("alias .='echo wrong'; alias printf='echo wrong'; shopt -s xpg_echo");
    const { stdout, exit } = await shell.run("echo 'a!b'; (exit 3)");
    expect({ stdout, exit }).toEqual({ stdout: "a!b\n", exit: { code: 3 } });
  });

  test.each([403, 500])("as version %s, without what came later", async (version) => {
    const shell = await start(bash, {
      home: { ".bash_profile": `PROMPT_COMMAND='echo "<$?:$_>"'\nPS1='> '\n` },
      prepared: (directory) => {
        const file = join(directory, "integration");
        const text = readFileSync(file, "utf8");
        const forced = text.replace(/^__outpost_version=.*/, `__outpost_version=${String(version)}`);
        expect(forced).not.toBe(text);
        writeFileSync(file, forced);
      },
    });
    expect(shell.text).toMatch(/<0:[^>]*>\n\[web1\] > $/);
    const from = shell.marks.length;
    expect(await shell.line("(exit 3)")).toMatch(/<3:[^>]*>\n\[web1\] > $/);
    expect(await shell.line("true a b")).toContain("<0:b>\n");
    expect(await shell.line("PS1='new> '")).toMatch(/\[web1\] new> $/);
    expect(story(shell, from)).toContain("done=3 prompt input");
    expect(await shell.run("cd /usr; return 4")).toMatchObject({ exit: { code: 4 } });
    await shell.available();
    expect(await shell.line("pwd")).toContain("/usr\n");
    await shell.run("unset PROMPT_COMMAND PS1 PS0; :");
    expect(await shell.line("echo x")).toMatch(/x\n\[web1\] $/);
    await shell.line("set -e");
    expect(await shell.line("true")).toMatch(/\[web1\] $/);
  });
});

describe("zsh", () => {
  test("starts as a login shell, with the user's own ZDOTDIR", async (context) => {
    needs(context, zsh);
    const say = (name: string): string => `print -r -- "${name} \${ZDOTDIR-unset}"\n`;
    const files = [".zshenv", ".zprofile", ".zshrc", ".zlogin"];
    const home = Object.fromEntries(files.map((name) => [name, say(name)]));
    const first = await start(zsh, { home: { ...home, ".zlogout": "echo logout-read\n" } });
    expect(first.text.startsWith(files.map((name) => `${name} unset\n`).join(""))).toBe(true);
    expect(await first.line("[[ -o login ]] && echo login $SHLVL")).toContain("login 1\n");
    first.type("exit\r");
    await first.ended();
    expect(first.text).toContain("logout-read");

    const second = begin(zsh, { home: { ".zshenv": say("wrong") }, env: { ZDOTDIR: "/tmp/outpost-none" } });
    await second.available();
    expect(second.text).not.toContain("wrong");
    expect(await second.line("echo $ZDOTDIR")).toContain("/tmp/outpost-none\n");
  });

  test("a user without files is not asked questions", async (context) => {
    needs(context, zsh);
    const shell = await start(zsh, { env: { ZDOTDIR: "/nowhere" } });
    expect((await shell.run("echo well")).stdout).toBe("well\n");
  });

  test("hooks see $? and $_; a prompt made anew each time keeps marks and prefix", async (context) => {
    needs(context, zsh);
    const rc = `
precmd() { print -r -- "<$?:$_>" }
theme() { local s=$?; PS1=$'\\n'"$((++n)):$s"$'\\n> ' }
preexec() { print -r -- "{$1}" }
precmd_functions+=(theme)
unsetopt prompt_sp
`;
    const shell = await start(zsh, { home: { ".zshrc": rc } });
    expect(await shell.line("(exit 3)")).toMatch(/\{\(exit 3\)\}\n<3:[^>]*>\n\n\[web1\] 2:3\n> $/);
    expect(await shell.line("true a b")).toMatch(/\{true a b\}\n<0:b>\n/);
    expect(await shell.line("echo $?:$_")).toContain("0:b\n");
    expect(await shell.line("late() { PS1='late> ' }; precmd_functions+=(late)")).toContain("> ");
    expect(await shell.line("")).toMatch(/\[web1\] late> $/);
    expect(await shell.line("unset precmd_functions")).toContain("> ");
    expect(await shell.line("true")).toMatch(/\[web1\] late> $/);
    await shell.line("unset preexec_functions");
    await shell.line("true");
    const from = shell.marks.length;
    await shell.line("(exit 6)");
    expect(story(shell, from)).toBe("command done=6 prompt input");
  });

  test("options, set -u, set -e, set -x and traps go on working", async (context) => {
    needs(context, zsh);
    const rc =
      "setopt ksh_arrays sh_word_split no_unset prompt_subst extended_glob\nunsetopt prompt_sp\nPS1='> '\n";
    const shell = await start(zsh, { home: { ".zshrc": rc } });
    expect(await shell.line("a=(x y); echo ${a[0]}; trap 'echo usr' USR1; kill -USR1 $$")).toMatch(
      /x\nusr\n\[web1\] > $/,
    );
    expect(await shell.line("setopt xtrace")).not.toMatch(/outpost_(mark|hook)/);
    expect(await shell.line("echo a")).not.toMatch(/outpost_(mark|hook)/);
    await shell.line("unsetopt xtrace");
    expect((await shell.run("echo ${a[1]}; setopt no_clobber")).stdout).toBe("y\n");
    expect((await shell.run("echo well")).stdout).toBe("well\n");
    await shell.line("setopt err_exit");
    expect(await shell.line("false || true")).toMatch(/\[web1\] > $/);
    shell.type("sh -c 'exit 9'\r");
    expect(await shell.ended()).toEqual({ code: 9 });
  });

  test("our lines are not in the history; an unfinished one does not matter, in any editing mode", async (context) => {
    needs(context, zsh);
    const shell = await start(zsh, { home: { ".zshrc": "HISTSIZE=100\nunsetopt prompt_sp\n" } });
    await shell.line("echo mine");
    await shell.run("echo ours");
    await shell.available();
    expect(await shell.line("fc -l")).not.toContain("session-run");
    await shell.line("bindkey -v");
    shell.type("echo abc\u001bhh");
    await shell.until("the echo", () => shell.output.includes("abc"));
    expect(await shell.run("echo turn")).toMatchObject({ exit: { code: 0 }, stdout: "turn\n" });
  });
});

describe("sh", () => {
  test.each([dash, busybox])("$name reads /etc/profile, ~/.profile and the user's $ENV", async (under) => {
    const home = {
      ".profile": "echo profile-read; ENV='$HOME/my shrc'; export ENV\n",
      "my shrc": "echo env-read; PS1='> '\n",
    };
    const shell = await start(under, { home });
    expect(shell.text).toMatch(/(^|\n)profile-read\nenv-read\n\[web1\] > $/);
    expect(await shell.line("set -u; true")).toMatch(/\n\[web1\] > $/);
    expect(await shell.line("echo $ENV")).toContain("/my shrc\n");
  });
});

test.for(shells)(
  "in $name outpost-agent is found behind everything else, whatever the start-up files do",
  async (under, context) => {
    needs(context, under);
    const path = "PATH=/usr/bin:/bin\n";
    const home = { ".bash_profile": path, ".profile": path, ".zshrc": path };
    const shell = await start(under, { home, env: { OUTPOST_AGENT_DIR: "/agent" } });
    expect((await shell.run("echo $PATH; PATH=/bin")).stdout).toBe("/usr/bin:/bin:/agent/run/bin\n");
    expect((await shell.run("echo $PATH")).stdout).toBe("/bin\n");
  },
);

test("the shell's files are the user's alone", async (context) => {
  needs(context, dash);
  const shell = await start(dash);
  expect((await shell.run(`stat -c %a '${shell.root}/shell' '${shell.root}/shell/startup'`)).stdout).toBe(
    "700\n600\n",
  );
});
