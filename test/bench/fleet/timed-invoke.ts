/** One `outpost invoke` as a process, timed and weighed. */
import { spawn } from "node:child_process";
import type { EmulatedFleet } from "../../fleet/emulated-fleet.ts";
import { cpuMs, endedChildrenCpuMs, peakRssMiB } from "../process-use.ts";

export interface Timed {
  /** From exec to exit, in milliseconds. */
  readonly wallMs: number;
  /** Processor time of the CLI, the controller, and the agents with what they started, in milliseconds. */
  readonly cpu: { readonly cli: number; readonly controller: number; readonly agents: number };
  /** The most that the CLI had resident, in MiB. */
  readonly peakMiB: number;
  readonly bytes: number;
}

/** How often the memory of the CLI is looked at, in milliseconds. */
const lookMs = 20;

export async function timedInvoke(fleet: EmulatedFleet, ...args: string[]): Promise<Timed> {
  const { playground } = fleet;
  const controller = [playground.controller.pid!];
  const before = { cli: endedChildrenCpuMs(), controller: cpuMs(controller), agents: cpuMs(fleet.pids) };
  const argv = playground.argv("invoke", ...args);
  const begun = performance.now();
  const child = spawn(argv[0]!, argv.slice(1), { env: playground.env(), stdio: ["ignore", "pipe", "pipe"] });
  let bytes = 0;
  let complaint = "";
  let peakMiB = 0;
  const looking = setInterval(() => (peakMiB = Math.max(peakMiB, peakRssMiB(child.pid!) ?? 0)), lookMs);
  child.stdout.on("data", (chunk: Buffer) => (bytes += chunk.length));
  child.stderr.on("data", (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-500)));
  const code = await new Promise((resolve) => child.once("close", resolve));
  const wallMs = performance.now() - begun;
  clearInterval(looking);
  if (code !== 0)
    throw new Error(`outpost invoke ${args.join(" ")} exited with ${String(code)}: ${complaint}`);
  const cli = endedChildrenCpuMs() - before.cli;
  // Acknowledgements are on their way to the hosts still; they belong to it.
  await settled(() => cpuMs([...controller, ...fleet.pids]));
  return {
    wallMs,
    bytes,
    peakMiB,
    cpu: {
      cli,
      controller: cpuMs(controller) - before.controller,
      agents: cpuMs(fleet.pids) - before.agents,
    },
  };
}

/** Waits until a value grows by little in a while. */
async function settled(look: () => number): Promise<void> {
  for (let last = look(), next = Infinity; next - last > 30;) {
    if (next !== Infinity) last = next;
    await new Promise((resolve) => setTimeout(resolve, 250));
    next = look();
    if (next - last <= 30) return;
  }
}

export function middle(runs: readonly Timed[]): Timed {
  return runs.toSorted((a, b) => a.wallMs - b.wallMs)[Math.floor(runs.length / 2)]!;
}
