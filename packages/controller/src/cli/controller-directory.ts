/** Where a controller of this machine keeps its state, and what the CLI keeps there. */
import { readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { value } from "./command.ts";
import { type Listen, parseListen } from "./listen.ts";

export const directoryOption = {
  dir: value("The controller's directory", {
    argument: "DIR",
    defaultText:
      "$OUTPOST_CONTROLLER_DIR, else /var/lib/outpost-controller (root) or ~/.local/state/outpost-controller",
    complete: "directories",
  }),
} as const;

/** @param given `--dir` */
export function controllerDirectory(given: string | undefined, env: NodeJS.ProcessEnv = process.env): string {
  const set = given ?? env["OUTPOST_CONTROLLER_DIR"];
  if (set !== undefined && set !== "") return resolve(set);
  return process.getuid?.() === 0
    ? "/var/lib/outpost-controller"
    : join(homedir(), ".local", "state", "outpost-controller");
}

const fileName = "controller.json";

/** What `controller init` was told, for `controller start`. */
export async function writeListen(directory: string, listen: string): Promise<void> {
  await writeFile(join(directory, fileName), `${JSON.stringify({ listen }, undefined, 2)}\n`);
}

/** `undefined` when nothing was written, or somebody has made it unreadable: then the default holds. */
export async function readListen(directory: string): Promise<Listen | undefined> {
  try {
    const { listen } = JSON.parse(await readFile(join(directory, fileName), "utf8")) as { listen?: unknown };
    return typeof listen === "string" ? parseListen(listen) : undefined;
  } catch {
    return undefined;
  }
}
