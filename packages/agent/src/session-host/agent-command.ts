/**
 * `outpost-agent` for people in a session: the program that this session host belongs to, whether it is installed on the
 * PATH or not. The shell integrations put its folder behind the rest of the PATH.
 */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { quote } from "./shell/quote.ts";

const program = fileURLToPath(new URL(`../main${extname(import.meta.url)}`, import.meta.url));

/** The folder of the command, in the run directory. */
export function agentCommandFolder(runDirectory: string): string {
  return join(runDirectory, "bin");
}

/** Writes the command, once for each session host; leaves it out where a full disk does not allow it. */
export function writeAgentCommand(runDirectory: string): void {
  const folder = agentCommandFolder(runDirectory);
  const words = [process.execPath, ...process.execArgv, program].map((word) => quote(word)).join(" ");
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    const file = join(folder, "outpost-agent");
    writeFileSync(`${file}.new`, `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
    renameSync(`${file}.new`, file);
  } catch {
    // The shell is what is asked for.
  }
}
