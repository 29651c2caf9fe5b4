/**
 * `pnpm bench`: how fast Outpost is, beside ssh, pdsh and clush (where they are installed) and the raw limit, measured
 * in turn in one run on this machine. It judges nothing; it prints medians and ratios.
 * `pnpm bench invoke starts throughput memory sessions` runs only those named, `pnpm bench fleet` what many hosts take,
 * and `pnpm bench fleet tools scale output reconnect memory` of that only those named.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempDisposableSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { Playground } from "../kit/playground.ts";
import { fleetParts } from "./fleet/index.ts";
import { bytesPerSecond, inTurn, wallMs } from "./measure.ts";
import { memory } from "./process-use.ts";
import { heading, ratio, row } from "./report.ts";
import { echoLatency, EchoFloor, promptMs } from "./sessions.ts";
import { Sshd } from "./sshd.ts";
import { startsPerSecond, spawnsPerSecond } from "./starts.ts";

const built = existsSync(join(import.meta.dirname, "../../packages/controller/dist/cli/main.js"));

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

async function memoryUse(playground: Playground): Promise<void> {
  heading("memory");
  const agent = memory(playground.agent("web2").pid!);
  row("idle agent, resident", `${agent.rss.toFixed(0)} MiB`);
  row("idle agent, private", `${agent.private.toFixed(0)} MiB`);
  const bareNode = spawn(process.execPath, ["-e", "setInterval(() => {}, 1e6)"]);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  row("bare Node, resident", `${memory(bareNode.pid!).rss.toFixed(0)} MiB`);
  bareNode.kill();
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

const all = ["invoke", "starts", "throughput", "memory", "sessions"];
const from = built ? "built" : "source";

/** @throws when one is not there */
function choose(named: readonly string[], there: readonly string[]): readonly string[] {
  const unknown = named.filter((name) => !there.includes(name));
  if (unknown.length === 0) return named.length > 0 ? named : there;
  throw new Error(`no benchmark called ${unknown.join(", ")}; there are ${there.join(", ")}`);
}

async function oneHost(chosen: readonly string[]): Promise<void> {
  const sshd = await Sshd.start();
  if (typeof sshd === "string") console.log(`Without ssh: ${sshd}.`);
  const ssh = typeof sshd === "string" ? undefined : sshd;
  try {
    await using playground = await Playground.create({ hosts: ["web1", "web2"], from });
    if (chosen.includes("invoke")) await invokeOne(playground, ssh);
    // Before the gigabytes: while they are written back, every new file waits for the disk.
    if (chosen.includes("starts")) await starts(playground);
    if (chosen.includes("throughput")) await throughput(playground, ssh);
    if (chosen.includes("memory")) await memoryUse(playground);
    if (chosen.includes("sessions")) await sessions(playground, ssh);
  } finally {
    ssh?.[Symbol.dispose]();
  }
}

const [first, ...more] = process.argv.slice(2);
console.log(
  `Node ${process.version}, ${String(cpus().length)} × ${cpus()[0]?.model ?? "?"}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB; Outpost ${built ? "as built" : "from its sources (pnpm build first for its real start-up time)"}`,
);
if (first === "fleet") {
  for (const part of choose(more, Object.keys(fleetParts))) await fleetParts[part]!(from);
} else {
  await oneHost(choose(process.argv.slice(2), all));
  if (first === undefined) for (const part of Object.values(fleetParts)) await part(from);
}
