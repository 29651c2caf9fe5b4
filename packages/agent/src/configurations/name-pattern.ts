/** Names and globs: `ada`, `*@ops`, `GIT_*`. */
import { fits } from "@outpost/protocol/targets";

/** `*`: any characters, `?`: one. */
export type NamePattern = string;

export function isNamed(patterns: readonly NamePattern[], name: string): boolean {
  return patterns.some((pattern) => fits(pattern, name));
}

/** Whether it stands for one name only. */
export function isLiteral(pattern: NamePattern): boolean {
  return !/[*?]/.test(pattern);
}
