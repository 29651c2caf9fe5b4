/** What a connected agent that does nothing takes at its controller. */
import { BareServer } from "../bare-server.ts";
import { heading, row } from "../report.ts";
import { memory } from "../process-use.ts";
import type { PlaygroundOptions } from "../../kit/playground.ts";
import { openCachedFleet } from "./cached-fleet.ts";

const count = 10_000;
/** After the herd, until what it left behind is collected: two rounds of heartbeats, in milliseconds. */
const idleMs = 25_000;

export async function idleMemory(from: PlaygroundOptions["from"]): Promise<void> {
  heading(`memory at ${String(count)} idle connections, resident, after ${String(idleMs / 1000)} s`);
  const bare = await bareKiB();
  row("bare mTLS ws server, per connection", `${bare.toFixed(1)} KiB`);
  await using fleet = await openCachedFleet("scale", { from, store: "memory" });
  const { controller } = fleet.playground;
  let withNone = 0;
  // Enrolled first, and the controller started anew: signing certificates leaves more behind than connections take.
  await fleet.grow(count, async () => {
    await controller.signal("SIGTERM");
    controller.start();
    await fleet.playground.connected([]);
    withNone = memory(controller.pid!).rss;
  });
  await idle();
  const kib = ((memory(controller.pid!).rss - withNone) * 1024) / count;
  row(
    "controller, per agent",
    `${kib.toFixed(1)} KiB`,
    `${(kib - bare).toFixed(1)} KiB beyond the bare server`,
  );
}

async function bareKiB(): Promise<number> {
  using bare = await BareServer.start();
  // As with the controller: a few connections first, so that what is loaded once is not counted.
  await bare.connect(10);
  const before = memory(bare.pid).rss;
  await bare.connect(count);
  await idle();
  return ((memory(bare.pid).rss - before) * 1024) / count;
}

const idle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, idleMs));
