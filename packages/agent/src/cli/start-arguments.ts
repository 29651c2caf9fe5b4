/**
 * Reads the arguments of a plain `start` without yargs: what a running agent has loaded it keeps, and yargs would be
 * 7 MB of its 70. Whatever is not plainly right (a typo, `--help`) is left to yargs, which explains it.
 */
import { parseArgs } from "node:util";
import { defaultAgentDirectory } from "../directory.ts";
import { type LogLevel, logLevels } from "../log-level.ts";
import type { StartOptions } from "./start.ts";

/** The options of `outpost-agent ARGS`, or `undefined` when it is not a `start` or needs yargs. */
export function readStart(args: readonly string[]): StartOptions | undefined {
  const [command, ...rest] = args;
  if (command !== "start") return undefined;
  try {
    const { values } = parseArgs({
      args: rest,
      options: {
        dir: { type: "string", multiple: true, default: [defaultAgentDirectory()] },
        "log-level": { type: "string", multiple: true, default: ["info"] },
      },
    });
    const [dir, ...moreDirs] = values.dir;
    const [logLevel, ...moreLevels] = values["log-level"];
    if (!dir || !isLogLevel(logLevel) || moreDirs.length > 0 || moreLevels.length > 0) return undefined;
    return { dir, logLevel };
  } catch {
    return undefined;
  }
}

function isLogLevel(text: string | undefined): text is LogLevel {
  return logLevels.some((level) => level === text);
}
