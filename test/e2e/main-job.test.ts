/** The command lines, typed for real: a controller and three agents as processes, the CLI as a process. */
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { JobId } from "@outpost/protocol";
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Playground, type RunOptions, type RunResult } from "../kit/playground.ts";
import { eventually } from "../kit/wait.ts";

let playground: Playground;
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "outpost-e2e-"));
  playground = await Playground.create({
    joinArguments: (host) => ["--label", host === "web3" ? "role=db" : "role=web"],
  });
}, 60_000);

afterAll(async () => {
  await playground?.[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true, force: true });
});

function outpost(...args: string[]): Promise<RunResult> {
  return playground.outpost(args);
}

function outpostWith(options: RunOptions, ...args: string[]): Promise<RunResult> {
  return playground.outpost(args, options);
}

async function startJob(...args: string[]): Promise<string> {
  const result = await outpost("job", "start", "--output", "json", ...args);
  expect(result.stderr).toBe("");
  return (JSON.parse(result.stdout.toString()) as { job: string }).job;
}

function jobDirectories(host: string): Promise<string[]> {
  return readdir(join(playground.agentDirectory(host), "jobs")).then((names) =>
    names.filter((name) => v.is(JobId, name)),
  );
}

describe("hosts", () => {
  test("host list shows names, states and labels", async () => {
    const { stdout, exitCode } = await outpost("host", "list");
    expect(exitCode).toBe(0);
    expect(stdout.toString()).toMatch(/web1\s+connected\s.*role=web/);
    const json = JSON.parse(
      (await outpost("host", "list", "role=db", "--output", "json")).stdout.toString(),
    ) as { hosts: { name: string }[] };
    expect(json.hosts.map(({ name }) => name)).toEqual(["web3"]);
  });

  test("a host that does not exist is an error that names it", async () => {
    const { exitCode, stderr } = await outpost("invoke", "web1,wbe2", "--", "true");
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain("wbe2");
  });
});

describe("invoke", () => {
  test("prefixes lines by host when there are several, and not when there is one", async () => {
    const several = await outpost("invoke", "web1,web2", "-c", "echo $OUTPOST_HOST");
    expect(several.stdout.toString().split("\n").toSorted()).toEqual(["", "web1: web1", "web2: web2"]);
    const one = await outpost("invoke", "web1", "-c", "echo $OUTPOST_HOST");
    expect(one.stdout.toString()).toBe("web1\n");
  });

  test("runs an argument vector without a shell", async () => {
    const { stdout } = await outpost(
      "invoke",
      "web1",
      "--",
      "printf",
      "%s|",
      "$HOME",
      "a b",
      ";",
      "`id`",
      "--help",
    );
    expect(stdout.toString()).toBe("$HOME|a b|;|`id`|--help|");
  });

  test("keeps stdout, stderr and the exit code apart and exact", async () => {
    const { stdout, stderr, exitCode } = await outpost(
      "invoke",
      "web1",
      "-c",
      "printf 'a\\0b\\377'; echo oops >&2; exit 7",
    );
    expect([...stdout]).toEqual([97, 0, 98, 255]);
    expect(stderr).toContain("oops");
    expect(exitCode).toBe(7);
  });

  test("the highest exit code of the hosts is the exit code", async () => {
    const { exitCode } = await outpost("invoke", "web1,web2,web3", "-c", "exit ${OUTPOST_HOST#web}");
    expect(exitCode).toBe(3);
  });

  test("runs a local script by its own #! line, with arguments", async () => {
    const script = join(scratch, "collect.py");
    await writeFile(script, `#!/usr/bin/env -S sh -e\necho "$0" | sed 's|.*/||'; echo "$1"\n`);
    const { stdout } = await outpost("invoke", "role=web", "--script", script, "--", "arg 1");
    expect(stdout.toString().split("\n").toSorted()).toEqual([
      "",
      "web1: arg 1",
      "web1: collect.py",
      "web2: arg 1",
      "web2: collect.py",
    ]);
  });

  test("feeds standard input, short and long, to every host", async () => {
    const short = await outpostWith({ input: "one\ntwo\n" }, "invoke", "web1", "--stdin", "--", "wc", "-l");
    expect(short.stdout.toString().trim()).toBe("2");
    const long = await outpostWith(
      { input: Buffer.alloc(5_000_000, "x") },
      "invoke",
      "web1,web2",
      "--stdin",
      "--",
      "wc",
      "-c",
    );
    expect(long.stdout.toString().split("\n").toSorted()).toEqual(["", "web1: 5000000", "web2: 5000000"]);
  });

  test("--env, --cwd and --timeout reach the host", async () => {
    const { stdout } = await outpost(
      "invoke",
      "web1",
      "--env",
      "A=b c",
      "--cwd",
      "/usr",
      "-c",
      "echo $A; pwd",
    );
    expect(stdout.toString()).toBe("b c\n/usr\n");
    const late = await outpost("invoke", "web1", "--timeout", "300ms", "--", "sleep", "60");
    expect(late.exitCode).toBe(124);
    expect(late.stderr).toMatch(/timed out/);
  });

  test("a program that is not there says so, and a shell line in one argument suggests -c", async () => {
    const missing = await outpost("invoke", "web1", "--", "no-such-program");
    expect(missing.stderr).toContain("no-such-program");
    expect(missing.exitCode).not.toBe(0);
    const line = await outpost("invoke", "web1", "--", "ls -l /");
    expect(line.stderr).toContain("-c");
  });

  test("a signal is not an exit code", async () => {
    const json = await outpost("invoke", "web1", "--output", "json", "-c", "kill -9 $$");
    expect(json.exitCode).toBe(137);
    expect(json.stdout.toString()).toContain("SIGKILL");
    const plain = await outpost("invoke", "web1", "--output", "json", "-c", "exit 137");
    expect(plain.exitCode).toBe(137);
    expect(plain.stdout.toString()).not.toContain("SIGKILL");
  });

  test("50 MB of output arrive exactly", async () => {
    const { stdout } = await outpost("invoke", "web1", "-c", "head -c 50000000 /dev/zero | tr '\\0' x");
    expect(stdout.length).toBe(50_000_000);
    expect(stdout.every((byte) => byte === 120)).toBe(true);
  });

  test("ndjson tells plan, start, out, exit and summary, in this order for each host", async () => {
    const { stdout } = await outpost(
      "invoke",
      "web1",
      "--output",
      "ndjson",
      "-c",
      "echo hi; printf '\\377' >&2",
    );
    const events = stdout
      .toString()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const types = events.map(({ type }) => type);
    expect(types[0]).toBe("plan");
    expect(types.at(-2)).toBe("exit");
    expect(types.at(-1)).toBe("summary");
    expect(events.find(({ stream }) => stream === "stdout")).toMatchObject({
      type: "out",
      host: "web1",
      offset: 0,
      text: "hi\n",
    });
    expect(events.find(({ stream }) => stream === "stderr")).toMatchObject({ base64: "/w==" });
  });

  test("leaves nothing on the hosts once everything was shown", async () => {
    await outpost("invoke", "web2", "--", "true");
    await eventually(async () => (await jobDirectories("web2")).length === 0, {
      what: "an empty job store on web2",
    });
  });
});

describe("jobs", () => {
  test("start returns at once; receive drains, --keep does not, --follow waits for the end", async () => {
    const go = join(scratch, "go");
    const job = await startJob(
      "web1",
      "-c",
      `echo first; while [ ! -e ${go} ]; do sleep 0.05; done; echo last`,
    );
    const kept = await eventually(async () => {
      const result = await outpost("job", "receive", job, "--keep");
      return result.stdout.toString() === "first\n" && result;
    });
    expect(kept.stderr).toMatch(/still running/);
    expect((await outpost("job", "receive", job)).stdout.toString()).toBe("first\n");
    expect((await outpost("job", "receive", job)).stdout.toString()).toBe("");
    await writeFile(go, "");
    const rest = await outpost("job", "receive", job, "--follow");
    expect(rest.stdout.toString()).toBe("last\n");
    expect(rest.exitCode).toBe(0);
    expect((await outpost("job", "show", job)).stdout.toString()).toMatch(/completed/);
  });

  test("an ended job's output waits for its receive, stream by stream", async () => {
    const job = await startJob("web1,web2", "--name", "both", "-c", "echo out; echo err >&2; exit 4");
    await outpost("job", "wait", job);
    const errors = await outpost("job", "receive", "both", "--stream", "stderr", "--host", "web1");
    expect(errors.stdout.toString()).toBe("");
    expect(errors.stderr).toContain("err");
    const rest = await outpost("job", "receive", job);
    expect(rest.stdout.toString().split("\n").toSorted()).toEqual(["", "web1: out", "web2: out"]);
    expect(rest.stderr).toContain("web2: err");
    expect(rest.stderr).not.toContain("web1: err");
    expect(rest.exitCode).toBe(4);
    await eventually(async () => !(await jobDirectories("web1")).includes(job), {
      what: "the host to forget what was received",
    });
  });

  test("--as-job: the controller collects, and serves it when the host is gone", async () => {
    const result = await outpost(
      "invoke",
      "web3",
      "--as-job",
      "--output",
      "json",
      "-c",
      "echo collected; echo E >&2",
    );
    const { job } = JSON.parse(result.stdout.toString()) as { job: string };
    await outpost("job", "wait", job);
    await eventually(async () => !(await jobDirectories("web3")).includes(job), {
      what: "the controller to have collected",
    });
    await playground.agent("web3").signal("SIGKILL");
    const received = await outpost("job", "receive", job);
    expect(received.stdout.toString()).toBe("collected\n");
    playground.agent("web3").start();
    await playground.connected(["web3"]);
  });

  test("wait --timeout exits 124, --any returns with the first", async () => {
    const job = await startJob("web1,web2", "-c", '[ "$OUTPOST_HOST" = web1 ] || sleep 60');
    expect((await outpost("job", "wait", job, "--timeout", "200ms")).exitCode).toBe(124);
    expect((await outpost("job", "wait", job, "--any", "--timeout", "20s")).exitCode).toBe(0);
    expect((await outpost("job", "stop", job)).exitCode).toBe(0);
    await outpost("job", "wait", job, "--timeout", "20s");
    const show = await outpost("job", "show", job);
    expect(show.stdout.toString()).toMatch(/web2.*stopped/);
  });

  test("stop ends the whole tree, remove forgets", async () => {
    const mark = `mark-${String(process.pid)}-${String(Date.now())}`;
    const job = await startJob(
      "web1",
      "-c",
      `sh -c 'exec sleep 600' ${mark} & (trap '' TERM; setsid sleep 601; :) & sleep 602`,
    );
    await eventually(async () => (await outpost("job", "show", job)).stdout.toString().includes("running"));
    expect((await outpost("job", "remove", job)).exitCode).not.toBe(0);
    expect((await outpost("job", "remove", job, "--force")).exitCode).toBe(0);
    await eventually(async () => !(await jobDirectories("web1")).includes(job));
    const processes = await outpost(
      "invoke",
      "web1",
      "-c",
      `for p in /proc/[0-9]*; do tr '\\0' '\\n' <$p/environ 2>/dev/null | grep -x OUTPOST_JOB=${job}; done; true`,
    );
    expect(processes.stdout.toString()).toBe("");
    expect((await outpost("job", "show", job)).exitCode).not.toBe(0);
  });

  test("timestamps restore when and in which order stdout and stderr were written", async () => {
    const job = await startJob("web1", "-c", "echo 1; sleep 0.3; echo 2 >&2; sleep 0.3; echo 3");
    await outpost("job", "wait", job);
    const { stdout } = await outpost("job", "receive", job, "--timestamps", "--output", "ndjson");
    const events = stdout
      .toString()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string; text?: string; time?: unknown });
    const out = events.filter(({ type }) => type === "out");
    expect(out.map(({ text }) => text)).toEqual(["1\n", "2\n", "3\n"]);
    const times = out.map(({ time }) => new Date(time as string).getTime());
    expect(times[1]! - times[0]!).toBeGreaterThan(200);
    expect(times[2]! - times[1]!).toBeGreaterThan(200);
  });

  test("an unreachable host is said to be so, with its own exit code, and the others run", async () => {
    await playground.agent("web2").signal("SIGKILL");
    await eventually(async () =>
      (await outpost("host", "list", "web2")).stdout.toString().includes("disconnected"),
    );
    const result = await outpost("invoke", "web1,web2", "-c", "echo here");
    expect(result.stdout.toString()).toBe("web1: here\n");
    expect(result.stderr).toMatch(/web2.*unreachable|unreachable.*web2/);
    expect(result.exitCode).toBe(254);
    playground.agent("web2").start();
    await playground.connected(["web2"]);
  });

  test("a CLI killed without a word leaves its job running and listed, its output unread", async () => {
    const go = join(scratch, "go-killed");
    const abort = new AbortController();
    const gone = playground
      .outpost(["invoke", "web1", "-c", `echo begun; while [ ! -e ${go} ]; do sleep 0.05; done; echo done`], {
        signal: abort.signal,
      })
      .catch(() => undefined);
    const job = await eventually(async () => {
      const { fanouts } = JSON.parse(
        (await outpost("job", "list", "--output", "json", "--state", "running")).stdout.toString(),
      ) as { fanouts: { job: string; command: string }[] };
      return fanouts.find(({ command }) => command.includes("go-killed"))?.job;
    });
    abort.abort();
    await gone;
    await writeFile(go, "");
    await outpost("job", "wait", job, "--timeout", "20s");
    const { stdout } = await outpost("job", "receive", job, "--from-start");
    expect(stdout.toString()).toBe("begun\ndone\n");
  });
});

describe("usage", () => {
  test.each([
    ["invoke"],
    ["host", "list"],
    ["job", "start"],
    ["job", "list"],
    ["job", "show"],
    ["job", "receive"],
    ["job", "wait"],
    ["job", "stop"],
    ["job", "remove"],
    ["token", "create"],
    ["controller", "init"],
    ["controller", "start"],
    ["completion"],
  ])("%j has help with an example", async (...command) => {
    const { stdout, exitCode } = await outpost(...command, "--help");
    expect(exitCode).toBe(0);
    expect(stdout.toString()).toMatch(/Examples?:/);
  });

  test("a typo in a command or an option is a usage error", async () => {
    expect((await outpost("invok", "web1")).exitCode).toBe(251);
    expect((await outpost("job", "list", "--stat", "running")).exitCode).toBe(251);
  });
});
