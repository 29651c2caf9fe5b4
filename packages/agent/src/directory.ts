/** Where an agent keeps things. Knows names, reads and writes nothing. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";

/**
 *     <directory>/
 *       agent.json      which controller, under which name, limits       config.ts
 *       agent.lock      the process that runs on this directory          lock.ts
 *       identity/       key (never leaves the host), certificate, CA     credentials.ts
 *       jobs/           one directory per job                            jobs/
 */
export interface AgentPaths {
  readonly directory: string;
  readonly config: string;
  readonly lock: string;
  readonly identity: string;
  readonly key: string;
  readonly certificate: string;
  readonly authority: string;
  readonly jobs: string;
}

/** @param directory made absolute */
export function agentPaths(directory: string): AgentPaths {
  const root = resolve(directory);
  const identity = join(root, "identity");
  return {
    directory: root,
    config: join(root, "agent.json"),
    lock: join(root, "agent.lock"),
    identity,
    key: join(identity, "agent.key"),
    certificate: join(identity, "agent.crt"),
    authority: join(identity, "ca.crt"),
    jobs: join(root, "jobs"),
  };
}

/** `$OUTPOST_AGENT_DIR`, else `/var/lib/outpost-agent` for root and `~/.local/state/outpost-agent` for others. */
export function defaultAgentDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const set = env["OUTPOST_AGENT_DIR"];
  if (set !== undefined && set !== "") return set;
  return process.getuid?.() === 0
    ? "/var/lib/outpost-agent"
    : join(homedir(), ".local", "state", "outpost-agent");
}
