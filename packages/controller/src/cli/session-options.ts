/** Options that several of the session commands have. */
import { flag, list, value } from "./command.ts";
import { configurationOptions } from "./configuration-options.ts";
import { parseDuration } from "./duration.ts";
import { parseRemoteDirectory, parseVariable } from "./job-options.ts";

/** What a session begins with. */
export const openOptions = {
  shell: value(
    "The shell: a path, or a name on the host's PATH; default: the login shell of the agent's user",
    {
      argument: "SHELL",
    },
  ),
  cwd: value("The working directory to begin in; default: the home of the agent's user", {
    argument: "DIR",
    parse: parseRemoteDirectory,
  }),
  env: list("An environment variable of the session, KEY=VALUE", {
    argument: "KEY=VALUE",
    parse: parseVariable,
  }),
  ...configurationOptions,
  record: flag("Keep a recording on the host, for `outpost session replay` and `export`"),
} as const;

export const hostOption = value("On this host; needed when the session is on several", {
  argument: "HOST",
  complete: "hosts",
});

export const hostsOption = list("Only on this host", { argument: "HOST", complete: "hosts" });

/** How a session is shown, and taken over. */
export const connectOptions = {
  host: hostOption,
  watch: flag("Look on, without typing; ~t takes control later"),
  "take-over": flag("Take control; whoever has it only watches from then on"),
} as const;

/** How the terminal behaves. */
export const terminalOptions = {
  escape: value("The escape character, or none", {
    argument: "CHAR|none",
    parse: parseEscape,
    defaultText: "~",
  }),
  "reconnect-for": value("How long to go on trying after the connection was lost; default: no limit", {
    argument: "DURATION",
    parse: parseDuration,
  }),
} as const;

export const idleTimeoutOption = value(
  "Close it when it was disconnected and idle for so long, e.g. 30m, 2h; default: the host's setting",
  { argument: "DURATION", parse: parsePositiveDuration },
);

const bufferings = ["spill", "block", "drop-oldest"] as const;

export const bufferingOption = value(
  "What happens to output that nobody looks at: it goes to disk, the shell waits, or the oldest is dropped; default spill",
  { argument: bufferings.join("|"), choices: bufferings, parse: parseBuffering },
);

function parseBuffering(text: string): (typeof bufferings)[number] {
  const found = bufferings.find((each) => each === text);
  if (found === undefined) throw new Error(`is none of ${bufferings.join(", ")}`);
  return found;
}

function parsePositiveDuration(text: string): number {
  const ms = parseDuration(text);
  if (ms < 1) throw new Error("is no time at all");
  return ms;
}

/** What is not given is `~`; `none` is an empty text. */
function parseEscape(text: string): string {
  if (text === "none") return "";
  if (/^[!-~]$/.test(text)) return text;
  throw new Error("is neither one visible ASCII character nor none");
}

/** @param given as `parseEscape` gives it. @returns undefined: no escape character */
export function escapeCharacter(given: string | undefined): string | undefined {
  return given === "" ? undefined : (given ?? "~");
}
