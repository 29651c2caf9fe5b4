/** The host that is examined: what earlier checks have found, for the later ones. */
import type { AgentStatus } from "@outpost/protocol";
import type { AgentConfig } from "../../config.ts";
import type { Credentials } from "../../credentials.ts";
import type { AgentPaths } from "../../directory.ts";

export class Patient {
  readonly paths: AgentPaths;
  /** What the agent that runs says; `undefined`: none runs, or it does not say. */
  status: AgentStatus | undefined;
  #config: AgentConfig | undefined;
  #credentials: Credentials | undefined;

  constructor(paths: AgentPaths) {
    this.paths = paths;
  }

  /** Known once `joined` was looked at. */
  get config(): AgentConfig {
    return this.#config!;
  }

  set config(config: AgentConfig) {
    this.#config = config;
  }

  /** Known once `identity` was looked at. */
  get credentials(): Credentials {
    return this.#credentials!;
  }

  set credentials(credentials: Credentials) {
    this.#credentials = credentials;
  }
}
