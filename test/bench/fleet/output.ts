/** Output of a thousand hosts at one CLI: grouped or as it comes, and how much of it the CLI holds. */
import { heading, milliseconds, row } from "../report.ts";
import type { PlaygroundOptions } from "../../kit/playground.ts";
import { openCachedFleet } from "./cached-fleet.ts";
import { middle, timedInvoke } from "./timed-invoke.ts";

const count = 1_000;
const rounds = 3;

export async function output(from: PlaygroundOptions["from"]): Promise<void> {
  heading(`output of ${String(count)} emulated hosts at the CLI (median of ${String(rounds)})`);
  await using fleet = await openCachedFleet("scale", { from, store: "memory" });
  await fleet.grow(count);
  const targets = `host[1-${String(count)}]`;
  for (const [what, program] of [
    ["1 KiB, the same on all", ["fill", "1024"]],
    ["1 MiB, different on each", ["fill", String(2 ** 20), "own"]],
  ] as const) {
    for (const mode of ["stream", "group"]) {
      const runs = [];
      for (let round = 0; round < rounds; round++)
        runs.push(await timedInvoke(fleet, targets, "--output", mode, "--", ...program));
      const { wallMs, peakMiB, bytes } = middle(runs);
      row(
        `${what}: --output ${mode}`,
        milliseconds(wallMs),
        `CLI ${peakMiB.toFixed(0)} MiB resident at most; ${(bytes / 1e6).toFixed(1)} MB printed`,
      );
    }
  }
}
