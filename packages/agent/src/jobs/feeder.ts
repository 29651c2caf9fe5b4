/**
 * A program of its own: writes a job's input spool to its standard output, as it arrives, and outlives the agent.
 *
 *     node feeder.ts JOB_DIRECTORY
 *
 * Ends with 0 when all of `stdin` was written and `stdin.end` says that it is complete, when nobody reads any more, or
 * when the job is over. Plain Node and nothing else: one of these runs for each job with a streamed input.
 */
import { closeSync, constants, openSync, readSync, watch, writeSync } from "node:fs";
import { join } from "node:path";
import { completeSize, jobIsOver } from "./feed-source.ts";

const directory = process.argv[2]!;
const blockBytes = 64 * 1024;
/** In case a change was not told, in milliseconds. */
const pollMs = 1_000;

const spool = openSync(join(directory, "stdin"), constants.O_RDONLY | constants.O_NOFOLLOW);
const block = Buffer.alloc(blockBytes);
let offset = 0;

/** Writes what is there. The pipe blocks: the job's pace is ours. */
function feed(): void {
  for (;;) {
    const length = readSync(spool, block, 0, blockBytes, offset);
    if (length === 0) return;
    for (let at = 0; at < length;) at += writeSync(1, block, at, length - at);
    offset += length;
  }
}

function step(): void {
  try {
    // First whether it is complete, then what is there: the other way round, what came between would be lost.
    const size = completeSize(directory);
    feed();
    if (size !== undefined && offset >= size) process.exit(0);
  } catch (error) {
    process.exit((error as NodeJS.ErrnoException).code === "EPIPE" ? 0 : 1);
  }
  if (jobIsOver(directory)) process.exit(0);
}

process.on("exit", () => closeSync(spool));
watch(directory, step).on("error", () => {});
setInterval(step, pollMs);
step();
