/** What only a real host can show of configurations: other users, control groups, and what a limit does. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { eventually } from "../kit/wait.ts";
import type { Machine } from "./kit/machine.ts";
import { Site } from "./kit/site.ts";

const agent = "outpost-agent.service";

let site: Site;
let web1: Machine;

beforeAll(async () => {
  site = await Site.create({ hosts: ["web1"] });
  web1 = site.machine("web1");
  await web1.sh("groupadd releases && useradd --create-home --shell /bin/bash --groups releases deploy");
  await configure("deploy", "user: deploy\n");
  await configure("small", "limits:\n  memory: 64M\n  processes: 20\n");
  await configure("small-deploy", "user: deploy\nlimits:\n  memory: 64M\n  processes: 20\n  cpu: 20%\n");
});
afterAll(() => site?.[Symbol.asyncDispose]());
beforeEach((context) => site.reportWhenItFails(context));

async function configure(name: string, text: string): Promise<void> {
  await web1.sh("mkdir -p /var/lib/outpost-agent/configurations");
  await web1.writeFile(`/var/lib/outpost-agent/configurations/${name}.yaml`, text);
}

async function invoke(configuration: string, text: string) {
  return site.attempt("invoke", "web1", "--configuration", configuration, "-c", text);
}

test("the files are checked and listed on the host", async () => {
  expect(await web1.run("outpost-agent", "configuration", "check")).toMatch(/deploy/);
  expect(await web1.run("outpost-agent", "configuration", "list")).toMatch(/small-deploy/);
});

test("run-as: another user, its groups and home, a clean environment, and nothing of root's", async () => {
  const { stdout, stderr } = await invoke(
    "deploy",
    "id -un; id -gn; id -Gn; pwd; echo $HOME $USER $LOGNAME; grep -E '^(CapEff|Groups|NoNewPrivs)' /proc/self/status; env | cut -d= -f1 | sort | tr '\\n' ' '",
  );
  expect(stderr).toBe("");
  const [user, group, groups, cwd, names, ...rest] = stdout.split("\n");
  expect([user, group, groups, cwd, names]).toEqual([
    "deploy",
    "deploy",
    "deploy releases",
    "/home/deploy",
    "/home/deploy deploy deploy",
  ]);
  expect(rest.join("\n")).toMatch(/CapEff:\s+0000000000000000/);
  expect(rest.join("\n")).not.toMatch(/NODE_|NOTIFY_|WATCHDOG|INVOCATION|JOURNAL|SYSTEMD|_DIR/);
});

test.each([
  ["the host's key", "cat /var/lib/outpost-agent/identity/agent.key"],
  ["its own output file, to overwrite it", "ls /var/lib/outpost-agent/jobs"],
  ["the agent's socket", "ls -l /var/lib/outpost-agent/run/agent.sock"],
  ["root's passwords", "cat /etc/shadow"],
  ["the agent's process", "kill -9 AGENT"],
  ["the agent's environment", "cat /proc/AGENT/environ"],
  ["becoming root again", "node -e 'process.setuid(0)'"],
])("run-as cannot reach %s", async (_what, text) => {
  const pid = await web1.mainPid(agent);
  const { exitCode, stdout, stderr } = await invoke("deploy", text.replace("AGENT", String(pid)));
  expect(exitCode).not.toBe(0);
  expect(stdout).toBe("");
  expect(stderr).toMatch(/permission denied|not permitted/i);
  expect(await web1.mainPid(agent)).toBe(pid);
});

test("a session of it is that user's, too, and outlives the agent", async () => {
  await site.outpost("session", "new", "web1", "--name", "deploys", "--configuration", "deploy");
  const ask = () =>
    site.outpost("invoke", "--session", "deploys", "-c", "id -un; id -Gn; pwd; echo ${kept:=$$}");
  const first = await ask();
  expect(first).toMatch(/^deploy\ndeploy releases\n\/home\/deploy\n\d+\n$/);
  const pid = await web1.mainPid(agent);
  await web1.run("kill", "-9", String(pid));
  await web1.replaced(agent, pid, 10_000);
  await site.connected("web1");
  expect(await ask()).toBe(first);
  await site.outpost("session", "remove", "deploys");
});

test.each(["small", "small-deploy"])(
  "%s: what takes more memory than its limit is killed, and nothing else",
  async (configuration) => {
    const pid = await web1.mainPid(agent);
    const other = await site.start("web1", "sleep 1000");
    // tail keeps what it reads until there is a line's end, and there is none.
    const { exitCode, stdout } = await invoke(
      configuration,
      "head -c 300000000 /dev/zero | tail; echo tail: $?",
    );
    expect(stdout.replaceAll("\0", "")).toMatch(/^(tail: 137\n)?$/);
    if (stdout === "") expect(exitCode).toBe(137);
    const within = await invoke(configuration, "head -c 10000000 /dev/zero | tail | wc -c");
    expect(within.stdout).toBe("10000000\n");
    expect((await site.status(other)).state).toBe("running");
    await site.outpost("job", "stop", other);
    expect(await web1.mainPid(agent)).toBe(pid);
  },
);

test.each(["small", "small-deploy"])(
  "%s: no more processes than its limit, and other jobs have all they want",
  async (configuration) => {
    // A shell that may not fork says so and ends.
    const text =
      "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23; do sleep 2 & echo $i; done; wait";
    const { stdout, stderr, exitCode } = await invoke(configuration, text);
    expect(stderr).toMatch(/[Cc]annot fork/);
    expect(exitCode).not.toBe(0);
    const started = stdout.trim().split("\n").length;
    expect(started).toBeGreaterThan(10);
    expect(started).toBeLessThan(20);
    expect(await site.outpost("invoke", "web1", "-c", text)).toMatch(/\n23\n$/);
  },
);

test("limits hold a job that outlives its agent, and stopping it ends all of it", async () => {
  const job = await site.start("web1", "sleep 1000 & sleep 1000 & wait", "--configuration", "small-deploy");
  const sleeps = async (): Promise<number> => Number(await web1.sh("pgrep --count --exact sleep || true"));
  await eventually(async () => (await sleeps()) === 2, { what: "its processes" });
  const pid = await web1.mainPid(agent);
  await web1.run("kill", "-9", String(pid));
  await web1.replaced(agent, pid, 10_000);
  await site.connected("web1");
  expect((await site.status(job)).state).toBe("running");
  const group = await web1.sh(
    "sed -n 's/^.*:pids:/pids/p; s/^0::/unified/p' /proc/$(pgrep --newest --exact sleep)/cgroup",
  );
  expect(group).not.toContain(agent);
  await site.outpost("job", "stop", job);
  await eventually(async () => (await sleeps()) === 0, { what: "the end of its processes" });
  await eventually(
    async () => (await web1.sh("systemctl list-units --no-legend --all 'outpost*.scope'")) === "",
    {
      what: "the end of its scopes",
    },
  );
});

test("the kernel takes jobs and sessions before the agent when memory runs out", async (context) => {
  const score = await web1.sh(`cat /proc/${String(await web1.mainPid(agent))}/oom_score_adj`);
  if (score === "0\n")
    context.skip("containers of this machine may not go below oom_score_adj 0 (CAP_SYS_RESOURCE)");
  expect(score).toBe("-500\n");
  for (const configuration of ["default", "deploy", "small"]) {
    expect((await invoke(configuration, "cat /proc/self/oom_score_adj")).stdout, configuration).toBe("0\n");
  }
  await site.outpost("session", "new", "web1", "--name", "score");
  expect(await site.outpost("invoke", "--session", "score", "-c", "cat /proc/$$/oom_score_adj")).toBe("0\n");
  await site.outpost("session", "remove", "score");
});
