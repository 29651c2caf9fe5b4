/**
 * Whether a log is as it was written. Each line holds the hash of the line before it, and the lines are numbered:
 *
 *     hash differs, number is the next one   → the line before was edited
 *     number is a later one                  → lines are missing
 *     number was there already               → the line was put in, or moved
 *
 * What the chain alone cannot show: that the last lines were changed or cut off, or that all of it was written anew. For
 * that `head` is compared with one that was noted elsewhere, or with what the other side's log says.
 */
import { setImmediate } from "node:timers/promises";
import type { AuditEntry, AuditVerification } from "@outpost/protocol";
import { type AuditFile, AuditFiles, firstOf } from "./audit-files.ts";
import { hashOf, noLine, parseLine } from "./audit-line.ts";
import { type Line, linesOf } from "./lines.ts";

/** So many problems are told one by one; a log with more was not edited but destroyed. */
const maxProblems = 1_000;

/** What the line of a rotation says that removed the oldest files. `of` is the first line that was kept. */
export const removedAction = "audit.removed";

interface Place {
  readonly file: AuditFile;
  /** From 1; 0 for the file as a whole. */
  readonly line: number;
}

class Verification {
  #entries = 0;
  #first = 0;
  #last = 0;
  #firstPlace: Place | undefined;
  #lastPlace: Place | undefined;
  #head = noLine;
  /** False after a line that was told of already: that its hash is another one is no news. */
  #isHeadKnown = true;
  /** Before this line rotation has removed what was there. */
  #keptFrom = 1;
  readonly #problems: AuditVerification["problems"] = [];
  #untold = 0;

  line(line: Line, place: Place): void {
    const entry = parseLine(line);
    if (entry === undefined)
      this.#problem(place, "this is no entry: it was edited or put in, or the disk is damaged");
    else if (this.#firstPlace === undefined) this.#begin(entry, place);
    else this.#follow(entry, place);
    if (entry?.action === removedAction) this.#keptFrom = Math.max(this.#keptFrom, entry.of ?? 1);
    const named = place.line === 1 ? firstOf(place.file.name) : undefined;
    this.#last = entry?.sequence ?? named ?? this.#last + 1;
    if (this.#firstPlace === undefined) this.#first = this.#last;
    this.#entries++;
    this.#firstPlace ??= place;
    this.#lastPlace = place;
    this.#isHeadKnown = entry !== undefined;
    this.#head = line === undefined ? noLine : hashOf(line);
  }

  /** What only a file as a whole shows. */
  file(file: AuditFile, firstLine: Line): void {
    const first = firstOf(file.name);
    // Of the current file it is what is being written, or what a power cut left and the next start takes off.
    if (first === undefined) return;
    const entry = parseLine(firstLine);
    if (file.size === 0) this.#problem({ file, line: 0 }, "the file is empty: its lines are missing");
    else if (file.end < file.size)
      this.#problem({ file, line: 0 }, "the file was cut off in the middle of its last line");
    if (entry !== undefined && entry.sequence !== first) {
      this.#problem(
        { file, line: 1 },
        `the file's name says that it begins with line number ${String(first)}, and it begins with ${String(entry.sequence)}`,
      );
    }
  }

  result(): AuditVerification {
    if (this.#firstPlace !== undefined && this.#first > this.#keptFrom) {
      this.#problem(
        this.#firstPlace,
        `${range(this.#keptFrom, this.#first - 1)} missing before this one, and rotation has not removed them`,
      );
    }
    if (this.#untold > 0) {
      this.#problems.push({
        ...this.#problems.at(-1)!,
        message: `and ${String(this.#untold)} problems more`,
      });
    }
    return {
      entries: this.#entries,
      first: this.#first,
      last: this.#last,
      head: this.#head,
      problems: this.#problems,
    };
  }

  #begin({ sequence, previous }: AuditEntry, place: Place): void {
    if (sequence === 1 && previous !== noLine)
      this.#problem(place, "this is the first line, and it names one before it: it was edited");
  }

  #follow({ sequence, previous }: AuditEntry, place: Place): void {
    const expected = this.#last + 1;
    if (sequence > expected) {
      this.#problem(place, `${range(expected, sequence - 1)} missing before this one`);
    } else if (sequence < expected) {
      this.#problem(
        place,
        `number ${String(sequence)} comes after ${String(this.#last)}: this line or the one before it was put in or moved`,
      );
    } else if (this.#isHeadKnown && previous !== this.#head) {
      this.#problem(
        this.#lastPlace!,
        "this line was edited (or what the next one says of it): its hash is another one",
      );
    }
  }

  #problem({ file, line }: Place, message: string): void {
    if (this.#problems.length < maxProblems) this.#problems.push({ file: file.name, line, message });
    else this.#untold++;
  }
}

function range(from: number, to: number): string {
  return from === to ? `line number ${String(from)} is` : `lines number ${String(from)} to ${String(to)} are`;
}

export async function verifyAuditLog(directory: string): Promise<AuditVerification> {
  using files = AuditFiles.open(directory);
  const verification = new Verification();
  for (const file of files) {
    let line = 0;
    let firstLine: Line;
    for (const lines of linesOf(file.file, file.end)) {
      for (const each of lines) {
        if (++line === 1) firstLine = each;
        verification.line(each, { file, line });
      }
      await setImmediate();
    }
    verification.file(file, firstLine);
  }
  return verification.result();
}
