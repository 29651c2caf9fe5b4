/** Ten thousand agents after a restart of their controller, and whether it hears anybody else meanwhile. */
import { connect } from "@outpost/controller/client";
import { join } from "node:path";
import { heading, milliseconds, row } from "../report.ts";
import type { PlaygroundOptions } from "../../kit/playground.ts";
import { eventually } from "../../kit/wait.ts";
import { openCachedFleet } from "./cached-fleet.ts";

const count = 10_000;
const everyMs = 100;

export async function reconnect(from: PlaygroundOptions["from"]): Promise<void> {
  heading(`${String(count)} emulated agents after kill -9 of the controller and its start`);
  await using fleet = await openCachedFleet("scale", { from, store: "memory" });
  await fleet.grow(count);
  const { controller, directory } = fleet.playground;
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    fleet.forgetFailures();
    await controller.signal(signal);
    const begun = performance.now();
    controller.start();
    // An operator who comes in the midst of the herd, and stays.
    const contextDirectory = join(directory, "context");
    const client = await eventually(() => connect({ contextDirectory }), {
      what: "the controller",
      withinMs: 60_000,
    });
    const cameMs = performance.now() - begun;
    const answers: number[] = [];
    for (;;) {
      const { connected } = await fleet.look();
      if (connected === count) break;
      if (performance.now() - begun > 180_000) throw new Error(`only ${String(connected)} have come back`);
      const asked = performance.now();
      await client.administration.tokens();
      answers.push(performance.now() - asked);
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
    const backMs = performance.now() - begun;
    const { failures } = await fleet.look();
    await client[Symbol.asyncDispose]();
    answers.sort((a, b) => a - b);
    row(
      `${signal}: until all are connected`,
      `${(backMs / 1000).toFixed(1)} s`,
      `an operator after ${milliseconds(cameMs)}`,
    );
    row(
      "  an operator's request meanwhile, median",
      milliseconds(answers[Math.floor(answers.length / 2)] ?? 0),
      `slowest ${milliseconds(answers.at(-1) ?? 0)} of ${String(answers.length)}`,
    );
    for (const [what, times] of Object.entries(failures)) row(`  agents met: ${what}`, `${String(times)} ×`);
  }
}
