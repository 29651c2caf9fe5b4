/**
 * `TARGETS:PATH` or a path here, as scp(1) tells them apart: a path has no colon, or a slash before it.
 *
 *     web1:/srv        role=web:/srv       @eu-web:/srv       @slurm:gpu:/srv      (address="fe80::1" or db1):/srv
 *     file             ./odd:name          dir/odd:name       /srv/x
 */

export interface Place {
  readonly targets: string;
  /** On the hosts; empty: where jobs begin, which is a user's home. */
  readonly path: string;
}

/** @returns undefined for a path here */
export function placeOf(text: string): Place | undefined {
  const at = separatorOf(text);
  return at === undefined ? undefined : { targets: text.slice(0, at), path: text.slice(at + 1) };
}

/** Where the targets end: the first colon that is in no quotes, no parentheses and no group's name. */
function separatorOf(text: string): number | undefined {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === '"' || character === "'") {
      const end = text.indexOf(character, at + 1);
      if (end === -1) return undefined;
      at = end;
    } else if (character === "(") depth++;
    else if (character === ")") depth--;
    else if (depth > 0) continue;
    else if (character === "@") at += groupSource(text, at);
    else if (character === ":") return at === 0 ? undefined : at;
    else if (character === "/" && !text.startsWith("@file:")) return undefined;
  }
  return undefined;
}

/**
 * How much of `@source:group` is the source with its colon. In `@group:/srv` there is none: behind the colon a path begins, or
 * there is no other colon for the path.
 */
function groupSource(text: string, at: number): number {
  const [whole, source] = /^@([A-Za-z0-9_.-]+):/.exec(text.slice(at)) ?? [];
  if (whole === undefined) return 0;
  const rest = text.slice(at + whole.length);
  const isSource = source === "file" || (!/^[/.~]/.test(rest) && separatorOf(rest) !== undefined);
  return isSource ? whole.length - 1 : 0;
}
