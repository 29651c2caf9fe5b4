/** Sessions under configurations, and as other users: real shells in a real session host, jobs in them by a real job store. */
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  type Command,
  ConfigurationName,
  type JobStatus,
  newSessionId,
  type SessionId,
  type SessionSpec,
  type SessionStatus,
  systemClock,
  UserName,
} from "@outpost/protocol";
import { memoryLink } from "@outpost/protocol/memory";
import { pino } from "pino";
import * as v from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { outputOf, request, type StartOptions, until, untilEnded } from "../testing/job-store.ts";
import { makeUser, needsRoot, openHome, type TestHome, type TestUser } from "../testing/run-as.ts";
import { startHost, type TestHost, TestViewer } from "../testing/session-host.ts";
import { Sessions } from "../sessions/sessions.ts";

const deploy = v.parse(ConfigurationName, "deploy");

let home: TestHome;
let host: TestHost;
let sessions: Sessions;
let user: TestUser;

beforeEach(async (context) => {
  needsRoot(context);
  home = await openHome({
    sessions(paths, configurations) {
      const dial = async (): ReturnType<NonNullable<ConstructorParameters<typeof Sessions>[0]["dial"]>> => {
        const link = memoryLink();
        host.host.serve(link.sockets[1]);
        return link.sockets[0];
      };
      const log = pino({ level: "silent" });
      return (sessions = new Sessions({ paths, clock: systemClock, log, configurations, dial }));
    },
  });
  host = await startHost({ directory: home.paths.directory });
  user = makeUser();
  home.configure("deploy", `user: ${user.name}\n`);
});

afterEach(async () => {
  if (process.getuid?.() !== 0) return;
  await sessions[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
  user[Symbol.dispose]();
});

function open(
  spec: Partial<SessionSpec> = {},
  operator = "ada",
  session = newSessionId(),
): Promise<SessionStatus> {
  const wanted: SessionSpec = {
    env: {},
    columns: 80,
    rows: 24,
    record: false,
    temporary: false,
    onExit: "end",
    configuration: deploy,
    ...spec,
  };
  return sessions.open({ session, spec: wanted, operator });
}

const busy = "wait" as const;

async function run(session: SessionId, command: Command | string, options: StartOptions = {}): Promise<Ran> {
  const asked = typeof command === "string" ? ({ kind: "shell", text: command } as const) : command;
  const { status } = await home.jobs.start(request(asked, { session: { ids: [session], busy }, ...options }));
  if (status.state === "running") await untilEnded(home.jobs, status.job);
  return { status, ...(await outputOf(home.jobs, status.job)) };
}

interface Ran {
  readonly status: JobStatus;
  readonly stdout: string;
  readonly stderr: string;
}

async function attach(session: SessionId): Promise<TestViewer> {
  return new TestViewer(session).attach(await host.connect());
}

const shells = ["/bin/bash", "/bin/sh", "/usr/bin/zsh"].filter((path) => existsSync(path));

describe.each(shells)("a session of %s as another user", (shell) => {
  test("is that user, and runs commands in his shell, with state, output and exit of their own", async () => {
    const status = await open({ shell });
    expect(status).toMatchObject({
      availability: "available",
      configuration: "deploy",
      user: user.name,
      shell,
    });
    const { session } = status;
    expect((await run(session, "id -un; pwd; echo $HOME")).stdout).toBe(
      `${user.name}\n${user.home}\n${user.home}\n`,
    );
    await run(session, "cd /usr; v='kept'");
    const second = await run(session, "echo $v $PWD; echo err >&2; (exit 7)");
    expect(second).toMatchObject({ stdout: "kept /usr\n", stderr: "err\n", status: { exit: { code: 7 } } });
    const exec = await run(session, { kind: "exec", argv: ["printf", "<%s>", "a b", "$(id)", "'"] });
    expect(exec.stdout).toBe("<a b><$(id)><'>");
  });

  test("runs scripts and takes input", async () => {
    const { session } = await open({ shell });
    const body = Buffer.from("#!/bin/sh\necho $(id -un) $1; cat\n");
    const input = { kind: "inline", bytes: Buffer.from("input") } as const;
    const ran = await run(session, { kind: "script", name: "x", body, args: ["arg"] }, { input });
    expect(ran.stdout).toBe(`${user.name} arg\ninput`);
    const job = request(
      { kind: "exec", argv: ["cat"] },
      {
        session: { ids: [session], busy },
        input: { kind: "stream" },
        inlineWaitMs: 0,
      },
    );
    await home.jobs.start(job);
    const spool = await home.jobs.input(job.job);
    await spool.write(0, Buffer.from("streamed"));
    await spool.end();
    await untilEnded(home.jobs, job.job);
    expect((await outputOf(home.jobs, job.job)).stdout).toBe("streamed");
  });

  test("is entered: a terminal of the user's, with marks, and a shell that is his to the last", async () => {
    const { session } = await open({ shell });
    const viewer = await attach(session);
    viewer.type("tty; stat -c '%U' $(tty); id -u; grep CapEff /proc/self/status; echo done$((1+1))\r");
    await until(() => viewer.text.includes("done2"), viewer.text);
    expect(viewer.text).toContain(`\r\n${user.name}\r\n${String(user.uid)}\r\n`);
    expect(viewer.text).toMatch(/CapEff:\s0000000000000000/);
    viewer.type("exit\r");
    await expect(viewer.result).resolves.toMatchObject({ reason: "ended" });
    expect(existsSync(join(home.paths.handed, "sessions", session))).toBe(false);
  });

  test("holds nothing of the session host's, and cannot get at the agent's directories", async () => {
    await open({ shell });
    const { session } = await open({ shell });
    const links = (await run(session, "ls -l /proc/$$/fd")).stdout
      .split("\n")
      .filter((line) => line.includes("->"));
    const own = / \d+ -> (?:\/dev\/(?:pts\/\d+|tty|null)|pipe:.*)$/;
    const strange = links.filter((line) => !own.test(line) && !line.includes(home.paths.handed));
    expect(strange).toEqual([]);
    // zsh has pipes of its own; none of them is one of the session host's, which is this process.
    const pipes = links.map((line) => /pipe:\[\d+\]/.exec(line)?.[0]).filter((pipe) => pipe !== undefined);
    expect(pipes.filter((pipe) => openHere().includes(pipe))).toEqual([]);
    // Its own terminal and no other session's.
    expect(new Set(links.map((line) => /pts\/\d+/.exec(line)?.[0]).filter(Boolean)).size).toBe(1);
    const { directory } = home.paths;
    const ran = await run(
      session,
      `for d in ${directory} ${directory}/jobs ${directory}/sessions ${directory}/run ${directory}/handed ${directory}/handed/jobs; do ls $d && echo GOT; done; true`,
    );
    expect(ran.stdout).toBe("");
    expect(ran.stderr.match(/ermission denied/g)).toHaveLength(6);
  });

  test("cannot change what is in a handed-over directory, so no link leads elsewhere", async () => {
    const { session } = await open({ shell });
    const text = `d=${home.paths.handed}/jobs/$(ls -l /proc/$$/fd | sed -n 's,.*handed/jobs/\\([^/]*\\)/.*,\\1,p' | sort -u | head -1)
      for f in exit stdout stderr command session-run; do
        ls -ld $d/$f >/dev/null && echo there
        rm -f $d/$f 2>/dev/null && echo GOT; mv $d/$f $d/x 2>/dev/null && echo GOT
        ln -sf /etc/passwd $d/$f 2>/dev/null && echo GOT
      done; ln -s /etc d2 && rm d2; touch $d/new 2>/dev/null && echo GOT; mkdir $d/new 2>/dev/null && echo GOT; true`;
    const { stdout, status } = await run(session, text);
    expect(stdout).toBe("there\n".repeat(5));
    expect(status).toMatchObject({ state: "completed", exit: { code: 0 } });
    expect(readdirSync(join(home.paths.handed, "jobs"))).toEqual([]);
  });
});

test("what is handed over is only as open as it has to be", async () => {
  const { session } = await open({ shell: "/bin/bash" });
  const mode = (path: string): string => {
    const found = statSync(path);
    return `${(found.mode & 0o777).toString(8)} ${String(found.uid)}`;
  };
  const { handed, directory, jobs } = home.paths;
  expect([handed, join(handed, "sessions"), join(handed, "sessions", session)].map(mode)).toEqual(
    Array(3).fill("711 0"),
  );
  for (const name of readdirSync(join(handed, "sessions", session)))
    expect(mode(join(handed, "sessions", session, name)), name).toBe(`400 ${String(user.uid)}`);
  expect(mode(directory)).toBe("711 0");
  expect(mode(jobs)).toBe("700 0");
  expect(mode(home.paths.sessions)).toBe("700 0");
});

test("an exit record that another user writes is bounded, and is his word only for his own job", async () => {
  const { session } = await open({ shell: "/bin/bash" });
  const { status } = await run(
    session,
    `f=$(readlink /proc/$$/fd/1 | sed 's,stdout$,exit,'); head -c 3000000 /dev/zero | tr '\\0' x >$f; exec 1<>$f; true`,
  );
  expect(["lost", "completed", "failed"]).toContain(status.state);
  expect((await run(session, "echo lives on")).stdout).toBe("lives on\n");
});

test("keystrokes that a program pushes into its terminal reach its own user's shell only", async () => {
  const { session } = await open({ shell: "/bin/bash" });
  const viewer = await attach(session);
  // TIOCSTI by perl, where there is one: as if `id -un` had been typed.
  viewer.type(
    `perl -e 'for (split //, "id -un >$ENV{HOME}/who\\n") { ioctl(STDIN, 0x5412, $_) }' 2>/dev/null; echo pushed$((1+1))\r`,
  );
  await until(() => viewer.text.includes("pushed2"), viewer.text);
  const who = join(user.home, "who");
  viewer.type("\r");
  await run(session, "true");
  if (existsSync(who)) expect(readFileSync(who, "utf8")).toBe(`${user.name}\n`);
  expect(existsSync("/root/who")).toBe(false);
});

describe("a configuration's session", () => {
  test("has its variables, which nobody overrides, and takes those that it accepts", async () => {
    home.configure("deploy", `user: ${user.name}\nenv: { KEY: "it's" }\nacceptEnv: [MORE]\ncwd: /usr\n`);
    const { session } = await open({ env: { MORE: "more" } });
    expect((await run(session, "echo $KEY $MORE $PWD")).stdout).toBe("it's more /usr\n");
    await expect(open({ env: { KEY: "x" } })).rejects.toMatchObject({ code: "denied" });
    await expect(open({ env: { LESS: "x" } })).rejects.toMatchObject({ code: "denied" });
  });

  test("runs its command in place of a shell, and no command of ours", async () => {
    home.configure(
      "deploy",
      `user: ${user.name}\ncommand: [/bin/sh, -c, 'id -un; read line; echo "got $line"']\n`,
    );
    const { session, integration } = await open();
    expect(integration).toBe("none");
    const viewer = await attach(session);
    viewer.type("something; id\r");
    await expect(viewer.result).resolves.toMatchObject({ reason: "ended" });
    expect(viewer.text).toContain("got something; id\r\n");
    await expect(
      home.jobs.start(request({ kind: "shell", text: "id" }, { configuration: deploy })),
    ).rejects.toMatchObject({ code: "denied" });
    const other = await open();
    await expect(run(other.session, "id")).rejects.toMatchObject({ code: "invalid_argument" });
  });

  test("is refused with a shell of the operator's, under an allow-list, for others, and as others", async () => {
    home.configure("deploy", "shell: /bin/bash\n");
    await expect(open({ shell: "/bin/sh" })).rejects.toMatchObject({ code: "denied" });
    home.configure("deploy", "allow: [{ command: /usr/bin/id }]\n");
    await expect(open()).rejects.toMatchObject({
      code: "denied",
      message: expect.stringContaining("no session"),
    });
    home.configure("deploy", "operators: [ada]\n");
    await expect(open({}, "eve")).rejects.toMatchObject({ code: "denied" });
    await expect(open({ user: v.parse(UserName, user.name) })).rejects.toMatchObject({ code: "denied" });
    await expect(open({ configuration: v.parse(ConfigurationName, "none") })).rejects.toMatchObject({
      code: "not_found",
    });
  });

  test("is controlled, and given commands, only by its operators", async () => {
    home.configure("deploy", "operators: [ada]\n");
    const { session } = await open();
    const agent = await host.connect();
    const eve = { operator: "eve" };
    await expect(new TestViewer(session, eve).attach(agent)).rejects.toMatchObject({ code: "denied" });
    const watcher = await new TestViewer(session, { ...eve, role: "watch" }).attach(agent);
    const role = { session, viewer: watcher.id, role: "control" as const };
    await expect(agent.peer.request("session.role", role)).rejects.toMatchObject({ code: "denied" });
    const asked = {
      ...request({ kind: "shell", text: "id" }, { session: { ids: [session], busy } }),
      ...eve,
    };
    await expect(home.jobs.start(asked)).rejects.toMatchObject({ code: "denied" });
  });

  test("lasts no longer than it may, and is idle no longer", async () => {
    home.configure("deploy", "limits: { time: 300ms, idle: 1h }\n");
    const { session, idleTimeoutMs } = await open();
    expect(idleTimeoutMs).toBe(3_600_000);
    const ended = (): boolean => sessions.find([session])?.state === "closed";
    await until(ended, "the end");
    expect(sessions.find([session])?.reason).toMatchObject({ code: "time_limit" });
    home.configure("deploy", "limits: { idle: 1h }\n");
    await expect(open({ idleTimeoutMs: 3_600_001 })).rejects.toMatchObject({ code: "limit_exceeded" });
    const other = await open({ idleTimeoutMs: 1_000_000 });
    const asked = { session: other.session, operator: "ada", idleTimeoutMs: 3_600_001 };
    await expect(sessions.disconnect(asked)).rejects.toMatchObject({ code: "limit_exceeded" });
  });

  test("is one of so many", async () => {
    home.configure("deploy", "limits: { sessions: 1 }\n");
    const { session } = await open();
    await expect(open()).rejects.toMatchObject({ code: "limit_exceeded" });
    await sessions.remove({ session, operator: "ada" });
    await open();
  });

  test("keeps no more output than it may", async () => {
    home.configure("deploy", "limits: { output: 64K }\n");
    const { session } = await open({ shell: "/bin/sh" });
    const viewer = await attach(session);
    viewer.type("head -c 1000000 /dev/zero | tr '\\0' x; echo end$((1+1))\r");
    viewer.leave();
    await until(() => (sessions.find([session])?.output.written ?? 0) > 1_000_000, "the output");
    expect(sessions.find([session])!.output.unread).toBeLessThan(200_000);
  });

  test("has the limits that this host can enforce", async () => {
    home.configure("deploy", `user: ${user.name}\nlimits: { openFiles: 77, processes: 500 }\n`);
    const { session } = await open();
    expect((await run(session, "ulimit -n")).stdout).toBe("77\n");
  });
});

/** What this process has open. */
function openHere(): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // The one that read the directory.
    }
  });
}
