/** Colours: whether there are any, and which. */
import { isatty } from "node:tty";

/** `auto`: where there is a terminal, unless the environment says otherwise. */
export type ColorChoice = "auto" | "always" | "never";

/**
 * Whether what is written there may hold colours. An explicit choice goes before the environment's: `NO_COLOR` (no-color.org) and
 * `FORCE_COLOR`, which count when they are not empty; `FORCE_COLOR=0` is `NO_COLOR`.
 */
export function hasColor(
  choice: ColorChoice,
  fd: 1 | 2,
  env: NodeJS.ProcessEnv = process.env,
  isTerminal: (fd: number) => boolean = isatty,
): boolean {
  if (choice !== "auto") return choice === "always";
  const { NO_COLOR: no = "", FORCE_COLOR: force = "", TERM: term } = env;
  if (no !== "") return false;
  if (force !== "") return force !== "0" && force !== "false";
  return term !== "dumb" && isTerminal(fd);
}

const escape = "\u001b[";
const reset = `${escape}0m`;

/** Select Graphic Rendition parameters (ECMA-48, 8.3.117). */
export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";
const parameters: Readonly<Record<Style, string>> = {
  bold: "1",
  dim: "2",
  red: "31",
  green: "32",
  yellow: "33",
  cyan: "36",
};

/** The text in a style; as it is when there is none. */
export function styled(text: string, style: Style | undefined): string {
  return style === undefined || text === "" ? text : `${escape}${parameters[style]}m${text}${reset}`;
}

/** Of the 256 colours those that can be read on black and on white alike, and are not red, which means failure. */
const hues256 = [32, 37, 67, 71, 97, 99, 107, 130, 133, 136, 166, 168].map((each) => `38;5;${String(each)}`);
const hues8 = ["32", "33", "34", "35", "36"];

/** A host's colour, the same for the same name on every day. Also undoes what the line before it has left switched on. */
export function hostColored(host: string, text: string, env: NodeJS.ProcessEnv = process.env): string {
  const { TERM: term = "", COLORTERM: more = "" } = env;
  const hues = term.includes("256") || more !== "" ? hues256 : hues8;
  return `${escape}0;${hues[hash(host) % hues.length]!}m${text}${reset}`;
}

/** FNV-1a, 32 bits: neighbours (web1, web2) get different colours. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  }
  // The low bits of similar names are similar.
  return (value ^ (value >>> 15)) >>> 0;
}
