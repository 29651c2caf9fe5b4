/** Paths with `*`, `?` and `[…]`, as a shell finds them: a leading dot is only matched by a dot, and what is found is sorted. */
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fitsSteps } from "@outpost/protocol/glob";
import { compareNames } from "./entry-path.ts";

export function isPattern(path: string): boolean {
  return /[*?[]/.test(path);
}

/**
 * What there is of a pattern's paths; nothing when there is none. Directories that cannot be read hold nothing.
 * @returns undefined when there are more than `maxFound`
 */
export async function expandPattern(
  pattern: string,
  maxFound: number,
): Promise<readonly string[] | undefined> {
  const parts = pattern.split("/").filter((part) => part !== "");
  let found = [pattern.startsWith("/") ? "/" : ""];
  for (const part of parts) {
    const next: string[] = [];
    for (const folder of found) {
      for (const path of await within(folder, part)) next.push(path);
      if (next.length > maxFound) return undefined;
    }
    found = next;
  }
  return found;
}

async function within(folder: string, part: string): Promise<readonly string[]> {
  if (!isPattern(part)) {
    const path = join(folder, part);
    return (await exists(path)) ? [path] : [];
  }
  const fits = matcher(part);
  const names = await readdir(folder === "" ? "." : folder).catch(() => []);
  return names
    .filter((name) => (name.startsWith(".") ? part.startsWith(".") : true) && fits(name))
    .toSorted(compareNames)
    .map((name) => join(folder, name));
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch {
    return false;
  }
}

type Step = "any" | ((character: string) => boolean);

/** One name against one part of a pattern. */
function matcher(pattern: string): (name: string) => boolean {
  const steps = stepsOf(Array.from(pattern));
  return (name) =>
    fitsSteps<Step>(steps, Array.from(name), "any", (step, character) => step !== "any" && step(character));
}

function stepsOf(characters: readonly string[]): readonly Step[] {
  const steps: Step[] = [];
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]!;
    if (character === "*") steps.push("any");
    else if (character === "?") steps.push(() => true);
    else if (character === "[") {
      const set = setOf(characters, at);
      // Without an end it is a bracket.
      steps.push(set?.has ?? ((each) => each === "["));
      at = set?.end ?? at;
    } else steps.push((each) => each === character);
  }
  return steps;
}

/** `[abc]`, `[a-z]`, `[!a]`: what begins at `start`, and where it ends. */
function setOf(
  characters: readonly string[],
  start: number,
): { readonly has: (character: string) => boolean; readonly end: number } | undefined {
  const isNot = characters[start + 1] === "!" || characters[start + 1] === "^";
  const first = start + (isNot ? 2 : 1);
  // A bracket that comes first is one of the set.
  const end = characters.indexOf("]", first + 1);
  if (end === -1) return undefined;
  const ranges: (readonly [string, string])[] = [];
  for (let at = first; at < end; at++) {
    const from = characters[at]!;
    const isRange = characters[at + 1] === "-" && at + 2 < end;
    ranges.push([from, isRange ? characters[at + 2]! : from]);
    if (isRange) at += 2;
  }
  const has = (character: string): boolean =>
    ranges.some(([from, to]) => from <= character && character <= to) !== isNot;
  return { has, end };
}
