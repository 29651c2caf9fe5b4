/** Where the chain of a log ends: what its next line must follow. */
import { AuditFiles } from "./audit-files.ts";
import { hashOf, noLine, parseLine } from "./audit-line.ts";
import { linesBackwards } from "./lines.ts";

export interface ChainEnd {
  /** Of the last line; 0 when there is none. */
  readonly sequence: number;
  /** The hash of the last line. */
  readonly head: string;
}

/**
 * Of a log that nobody writes. Lines at the end that are no entries are counted, so that no number comes twice, and
 * followed as they are: the chain goes on, and `verifyAuditLog` tells of them.
 */
export function findChainEnd(directory: string): ChainEnd {
  using files = AuditFiles.open(directory);
  let head: string | undefined;
  let damaged = 0;
  for (const { file, end } of files.newestFirst()) {
    for (const lines of linesBackwards(file, end)) {
      for (const line of lines) {
        head ??= line === undefined ? noLine : hashOf(line);
        const entry = parseLine(line);
        if (entry !== undefined) return { sequence: entry.sequence + damaged, head };
        damaged++;
      }
    }
  }
  return { sequence: damaged, head: head ?? noLine };
}
