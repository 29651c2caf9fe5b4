/** The agent and the controller as services of their machines: installed, rebooted, killed, hung, taken away. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { eventually } from "../kit/wait.ts";
import { counted, counting } from "./kit/counting.ts";
import type { Machine } from "./kit/machine.ts";
import { Site } from "./kit/site.ts";

const agent = "outpost-agent.service";
const controller = "outpost-controller.service";

let site: Site;

beforeAll(async () => {
  site = await Site.create({ reboot: ["web1", "web2"] });
});
afterAll(() => site?.[Symbol.asyncDispose]());
beforeEach((context) => site.reportWhenItFails(context));

async function writtenBytes(job: string): Promise<number> {
  return (await site.status(job)).output.stdout.written;
}

/** What a machine has of Outpost, apart from what stands for a package that npm has installed. */
async function left(machine: Machine): Promise<string[]> {
  const paths = await machine.sh("find / -xdev -name '*outpost*' -prune -not -path /usr/lib/outpost");
  return paths
    .trim()
    .split("\n")
    .filter((path) => !["/usr/bin/outpost", "/usr/bin/outpost-agent"].includes(path))
    .sort();
}

test("install says what it did, a second one changes nothing, and status says how it is", async () => {
  const machine = await site.boot("late");
  const token = await site.token();
  const installed = await site.installAgent(machine, token, "--label", "role=late");
  expect(installed).toContain("late is connected to wss://controller:7443");
  expect(installed).toContain(`${agent}: active, started at every boot`);
  expect(await site.outpost("host", "list", "role=late")).toMatch(/late +connected +role=late/);
  // The token was for one host, so this would fail if it tried to enrol again.
  expect(await site.installAgent(machine, token)).toContain("already: no token is needed");
  expect(await machine.unit(agent, "ActiveState", "UnitFileState", "Result")).toEqual({
    ActiveState: "active",
    UnitFileState: "enabled",
    Result: "success",
  });
  expect(await machine.run("outpost-agent", "status")).toMatch(/connected/);
  expect(await site.outpost("invoke", "late", "--", "hostname")).toBe("late\n");
});

test("a host without a valid token, or without a controller, is told so and left as it was", async () => {
  const machine = await site.boot("refused");
  const token = await site.token();
  await site.installAgent(site.machine("late"), token).catch(() => {});
  const install = (...args: string[]) => machine.attempt("outpost-agent", "install", ...args);
  const forged = `${token.slice(0, -6)}AAAAAA`;
  const denied = await install("--controller", "wss://controller:7443", "--token", forged);
  expect(denied.exitCode).not.toBe(0);
  expect(denied.stderr).toMatch(/token/);
  const nowhere = await install("--controller", "wss://nowhere:7443", "--token", token);
  expect(nowhere.exitCode).not.toBe(0);
  expect(nowhere.stderr).toMatch(/nowhere/);
  expect((await machine.attempt("systemctl", "cat", agent)).exitCode).not.toBe(0);
  expect(
    (await machine.attempt("test", "-e", "/var/lib/outpost-agent/identity/agent.crt")).exitCode,
  ).not.toBe(0);
});

test("a reboot in order: the agent is back by itself, and says what became of the jobs", async () => {
  const web1 = site.machine("web1");
  // Everything gets SIGTERM at shutdown. One job has something to do then; the other is deaf, and ends with its machine.
  const tidy = await site.start(
    "web1",
    "trap 'echo bye; exit 7' TERM; echo before; while :; do sleep 0.1; done",
  );
  const deaf = await site.start("web1", "trap '' TERM; echo before; while :; do sleep 0.1; done");
  await site.connected("web1");
  await eventually(async () => (await writtenBytes(tidy)) === 7 && (await writtenBytes(deaf)) === 7, {
    what: "their output",
  });
  await web1.reboot();
  await site.connected("web1");
  expect(await web1.unit(agent, "ActiveState", "NRestarts")).toEqual({
    ActiveState: "active",
    NRestarts: "0",
  });

  const ended = await site.ended(tidy);
  expect(ended).toMatchObject({ state: "failed", exit: { code: 7 } });
  expect((await site.attempt("job", "receive", tidy)).stdout).toBe("before\nbye\n");
  const lost = await site.ended(deaf);
  expect(lost).toMatchObject({ state: "lost", reason: { code: "host_rebooted" } });
  const { stdout, stderr, exitCode } = await site.attempt("job", "receive", deaf);
  expect(stdout).toBe("before\n");
  expect(stderr).toMatch(/web1: lost/);
  expect(exitCode).toBe(250);
  expect(await site.outpost("invoke", "web1", "--", "echo", "again")).toBe("again\n");
});

test("a power cut: jobs and sessions of before are lost because the host rebooted, and what they wrote is there", async () => {
  const web2 = site.machine("web2");
  const job = await site.start("web2", "echo before; sleep 1000");
  await site.outpost("session", "new", "web2", "--name", "gone");
  await eventually(async () => (await writtenBytes(job)) === 7, { what: "its output" });
  // What a disk holds only in the kernel's memory is another matter; here it is about the processes.
  await web2.powerCycle();
  await site.connected("web2");
  expect(await site.ended(job)).toMatchObject({ state: "lost", reason: { code: "host_rebooted" } });
  expect((await site.attempt("job", "receive", job)).stdout).toBe("before\n");
  expect(await site.outpost("session", "list")).toMatch(/gone.*broken.*/);
});

test("kill -9 of the agent: systemd starts it within seconds, and it adopts what runs", async () => {
  const web1 = site.machine("web1");
  const job = await site.start("web1", counting(120));
  await site.outpost("session", "new", "web1", "--name", "kept");
  await site.outpost("invoke", "--session", "kept", "-c", "kept=value");
  const received = site.attempt("job", "receive", job, "--follow");
  const pid = await web1.mainPid(agent);
  const began = performance.now();
  await web1.run("kill", "-9", String(pid));
  await web1.replaced(agent, pid, 10_000);
  await site.connected("web1");
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(await web1.unit(agent, "NRestarts")).toEqual({ NRestarts: "1" });
  const { exitCode, stdout } = await received;
  expect(stdout).toBe(counted(120));
  expect(exitCode).toBe(0);
  expect(await site.outpost("invoke", "--session", "kept", "-c", 'echo "$kept"')).toBe("value\n");
  await site.outpost("session", "remove", "kept");
});

test("an agent that hangs is killed and started anew by the watchdog, jobs go on", async () => {
  const web3 = site.machine("web3");
  await web3.sh(
    `mkdir -p /etc/systemd/system/${agent}.d && printf '[Service]\\nWatchdogSec=3s\\n' >/etc/systemd/system/${agent}.d/test.conf`,
  );
  await web3.sh(`systemctl daemon-reload && systemctl restart ${agent}`);
  await site.connected("web3");
  const pid = await web3.mainPid(agent);
  const job = await site.start("web3", counting(160));
  // As long as it works it is fed: nothing happens in twice that time.
  const fed = async (): Promise<number> =>
    Number((await web3.unit(agent, "WatchdogTimestampMonotonic"))["WatchdogTimestampMonotonic"]);
  const first = await fed();
  await eventually(async () => (await fed()) > first + 5_000_000, {
    what: "a watchdog that was fed for 5 s",
  });
  expect(await web3.mainPid(agent)).toBe(pid);

  await web3.run("kill", "-STOP", String(pid));
  await web3.replaced(agent, pid, 15_000);
  await site.connected("web3");
  expect(await web3.sh(`journalctl --unit ${agent} --no-pager --lines 50`)).toMatch(/[Ww]atchdog timeout/);
  const { stdout, exitCode } = await site.attempt("job", "receive", job, "--follow");
  expect(stdout).toBe(counted(160));
  expect(exitCode).toBe(0);
});

test("nothing listens but the controller's one port; sockets and keys are their owner's only", async () => {
  // With a session there is every process that there can be.
  await site.outpost("session", "new", "web1", "--name", "listening");
  const listening = async (name: string): Promise<string[]> => {
    const text = await site
      .machine(name)
      .sh("ss --listening --tcp --udp --sctp --raw --packet --numeric --no-header 2>/dev/null");
    return (
      text
        .split("\n")
        .map((line) => line.trim().split(/ +/)[4] ?? "")
        // Docker's name service, which every container has.
        .filter((address) => address !== "" && !address.startsWith("127.0.0.11:"))
    );
  };
  expect(await listening("controller")).toEqual(["0.0.0.0:7443"]);
  for (const host of ["web1", "web2", "web3"]) expect(await listening(host)).toEqual([]);

  const web1 = site.machine("web1");
  const sockets = await web1.sh(
    "ss --listening --unix --no-header | grep -o '/[^ ]*outpost[^ ]*' | xargs stat --format='%n %a %U'",
  );
  expect(sockets.trim().split("\n").sort()).toEqual([
    "/var/lib/outpost-agent/run/agent.sock 600 root",
    "/var/lib/outpost-agent/run/session-host.sock 600 root",
  ]);
  for (const [name, owners] of [
    ["controller", ["outpost", "root"]],
    ["web1", ["root"]],
  ] as const) {
    const machine = site.machine(name);
    const state =
      name === "controller" ? "/var/lib/outpost-controller /root/.config/outpost" : "/var/lib/outpost-agent";
    // Every folder on the way is closed, so nothing inside is reached, whatever its mode; keys are closed by themselves.
    expect(await machine.sh(`stat --format=%a ${state} | sort -u`)).toBe("700\n");
    const keys = await machine.sh(`find ${state} -type f -exec grep -l -e 'PRIVATE KEY' {} +`);
    expect(keys).not.toBe("");
    expect(
      (await machine.sh(`stat --format='%a %U' ${keys.split("\n").join(" ")} | sort -u`)).trim().split("\n"),
    ).toEqual(owners.map((owner) => `600 ${owner}`));
    expect(await machine.sh(`find ${state} -type s ! -perm 600`)).toBe("");
    expect(await machine.sh(`find ${state} -perm /022 ! -type l`)).toBe("");
  }
  expect(await web1.sh("stat --format=%a /var/lib/outpost-agent/run")).toBe("700\n");
  await site.outpost("session", "remove", "listening");
  await eventually(async () => (await web1.sh("pgrep outpost-session || true")) === "", {
    what: "the end of the session host",
  });
});

test("uninstall takes the service away and keeps what the host holds; install takes it up again", async () => {
  const web1 = site.machine("web1");
  const job = await site.start("web1", "echo held; sleep 1000");
  const busy = await web1.attempt("outpost-agent", "uninstall");
  expect(busy.exitCode).not.toBe(0);
  expect(busy.stderr).toContain(`job ${job}`);
  const said = await web1.run("outpost-agent", "uninstall", "--force");
  expect(said).toContain("outpost-agent.service is stopped and gone");
  expect(said).toContain("outpost host remove web1");
  expect(await left(web1)).toEqual(["/var/cache/outpost", "/var/lib/outpost-agent"]);
  await site.unreachable("web1");
  await web1.run("outpost-agent", "install");
  await site.connected("web1");
  expect((await site.status(job)).state).toBe("running");
  await site.outpost("job", "stop", job);
  expect((await site.attempt("job", "receive", job, "--follow")).stdout).toBe("held\n");
});

test("uninstall --purge leaves no file, no unit and no process behind", async () => {
  const web2 = site.machine("web2");
  await site.start("web2", "sleep 1000");
  await site.outpost("session", "new", "web2", "--name", "purged");
  const said = await web2.run("outpost-agent", "uninstall", "--purge", "--force");
  expect(said).toContain("/var/lib/outpost-agent is gone, too");
  expect(await left(web2)).toEqual([]);
  expect(await web2.sh("systemctl list-units --all --no-legend 'outpost*'")).toBe("");
  expect(await web2.sh("ps -e -o args=")).not.toMatch(/outpost|sleep 1000|bash/);
  expect(await site.outpost("host", "remove", "web2", "--yes")).toContain("web2");
  expect(await site.outpost("host", "list")).not.toContain("web2");
});

test("the controller's service: restarted by systemd, uninstalled with its directory kept", async () => {
  const machine = site.controller;
  const pid = await machine.mainPid(controller);
  await machine.run("kill", "-9", String(pid));
  await machine.replaced(controller, pid, 10_000);
  await site.connected("web1", "web3");
  await machine.run("outpost", "controller", "uninstall");
  expect((await machine.attempt("systemctl", "cat", controller)).exitCode).not.toBe(0);
  expect(await machine.sh("ls /var/lib/outpost-controller")).toContain("ca.key");
  expect(await machine.sh("ps -e -o args=")).not.toContain("outpost");
});
