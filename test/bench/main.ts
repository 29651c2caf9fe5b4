/**
 * `pnpm bench`: how fast Outpost is, beside ssh, pdsh and clush (where they are installed) and the raw limit, measured
 * in turn in one run on this machine. It judges nothing; it prints medians and ratios.
 * `pnpm bench invoke starts throughput memory sessions fan-out` runs only those named.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempDisposableSync, readFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { styleText } from "node:util";
import { Playground } from "../kit/playground.ts";
import { Fleet } from "./fleet.ts";
import { bareServer } from "./bare-server.ts";
import { bytesPerSecond, inTurn, wallMs } from "./measure.ts";
import { echoLatency, EchoFloor, promptMs } from "./sessions.ts";
import { Sshd, which } from "./sshd.ts";
import { startsPerSecond, spawnsPerSecond } from "./starts.ts";

const built = existsSync(join(import.meta.dirname, "../../packages/controller/dist/cli/main.js"));

function heading(text: string): void {
  console.log(`\n${styleText("bold", text)}`);
}

function row(name: string, value: string, note = ""): void {
  console.log(`  ${name.padEnd(46)} ${value.padStart(12)}  ${note}`);
}

function ratio(ours: number, theirs: number | undefined): string {
  return theirs === undefined ? "" : `${(ours / theirs).toFixed(2)} ×`;
}

async function invokeOne(playground: Playground, ssh: Sshd | undefined): Promise<void> {
  heading("invoke of `true` on one connected host, exec to exit (median of 15)");
  const env = playground.env();
  const result = await inTurn(
    {
      outpost: () => wallMs({ argv: playground.argv("invoke", "web1", "--", "true"), env }),
      ssh: ssh && (() => wallMs({ argv: ssh.ssh("true") })),
      node: () => wallMs({ argv: [process.execPath, "-e", "0"] }),
    },
    15,
  );
  row(
    "outpost invoke web1 -- true",
    `${result["outpost"]!.toFixed(0)} ms`,
    `${ratio(result["outpost"]!, result["ssh"])} a fresh ssh`,
  );
  if (result["ssh"] !== undefined) row("ssh HOST true", `${result["ssh"].toFixed(0)} ms`);
  row("node -e 0 (the floor: Node's own start)", `${result["node"]!.toFixed(0)} ms`);
}

async function fanOut(ssh: Sshd | undefined): Promise<void> {
  heading("invoke of `true` on many hosts, exec to exit (median of 5; ssh tools: 64 at a time)");
  const sshArgs = ssh?.options.join(" ");
  for (const size of [10, 50, 200]) {
    // Few agents to a process: forking takes the longer the larger the process is, and a host has only one.
    await using fleet = await Fleet.create(size, { from, agentsPerProcess: 10 });
    const env = fleet.playground.env();
    const targets = Array.from({ length: size }, (_, index) => `host${String(index + 1)}`).join(",");
    const addresses = `127.0.1.[1-${String(size)}]`;
    const result = await inTurn(
      {
        outpost: () => wallMs({ argv: fleet.playground.argv("invoke", targets, "--", "true"), env }),
        clush:
          ssh && which("clush")
            ? () => wallMs({ argv: ["clush", "-q", "-f", "64", "-o", sshArgs!, "-w", addresses, "true"] })
            : undefined,
        pdsh:
          ssh && which("pdsh")
            ? () =>
                wallMs({
                  argv: ["pdsh", "-R", "ssh", "-f", "64", "-w", addresses, "true"],
                  env: { ...process.env, PDSH_SSH_ARGS_APPEND: sshArgs },
                })
            : undefined,
        local: () =>
          wallMs({
            argv: [
              "sh",
              "-c",
              `i=0; while [ $i -lt ${String(size)} ]; do /bin/true & i=$((i+1)); done; wait`,
            ],
          }),
      },
      size === 200 ? 3 : 5,
    );
    const peers = [result["clush"], result["pdsh"]].filter((value) => value !== undefined);
    row(
      `outpost, ${String(size)} hosts`,
      `${result["outpost"]!.toFixed(0)} ms`,
      `${ratio(result["outpost"]!, peers.length === 0 ? undefined : Math.min(...peers))} the best of clush and pdsh`,
    );
    for (const tool of ["clush", "pdsh"])
      if (result[tool] !== undefined) row(`${tool}, ${String(size)} hosts`, `${result[tool].toFixed(0)} ms`);
    row(`the same number of /bin/true, locally`, `${result["local"]!.toFixed(0)} ms`);
  }
}

async function throughput(playground: Playground, ssh: Sshd | undefined): Promise<void> {
  const size = 1_000_000_000;
  heading("output of one job to a pipe, 1 GB (median of 3)");
  const env = playground.env();
  const programs = {
    zeros: `head -c ${String(size)} /dev/zero`,
    // Nothing of this one can be packed smaller.
    noise: `head -c ${String(size)} /dev/urandom`,
    lines: `yes 'the quick brown fox jumps over the lazy dog' | head -c ${String(size)}`,
  };
  for (const [name, text] of Object.entries(programs)) {
    const result = await inTurn(
      {
        outpost: () => bytesPerSecond({ argv: playground.argv("invoke", "web1", "-c", text), env }, size),
        ssh: ssh && (() => bytesPerSecond({ argv: ssh.ssh(text) }, size)),
        local: () => bytesPerSecond({ argv: ["sh", "-c", text] }, size),
      },
      3,
    );
    const rate = (value: number): string => `${(value / 1e6).toFixed(0)} MB/s`;
    row(`outpost, ${name}`, rate(result["outpost"]!), `${ratio(result["outpost"]!, result["ssh"])} ssh`);
    if (result["ssh"] !== undefined) row(`ssh, ${name}`, rate(result["ssh"]));
    row(`a local pipe, ${name}`, rate(result["local"]!));
  }
}

async function starts(playground: Playground): Promise<void> {
  heading("jobs started and ended per second on one agent, eight in flight (2,000 jobs of `true`)");
  row("outpost, through the controller", `${(await startsPerSecond(playground, 2_000)).toFixed(0)} /s`);
  row("sh -c true from Node (the floor)", `${(await spawnsPerSecond(2_000)).toFixed(0)} /s`);
}

/** Resident and private memory of a process in MiB (Linux: proc_pid_smaps(5)). */
function memory(pid: number): { rss: number; private: number } {
  const rollup = readFileSync(`/proc/${String(pid)}/smaps_rollup`, "utf8");
  const kilobytes = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(rollup)?.[1]);
  return {
    rss: kilobytes("Rss") / 1024,
    private: (kilobytes("Private_Clean") + kilobytes("Private_Dirty")) / 1024,
  };
}

async function memoryUse(playground: Playground): Promise<void> {
  heading("memory");
  const agent = memory(playground.agent("web2").pid!);
  row("idle agent, resident", `${agent.rss.toFixed(0)} MiB`);
  row("idle agent, private", `${agent.private.toFixed(0)} MiB`);
  const bareNode = spawn(process.execPath, ["-e", "setInterval(() => {}, 1e6)"]);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  row("bare Node, resident", `${memory(bareNode.pid!).rss.toFixed(0)} MiB`);
  bareNode.kill();

  const count = 1_000;
  const bare = await bareServer(count, (pid) => memory(pid).rss);
  row(`bare mTLS ws server, per connection of ${String(count)}`, `${bare.toFixed(0)} KiB`);
  // Enrolled first, and the controller started anew: signing certificates leaves more behind than connections take.
  let withNone = 0;
  await using fleet = await Fleet.create(0, { from, agentsPerProcess: 250 });
  const { controller } = fleet.playground;
  await fleet.grow(count, async () => {
    await controller.signal("SIGTERM");
    controller.start();
    await fleet.playground.connected([]);
    withNone = memory(controller.pid!).rss;
  });
  const grown = (memory(controller.pid!).rss - withNone) * 1024;
  row(
    `controller, per connected agent of ${String(count)}`,
    `${(grown / count).toFixed(0)} KiB`,
    `${(grown / count - bare).toFixed(0)} KiB beyond the bare server`,
  );
}

async function sessions(playground: Playground, ssh: Sshd | undefined): Promise<void> {
  const env = playground.env();
  // As ssh's user here: no start-up files of one's own.
  using home = mkdtempDisposableSync(join(tmpdir(), "outpost-home-"));
  const enter = {
    argv: playground.argv("enter", "web1", "--shell", "bash", "--env", `HOME=${home.path}`),
    env,
  };
  heading("keystroke to echo in a terminal, one key at a time (1,000 keys)");
  using floor = await EchoFloor.start(["relay", "host"], 17_444);
  using owned = await EchoFloor.start(["relay", "owner", "agent"], 17_445);
  const latency = await echoLatency(
    {
      "outpost enter": enter,
      ssh: ssh && { argv: ssh.terminal() },
      "a local PTY": { argv: ["bash", "--norc", "--noprofile"] },
      "the floor: two wss hops and a PTY": floor.client,
      "the same with the PTY in a process of its own": owned.client,
    },
    1_000,
  );
  const bare = latency["the floor: two wss hops and a PTY"]!;
  for (const [name, { median, p99 }] of Object.entries(latency)) {
    const times = name === "outpost enter" ? `; ${ratio(median, bare.median)} the floor` : "";
    row(name, `${median.toFixed(2)} ms`, `p99 ${p99.toFixed(2)} ms${times}`);
  }

  heading("exec to the first prompt (median of 9)");
  const opening = await inTurn(
    { outpost: () => promptMs(enter), ssh: ssh && (() => promptMs({ argv: ssh.terminal() })) },
    9,
  );
  row(
    "outpost enter web1",
    `${opening["outpost"]!.toFixed(0)} ms`,
    `${ratio(opening["outpost"]!, opening["ssh"])} a fresh ssh`,
  );
  if (opening["ssh"] !== undefined) row("ssh -t HOST", `${opening["ssh"].toFixed(0)} ms`);

  const count = 50;
  heading(`memory with ${String(count)} sessions on one host, each with a full screen of scrollback`);
  await using client = await playground.client();
  const agentBefore = memory(playground.agent("web2").pid!).rss;
  for (let index = 0; index < count; index++) {
    const { session } = await client.openSession({
      targets: "web2",
      shell: "bash",
      env: { HOME: home.path },
    });
    const text = "seq 1 2000 > /dev/tty";
    await (await client.start({ sessions: [session.id], command: { kind: "shell", text } })).wait();
    if (index > 0) continue;
    const first = memory(playground.sessionHostPid("web2")!);
    row("session host with one session, resident", `${first.rss.toFixed(0)} MiB`);
  }
  const held = memory(playground.sessionHostPid("web2")!);
  row(`session host with ${String(count)}, resident`, `${held.rss.toFixed(0)} MiB`);
  row(
    "agent, resident",
    `${memory(playground.agent("web2").pid!).rss.toFixed(0)} MiB`,
    `${agentBefore.toFixed(0)} MiB before`,
  );
}

const all = ["invoke", "starts", "throughput", "memory", "fan-out", "sessions"];
const chosen = process.argv.length > 2 ? process.argv.slice(2) : all;
const unknown = chosen.filter((name) => !all.includes(name));
if (unknown.length > 0)
  throw new Error(`no benchmark called ${unknown.join(", ")}; there are ${all.join(", ")}`);
const from = built ? "built" : "source";
console.log(
  `Node ${process.version}, ${String(cpus().length)} × ${cpus()[0]?.model ?? "?"}; Outpost ${built ? "as built" : "from its sources (pnpm build first for its real start-up time)"}`,
);
const sshd = await Sshd.start();
if (typeof sshd === "string") console.log(`Without ssh, pdsh and clush: ${sshd}.`);
const ssh = typeof sshd === "string" ? undefined : sshd;
try {
  await using playground = await Playground.create({ hosts: ["web1", "web2"], from });
  if (chosen.includes("invoke")) await invokeOne(playground, ssh);
  // Before the gigabytes: while they are written back, every new file waits for the disk.
  if (chosen.includes("starts")) await starts(playground);
  if (chosen.includes("throughput")) await throughput(playground, ssh);
  if (chosen.includes("memory")) await memoryUse(playground);
  if (chosen.includes("sessions")) await sessions(playground, ssh);
  if (chosen.includes("fan-out")) await fanOut(ssh);
} finally {
  ssh?.[Symbol.dispose]();
}
