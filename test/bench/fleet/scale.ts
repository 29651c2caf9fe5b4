/** `invoke -- true` on more and more hosts: how long it takes, and what one host costs. */
import { availableParallelism } from "node:os";
import { BareServer } from "../bare-server.ts";
import { heading, milliseconds, row } from "../report.ts";
import type { PlaygroundOptions } from "../../kit/playground.ts";
import { openCachedFleet } from "./cached-fleet.ts";
import { middle, type Timed, timedInvoke } from "./timed-invoke.ts";

const sizes = [100, 1_000, 3_000, 10_000];
/** The first runs compile. */
const warmUps = 3;
const rounds = 5;

export async function scale(from: PlaygroundOptions["from"]): Promise<void> {
  heading(
    `outpost invoke '*' -- true on emulated hosts, exec to exit (median of ${String(rounds)}, ${String(availableParallelism())} processors for all)`,
  );
  const floors = await bareFanOut();
  await using fleet = await openCachedFleet("scale", { from, store: "memory" });
  let connected = 0;
  for (const size of sizes) {
    await fleet.grow(size - connected);
    connected = size;
    const targets = size === sizes.at(-1) ? "*" : `host[1-${String(size)}]`;
    const runs: Timed[] = [];
    for (let round = -warmUps; round < rounds; round++) {
      const run = await timedInvoke(fleet, targets, "--", "true");
      if (round >= 0) runs.push(run);
    }
    const { wallMs, cpu } = middle(runs);
    const perHost = (value: number): string => `${((value * 1000) / size).toFixed(0)} µs`;
    const all = runs.map((run) => run.wallMs.toFixed(0)).join(" ");
    row(`${String(size)} hosts`, milliseconds(wallMs), `(${all})`);
    row(`  bare wss, one message there and back`, milliseconds(floors.get(size)!));
    row(
      `  processor time per host`,
      perHost(cpu.controller + cpu.cli),
      `controller ${perHost(cpu.controller)}, CLI ${perHost(cpu.cli)} (start included); emulated agents ${perHost(cpu.agents)}`,
    );
  }
}

/** By the number of connections. */
async function bareFanOut(): Promise<Map<number, number>> {
  using bare = await BareServer.start();
  const floors = new Map<number, number>();
  let connected = 0;
  for (const size of sizes) {
    await bare.connect(size - connected);
    connected = size;
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) times.push(await bare.fanOut());
    floors.set(size, times.toSorted((a, b) => a - b)[Math.floor(rounds / 2)]!);
  }
  return floors;
}
