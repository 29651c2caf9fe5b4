/** `pnpm bench fleet [tools scale reconnect memory output]`: many hosts. */
import type { PlaygroundOptions } from "../../kit/playground.ts";
import { idleMemory } from "./idle-memory.ts";
import { output } from "./output.ts";
import { reconnect } from "./reconnect.ts";
import { scale } from "./scale.ts";
import { tools } from "./tools.ts";

export const fleetParts: Readonly<Record<string, (from: PlaygroundOptions["from"]) => Promise<void>>> = {
  tools,
  scale,
  output,
  reconnect,
  memory: idleMemory,
};
