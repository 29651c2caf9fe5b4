/** The seed of a random order, which may have been drawn: with it, the same order can be had again. */
import type { StartOptions } from "../client/index.ts";
import { say } from "./render/sink.ts";

export async function sayOrder({ rollout }: StartOptions): Promise<void> {
  if (rollout?.order?.kind === "random") await say(`order: random:${String(rollout.order.seed)}`);
}
