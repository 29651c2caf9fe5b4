/** Paths in a file stream, and where links lead. Pure: nothing is looked up. */
import { broken, maxDepth, maxPathBytes } from "./record.ts";

/** The longest name of a file, in bytes. */
const maxNameBytes = 255;

/**
 * The names that a path is made of: none of them empty, `.` or `..`, none with NUL; so it stays below where it begins.
 * @throws OutpostError `protocol_error`
 */
export function namesOf(path: string): readonly string[] {
  if (Buffer.byteLength(path) > maxPathBytes) throw broken("a path is too long");
  const names = path.split("/");
  if (names.length > maxDepth) throw broken("directories lie too deep in each other");
  for (const name of names) {
    const isPlain = name !== "" && name !== "." && name !== ".." && !name.includes("\0");
    if (!isPlain || Buffer.byteLength(name) > maxNameBytes)
      throw broken(`${JSON.stringify(path.slice(0, 200))} is not a path below the destination`);
  }
  return names;
}

/** The order of the entries of a directory: that of their names' UTF-8 bytes. */
export function compareNames(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  let at = 0;
  while (at < length && left.charCodeAt(at) === right.charCodeAt(at)) at++;
  if (at === length) return left.length - right.length;
  return rank(left.charCodeAt(at)) - rank(right.charCodeAt(at));
}

/** Of a UTF-16 unit: the two of a character beyond 0xffff come behind all others, as its bytes do. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x1_0000 : unit;
}

/**
 * Whether a link leads out of the tree, or might. `..` counts only at the beginning of its target, where it leaves real
 * directories: behind the name of another link nobody knows what it leaves.
 * @param depth how many directories of the tree the link lies in
 */
export function leadsOutside(target: string, depth: number): boolean {
  if (target === "" || target.startsWith("/") || target.includes("\0")) return true;
  const parts = target.split("/").filter((part) => part !== "" && part !== ".");
  let up = 0;
  while (parts[up] === "..") up++;
  return up > depth || parts.includes("..", up);
}
