/** Whether there is a Docker to make hosts with. */
import { spawnSync } from "node:child_process";

/** Asks the daemon, not only for the program: a client without a daemon makes no containers. */
export function dockerRuns(): boolean {
  return spawnSync("docker", ["info"], { stdio: "ignore", timeout: 10_000 }).status === 0;
}
