/** Hosts that an expression names and that are not there. */
import { ErrorCode, OutpostError } from "../errors.ts";
import { fold } from "./fold.ts";
import { leaves, type Targets } from "./syntax.ts";

/** So many are gathered: more of them tell nobody anything. */
const maxMissing = 10_000;
/** So many characters of their names are shown. */
const maxShown = 400;
/** So many of them stand in the error one by one, for programs. */
const maxListed = 100;

/** Also of those that are to be left out: a typo there would let the command loose on the very host. */
export function missingHosts(targets: Targets, known: { has(name: string): boolean }): readonly string[] {
  const missing = new Set<string>();
  for (const leaf of leaves(targets.root)) {
    if (leaf.kind !== "pattern" || leaf.pattern.kind === "glob") continue;
    for (const name of leaf.pattern.names()) {
      if (known.has(name)) continue;
      missing.add(name);
      if (missing.size >= maxMissing) return [...missing];
    }
  }
  return [...missing];
}

export function firstMissing(missing: readonly string[]): OutpostError {
  const folded = fold(missing);
  const shown = folded.length > maxShown ? `${folded.slice(0, maxShown)}…` : folded;
  const what =
    missing.length === 1 ? `there is no host called ${shown}` : `there are no hosts called ${shown}`;
  return new OutpostError(ErrorCode.notFound, `${what}; \`outpost host list\` shows the hosts`, {
    data: { target: shown, missing: missing.slice(0, maxListed) },
  });
}
