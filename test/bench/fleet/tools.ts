/** `true` on hosts with real agents and real processes, beside the tools that speak ssh to as many addresses of one sshd. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EmulatedFleet } from "../../fleet/emulated-fleet.ts";
import type { PlaygroundOptions } from "../../kit/playground.ts";
import { type Command, wallMs } from "../measure.ts";
import { cpuMs, endedChildrenCpuMs } from "../process-use.ts";
import { heading, milliseconds, row } from "../report.ts";
import { Sshd, which } from "../sshd.ts";
import { middle, type Timed, timedInvoke } from "./timed-invoke.ts";

const sizes = [50, 200];
const rounds = 3;
/** How many connections the tools make at a time. */
const fanOut = 64;

interface Used {
  readonly wallMs: number;
  readonly cpuMs: number;
}

const programs = ["clush", "pdsh", "ansible"] as const;
type Tool = (typeof programs)[number];

export async function tools(from: PlaygroundOptions["from"]): Promise<void> {
  heading(
    `true on many hosts, with real processes (median of ${String(rounds)}; ssh: ${String(fanOut)} at a time)`,
  );
  const started = await Sshd.start();
  const sshd = typeof started === "string" ? undefined : started;
  if (typeof started === "string") console.log(`  without the ssh tools: ${started}`);
  for (const tool of programs) {
    if (which(tool) === undefined) {
      const name = { clush: "clustershell", pdsh: "pdsh", ansible: "ansible-core" }[tool];
      console.log(`  without ${tool}: it is not installed (Debian's ${name})`);
    }
  }
  try {
    for (const size of sizes) await compare(size, from, sshd);
  } finally {
    sshd?.[Symbol.dispose]();
  }
}

async function compare(size: number, from: PlaygroundOptions["from"], sshd: Sshd | undefined): Promise<void> {
  const ours = await outpost(size, from);
  row(`outpost, ${String(size)} hosts`, milliseconds(ours.wallMs), `${seconds(ours.cpuMs)} of CPU`);
  if (sshd === undefined) return;
  for (const how of ["fresh connections", "open ControlMasters"] as const) {
    using masters = how === "open ControlMasters" ? new Masters(sshd, size) : undefined;
    const best = { wallMs: Infinity, cpuMs: Infinity };
    for (const tool of programs) {
      if (which(tool) === undefined) continue;
      const used = await measured(sshd, masters, commandOf(tool, sshd, size, masters?.options ?? []));
      best.wallMs = Math.min(best.wallMs, used.wallMs);
      best.cpuMs = Math.min(best.cpuMs, used.cpuMs);
      row(`  ${tool}, ${how}`, milliseconds(used.wallMs), `${seconds(used.cpuMs)} of CPU`);
    }
    if (best.wallMs === Infinity) continue;
    const wall = (best.wallMs / ours.wallMs).toFixed(1);
    const cpu = (best.cpuMs / ours.cpuMs).toFixed(1);
    row(`  the best of them beside outpost, ${how}`, `${wall} ×`, `CPU ${cpu} ×`);
  }
}

class TemporaryFolder implements Disposable {
  readonly path: string;

  constructor(parent: string) {
    this.path = mkdtempSync(join(parent, "outpost-"));
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Of everything that it takes: CLI, controller, agents, and the processes that these start. */
async function outpost(size: number, from: PlaygroundOptions["from"]): Promise<Used> {
  // Two hundred hosts have two hundred disks. On one, each of their jobs' files waits for all the others'.
  const memory = "/dev/shm";
  using hosts = new TemporaryFolder(existsSync(memory) ? memory : tmpdir());
  await using fleet = await EmulatedFleet.create(size, {
    from,
    store: "real",
    launch: "real",
    agentsPerProcess: 100,
    hostsDirectory: hosts.path,
  });
  const runs: Timed[] = [];
  for (let round = -1; round < rounds; round++) {
    const run = await timedInvoke(fleet, "*", "--", "true");
    if (round >= 0) runs.push(run);
  }
  const { wallMs: wall, cpu } = middle(runs);
  return { wallMs: wall, cpuMs: cpu.cli + cpu.controller + cpu.agents };
}

async function measured(sshd: Sshd, masters: Masters | undefined, command: Command): Promise<Used> {
  const all = (): number => endedChildrenCpuMs() + cpuMs([sshd.pid, ...(masters?.pids ?? [])]);
  const runs: Used[] = [];
  for (let round = -1; round < rounds; round++) {
    const before = all();
    const wall = await wallMs(command);
    // What sshd still has to end counts, too.
    await new Promise((resolve) => setTimeout(resolve, 500));
    if (round >= 0) runs.push({ wallMs: wall, cpuMs: all() - before });
  }
  return runs.toSorted((a, b) => a.wallMs - b.wallMs)[Math.floor(runs.length / 2)]!;
}

const addressesOf = (size: number): string[] =>
  Array.from({ length: size }, (_, index) => `127.0.1.${String(index + 1)}`);

function commandOf(tool: Tool, sshd: Sshd, size: number, more: readonly string[]): Command {
  const ssh = [...sshd.options, ...more].join(" ");
  const addresses = `127.0.1.[1-${String(size)}]`;
  const count = String(fanOut);
  switch (tool) {
    case "clush":
      // It would put in its own for `%h`.
      return {
        argv: ["clush", "-q", "-f", count, "-o", ssh.replaceAll("%", "%%"), "-w", addresses, "true"],
      };
    case "pdsh":
      return {
        argv: ["pdsh", "-R", "ssh", "-f", count, "-w", addresses, "true"],
        env: { ...process.env, PDSH_SSH_ARGS_APPEND: ssh },
      };
    case "ansible":
      // `raw` is a command over ssh and nothing else: no Python on the host, no files copied there.
      return {
        argv: [
          "ansible",
          "all",
          "-i",
          `${addressesOf(size).join(",")},`,
          "-m",
          "raw",
          "-a",
          "true",
          "-f",
          count,
        ],
        env: {
          ...process.env,
          ANSIBLE_SSH_ARGS: ssh,
          ANSIBLE_HOST_KEY_CHECKING: "False",
          ANSIBLE_LOCALHOST_WARNING: "False",
        },
      };
    default:
      return tool satisfies never;
  }
}

/** One open connection to each address, which the tools' ssh goes through. */
class Masters implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "ssh-"));
  readonly #config: readonly string[];
  readonly pids: readonly number[];

  constructor(sshd: Sshd, size: number) {
    this.#config = [...sshd.options, "-o", `ControlPath=${this.#directory}/%h`];
    this.pids = addressesOf(size).map((address) => {
      execFileSync("ssh", [...this.#config, "-MNf", address], { stdio: "ignore" });
      // It answers on its standard error.
      const { stderr } = spawnSync("ssh", [...this.#config, "-O", "check", address], { encoding: "utf8" });
      const pid = /pid=(\d+)/.exec(stderr)?.[1];
      if (pid === undefined) throw new Error(`no ControlMaster for ${address}: ${stderr}`);
      return Number(pid);
    });
  }

  get options(): readonly string[] {
    return ["-o", `ControlPath=${this.#directory}/%h`];
  }

  [Symbol.dispose](): void {
    for (const pid of this.pids) process.kill(pid);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

const seconds = (value: number): string => `${(value / 1000).toFixed(2)} s`;
