/** What a session has of its surroundings. */
import type { Clock } from "@outpost/protocol";
import type { Logger } from "pino";
import type { Configurations } from "../configurations/index.ts";
import type { Platform } from "../platform/index.ts";
import type { SessionDirectory } from "./session-directory.ts";
import type { SessionSettings } from "./settings.ts";

export interface SessionContext {
  readonly directory: SessionDirectory;
  readonly settings: SessionSettings;
  readonly hostName: string;
  /** The agent's directory. */
  readonly agentDirectory: string;
  readonly configurations: Configurations;
  readonly platform: Platform;
  readonly clock: Clock;
  readonly log: Logger;
  /** It stands otherwise. `soon`: only its output has grown, or was seen. */
  readonly changed: (how: "now" | "soon") => void;
  /** It has ended and nobody needs it any more. */
  readonly forgettable: () => void;
}
