/** Where an agent keeps things. Knows names, reads and writes nothing. */
import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { maxUnixPathBytes } from "@outpost/protocol/unix-socket";

/**
 *     <directory>/
 *       agent.json      which controller, under which name, limits       config.ts
 *       agent.lock      the process that runs on this directory          lock.ts
 *       identity/       key (never leaves the host), certificate, CAs    credentials.ts
 *       policy.yaml     what operators may do here; may not be there     access/
 *       audit/          what was asked, decided and done                 access/
 *       configurations/ what this host offers, one file each             configurations/
 *       facts.d/        programs that say something of this host         facts/
 *       jobs/           one directory per job                            jobs/
 *       sessions/       one directory per session                        session-host/
 *       handed/         what users that jobs run as are given (0711)     handed-directory.ts
 *       run/            sockets, the session host's lock and log (0700)  sessions/, local/
 *                       requests that must not come twice               access/
 */
export interface AgentPaths {
  readonly directory: string;
  readonly config: string;
  readonly lock: string;
  readonly identity: string;
  readonly key: string;
  readonly certificate: string;
  /** The controller's CA; two while it is being changed. */
  readonly authority: string;
  /** The operators' authority. */
  readonly operators: string;
  readonly policy: string;
  readonly audit: string;
  readonly configurations: string;
  /** Where programs are that say something of this host; those of a later folder have the last word. */
  readonly factFolders: readonly string[];
  /** What they said last. */
  readonly rememberedFacts: string;
  readonly jobs: string;
  readonly sessions: string;
  readonly handed: string;
  readonly run: string;
  /** The directory of both sockets: `run`, or where that is too long for a socket's path one in `/tmp`. To be made, and
   * made sure of, by `makePrivateDirectory` (private-directory.ts) before anything listens or dials there. */
  readonly sockets: string;
  /** Where the session host listens for its agent. */
  readonly sessionHostSocket: string;
  readonly sessionHostLock: string;
  readonly sessionHostLog: string;
  /** Requests that were carried out and must not be again. */
  readonly replay: string;
  /** Where the agent listens for programs on its host. */
  readonly localSocket: string;
}

/** Of the agent that is a service of the machine. What packages and configuration management say of the machine is its, and
 * not that of agents that somebody else runs beside it. */
const systemDirectory = "/var/lib/outpost-agent";
const systemFactFolder = "/etc/outpost/facts.d";

/** @param directory made absolute */
export function agentPaths(directory: string): AgentPaths {
  const root = resolve(directory);
  const identity = join(root, "identity");
  const run = join(root, "run");
  const sockets = socketDirectory(root, run);
  return {
    directory: root,
    config: join(root, "agent.json"),
    lock: join(root, "agent.lock"),
    identity,
    key: join(identity, "agent.key"),
    certificate: join(identity, "agent.crt"),
    authority: join(identity, "ca.crt"),
    operators: join(identity, "operators.crt"),
    policy: join(root, "policy.yaml"),
    audit: join(root, "audit"),
    configurations: join(root, "configurations"),
    factFolders: [...(root === systemDirectory ? [systemFactFolder] : []), join(root, "facts.d")],
    rememberedFacts: join(run, "facts.json"),
    jobs: join(root, "jobs"),
    sessions: join(root, "sessions"),
    handed: join(root, "handed"),
    run,
    sockets,
    sessionHostSocket: join(sockets, sessionHostSocketName),
    sessionHostLock: join(run, "session-host.lock"),
    sessionHostLog: join(run, "session-host.log"),
    replay: join(run, "replay"),
    localSocket: join(sockets, "agent.sock"),
  };
}

/** The longest name of a socket. */
const sessionHostSocketName = "session-host.sock";

/**
 * Agent, session host and the programs on the host find each other by the agent's directory alone, whatever the
 * environment of each: so it is `/tmp`, and not `$TMPDIR`, which a session may have set.
 */
function socketDirectory(root: string, run: string): string {
  if (Buffer.byteLength(join(run, sessionHostSocketName)) <= maxUnixPathBytes) return run;
  const hash = createHash("sha256").update(root).digest("hex").slice(0, 16);
  return `/tmp/outpost-agent-${String(process.getuid?.() ?? 0)}-${hash}`;
}

/** `$OUTPOST_AGENT_DIR`, else `/var/lib/outpost-agent` for root and `~/.local/state/outpost-agent` for others. */
export function defaultAgentDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const set = env["OUTPOST_AGENT_DIR"];
  if (set !== undefined && set !== "") return set;
  return process.getuid?.() === 0 ? systemDirectory : join(homedir(), ".local", "state", "outpost-agent");
}
