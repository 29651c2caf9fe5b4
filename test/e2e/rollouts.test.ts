/** Roll-outs, plans, hosts that are offline and jobs that are run again, typed for real. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Playground, type RunResult } from "../kit/playground.ts";
import { TestTerminal } from "../kit/terminal.ts";
import { eventually } from "../kit/wait.ts";

const hosts = ["web1", "web2", "web3", "web4"];
let playground: Playground;

beforeAll(async () => {
  playground = await Playground.create({ hosts });
}, 60_000);

afterAll(async () => {
  await playground?.[Symbol.asyncDispose]();
});

function outpost(...args: string[]): Promise<RunResult> {
  return playground.outpost(args);
}

async function json<T>(...args: string[]): Promise<T> {
  const { stdout, stderr, exitCode } = await outpost(...args, "--output", "json");
  if (exitCode !== 0) throw new Error(`${args.join(" ")}: ${stderr}`);
  return JSON.parse(stdout.toString()) as T;
}

/** What ran where, in the order in which it came. */
function lines({ stdout }: RunResult): string[] {
  return stdout.toString().trimEnd().split("\n");
}

interface Shown {
  readonly fanout: {
    readonly job: string;
    readonly state: string;
    readonly rollout?: {
      readonly state: string;
      readonly stage: number;
      readonly reason?: string;
      readonly check?: string;
    };
  };
  readonly jobs: readonly {
    readonly host: string;
    readonly queued?: string;
    readonly status: { readonly state: string };
  }[];
}

/** Waits until the roll-out is in that state and stage. */
async function reaches(job: string, state: string, stage: number): Promise<Shown> {
  return eventually(
    async () => {
      const shown = await json<Shown>("job", "show", job);
      return shown.fanout.rollout?.state === state && shown.fanout.rollout.stage === stage
        ? shown
        : undefined;
    },
    { what: `${state} in stage ${String(stage)}`, withinMs: 30_000 },
  );
}

describe("a plan", () => {
  test("shows hosts and stages, for people and programs, and runs nothing", async () => {
    const args = [
      "invoke",
      "web*",
      "--plan",
      "--canary",
      "1",
      "--batch",
      "2",
      "--check",
      "true",
      "-c",
      "touch no",
    ];
    const text = await outpost(...args);
    expect(text.exitCode).toBe(0);
    expect(text.stdout.toString()).toMatch(/^hosts +4: web\[1-4\]\noffline +none\n/);
    expect(text.stdout.toString()).toMatch(/stage 1 +1: web1\nstage 2 +2: web\[2-3\]\nstage 3 +1: web4\n/);
    const { stages } = await json<{ stages: { hosts: string[] }[] }>(...args);
    expect(stages.map((stage) => stage.hosts)).toEqual([["web1"], ["web2", "web3"], ["web4"]]);
    const { fanouts } = await json<{ fanouts: unknown[] }>("job", "list");
    expect(fanouts).toEqual([]);
  });

  test("of a random order is what happens with the same seed", async () => {
    const order = ["--batch", "1", "--order", "random:7"];
    const { hosts: planned } = await json<{ hosts: { host: string }[] }>(
      "invoke",
      "web*",
      "--plan",
      ...order,
      "-c",
      "true",
    );
    const run = await outpost("invoke", "web*", ...order, "-c", "echo x");
    expect(lines(run)).toEqual(planned.map(({ host }) => `${host}: x`));
    expect(run.stderr).toContain("outpost: order: random:7\n");
    expect(lines(run)).not.toEqual(hosts.map((host) => `${host}: x`));
  });
});

describe("a roll-out that fails", () => {
  test("stops at its limit, and what is left is run by --rerun", async () => {
    const limits = ["--batch", "1", "--max-failures", "1"];
    const text = "case $OUTPOST_HOST in $BAD) echo bad; exit 3;; esac; echo good";
    const first = await outpost(
      "invoke",
      "web*",
      "--name",
      "limited",
      ...limits,
      "--env",
      "BAD=web[12]",
      "-c",
      text,
    );
    expect(lines(first)).toEqual(["web1: bad", "web2: bad"]);
    expect(first.stderr).toContain("the roll-out was stopped: 2 hosts have failed, and only 1 may");
    expect(first.stderr).toMatch(/2 not begun \(web\[3-4\]\)/);
    expect(first.exitCode).toBe(249);

    const none = await outpost("invoke", "--rerun", "limited", "timed-out,lost");
    expect(none.stderr).toContain("limited is timed-out or lost on no host: there is nothing to run again");
    const again = await outpost("invoke", "--rerun", "limited", "failed", "web1", "--env", "BAD=none");
    expect(again).toMatchObject({ exitCode: 0, stdout: Buffer.from("good\n") });
    const rest = await outpost(
      "invoke",
      "--rerun",
      "limited",
      "failed,not-begun",
      "--",
      "sh",
      "-c",
      "echo $OUTPOST_HOST",
    );
    expect(lines(rest).toSorted()).toEqual(["web1: web1", "web2: web2", "web3: web3", "web4: web4"]);
  });

  test("stops when its check fails, and says where and why", async () => {
    const stages = ["--canary", "1", "--check", "echo sick on $OUTPOST_HOST; exit 7"];
    const run = await outpost("invoke", "web*", "--name", "checked", ...stages, "-c", "echo done");
    expect(lines(run)).toEqual(["web1: done"]);
    expect(run.exitCode).toBe(249);
    const { fanout } = await json<Shown>("job", "show", "checked");
    const check = fanout.rollout!.check!;
    expect(run.stderr).toContain(
      `web1: check failed: exit code 7; what it said: outpost job receive ${check} --keep`,
    );
    expect(run.stderr).toMatch(
      /^outpost: 4 hosts: 1 failed the check \(web1\); 3 not begun \(web\[2-4\]\)\n$/m,
    );
    expect((await outpost("job", "receive", check, "--keep")).stdout.toString()).toContain("sick on web1\n");
    expect((await outpost("job", "show", "checked")).stdout.toString()).toContain(
      "check failed on web1: exit code 7",
    );
    const again = await json<{ hosts: { host: string }[] }>(
      "invoke",
      "--rerun",
      "checked",
      "failed",
      "--plan",
    );
    expect(again.hosts).toMatchObject([{ host: "web1" }]);
  });

  test("on its last host only by its check, is not a success", async () => {
    const run = await outpost("invoke", "web1", "--check", "exit 1", "-c", "true");
    expect(run.exitCode).toBe(249);
  });
});

describe("a roll-out that nobody looks at", () => {
  test("is confirmed, paused, resumed and stopped by its id", async () => {
    const { stdout } = await outpost(
      "job",
      "start",
      "web*",
      "--name",
      "alone",
      "--batch",
      "1",
      "--confirm",
      "-c",
      "echo ran",
    );
    const job = stdout.toString().trim();
    await reaches(job, "paused", 1);
    const picture = (await outpost("job", "show", "alone")).stdout.toString();
    expect(picture).toMatch(
      /roll-out +stage 1 of 4, 1 of 4 hosts begun, 0 failed; waits to be confirmed: outpost job resume alone/,
    );
    expect(picture).toMatch(/web2 +pending .*waits for its turn/);
    expect((await outpost("job", "list")).stdout.toString()).toMatch(/alone +paused \(1\/4, stage 1\/4\)/);

    const received = await outpost("job", "receive", "alone");
    expect(lines(received)).toEqual(["web1: ran"]);
    expect(received.stderr).toContain("web[2-4] still waiting for their turn");
    const waited = await outpost("job", "wait", "alone", "--timeout", "100ms");
    expect(waited).toMatchObject({ exitCode: 124 });
    expect(waited.stderr).toContain("waits to be confirmed; to go on: outpost job resume alone");

    expect((await outpost("job", "resume", job, "--stage", "2")).exitCode).not.toBe(0);
    expect((await outpost("job", "resume", job, "--stage", "1")).exitCode).toBe(0);
    await reaches(job, "paused", 2);
    expect((await outpost("job", "pause", job)).stdout.toString()).toContain("paused by");
    expect((await outpost("job", "stop", job)).exitCode).toBe(0);
    const { jobs } = await reaches(job, "stopped", 2);
    expect(jobs.map(({ status }) => status.state)).toEqual(["completed", "completed", "stopped", "stopped"]);
    const late = await outpost("job", "pause", job);
    expect(late.exitCode).not.toBe(0);
    expect((await outpost("job", "wait", job)).exitCode).toBe(249);
  });

  test("of an ordinary job nothing can be paused", async () => {
    await outpost("job", "start", "web1", "--name", "plain", "-c", "true");
    const { exitCode, stderr } = await outpost("job", "pause", "plain");
    expect(exitCode).not.toBe(0);
    expect(stderr).toMatch(/roll-out/);
  });
});

describe("on a terminal", () => {
  const terminal = (...args: string[]): TestTerminal =>
    new TestTerminal({ argv: playground.argv(...args), env: playground.env(), columns: 120, rows: 40 });
  const question = (stage: number): RegExp =>
    new RegExp(`stage ${String(stage)} of 4 done: .*\\[l\\]eave paused:`);

  test("each stage is asked about, after its output", async () => {
    await using screen = terminal(
      "invoke",
      "web*",
      "--batch",
      "1",
      "--confirm",
      "-c",
      "echo hi from $OUTPOST_HOST",
    );
    const first = await screen.shows(question(1));
    expect(first.indexOf("web1: hi from web1")).toBeGreaterThan(-1);
    expect(first).toContain("1 succeeded, 0 failed. Go on?");
    screen.type("what?\r");
    await screen.shows(/(?:stage 1 of 4 done[^]*){2}/);
    screen.type("y\r");
    await screen.shows(question(2));
    screen.type("n\r");
    expect(await screen.ended()).toBe(249);
    const last = screen.screen();
    expect(last).toContain("web2: hi from web2");
    expect(last).toMatch(/2 succeeded; 2 not begun \(web\[3-4\]\)/);
    expect(last).not.toContain("web3: hi");
  });

  test("it can be left paused, and goes on without us", async () => {
    await using screen = terminal(
      "invoke",
      "web*",
      "--name",
      "left",
      "--canary",
      "1",
      "--confirm",
      "-c",
      "echo x",
    );
    await screen.shows(/stage 1 of 2 done/);
    screen.type("l\r");
    expect(await screen.ended()).toBe(0);
    expect(screen.screen()).toContain("left paused. To go on: outpost job resume left");
    await outpost("job", "resume", "left");
    expect((await outpost("job", "wait", "left")).exitCode).toBe(0);
    expect(lines(await outpost("job", "receive", "left")).toSorted()).toEqual([
      "web2: x",
      "web3: x",
      "web4: x",
    ]);
  });

  test("the question is taken back when somebody else has answered it", async () => {
    await using screen = terminal(
      "invoke",
      "web*",
      "--name",
      "shared",
      "--canary",
      "1",
      "--confirm",
      "-c",
      "echo x",
    );
    await screen.shows(/stage 1 of 2 done/);
    expect((await outpost("job", "resume", "shared")).exitCode).toBe(0);
    expect(await screen.ended()).toBe(0);
    expect(screen.screen()).toContain("4 hosts: 4 succeeded");
  });

  test("Ctrl-C stops what runs and what has not begun", async () => {
    await using screen = terminal("invoke", "web*", "--batch", "2", "-c", "echo up; sleep 600");
    await screen.shows("web2: up");
    await screen.shows("web1: up");
    screen.type("\u0003");
    expect(await screen.ended()).toBe(130);
    const last = screen.screen();
    expect(last).toContain("interrupted; stopping web[1-4]");
    expect(last).toMatch(/2 stopped \(web\[1-2\]\).*2 not begun \(web\[3-4\]\)/);
  });

  test("a roll-out is watched to its end", async () => {
    const { stdout } = await outpost(
      "job",
      "start",
      "web*",
      "--name",
      "seen",
      "--canary",
      "1",
      "--confirm",
      "-c",
      "true",
    );
    await reaches(stdout.toString().trim(), "paused", 1);
    await using screen = terminal("job", "show", "seen", "--watch");
    await screen.shows("stage 1 of 2, 1 of 4 hosts begun, 0 failed (of 0 allowed); waits to be confirmed");
    await using list = terminal("job", "list", "--watch");
    await list.shows(/seen +paused \(1\/4, stage 1\/2\)/);
    await outpost("job", "resume", "seen");
    expect(await screen.ended()).toBe(0);
    expect(screen.screen()).toMatch(/roll-out +done, 4 of 4 hosts begun, 0 failed \(of 0 allowed\)/);
    await list.shows(/seen +completed/);
    list.type("q");
    expect(await list.ended()).toBe(0);
  });
});

describe("a host that is offline", () => {
  beforeEach(async () => {
    if (playground.agent("web4").isRunning) await playground.agent("web4").signal("SIGTERM");
    await eventually(
      async () => {
        const { hosts: infos } = await json<{ hosts: { name: string; state: string }[] }>(
          "host",
          "list",
          "web4",
        );
        return infos[0]?.state === "disconnected";
      },
      { what: "web4 offline" },
    );
  });

  afterAll(async () => {
    if (!playground.agent("web4").isRunning) playground.agent("web4").start();
    await playground.connected();
  });

  test("is in the plan, with since when", async () => {
    const { stdout } = await outpost("invoke", "web*", "--plan", "--offline", "skip", "-c", "true");
    expect(stdout.toString()).toMatch(/offline +1; they would be left out\n +web4: last seen/);
  });

  test("is left out", async () => {
    const run = await outpost("invoke", "web*", "--offline", "skip", "-c", "echo x");
    expect(run.exitCode).toBe(0);
    expect(run.stderr).toContain("4 hosts: 3 succeeded; 1 skipped (web4)");
  });

  test.each([
    ["a job", []],
    ["a roll-out", ["--batch", "2"]],
  ])("is awaited by %s, which is not waited for", async (what, options) => {
    const name = what.replaceAll(" ", "-");
    const run = await outpost(
      "invoke",
      "web*",
      "--offline",
      "queue",
      ...options,
      "--name",
      name,
      "-c",
      "echo x",
    );
    expect(run.exitCode).toBe(0);
    expect(lines(run).toSorted()).toEqual(["web1: x", "web2: x", "web3: x"]);
    expect(run.stderr).toMatch(
      new RegExp(
        `web4: offline; what comes back until .* Receive that with: outpost job receive ${name} --follow`,
      ),
    );
    const { jobs } = await json<Shown>("job", "show", name);
    expect(jobs.find(({ host }) => host === "web4")).toMatchObject({
      queued: "host",
      status: { state: "pending" },
    });
    playground.agent("web4").start();
    expect((await outpost("job", "wait", name)).exitCode).toBe(0);
    expect(lines(await outpost("job", "receive", name))).toEqual(["web4: x"]);
  });
});
