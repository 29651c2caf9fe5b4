/**
 * A program of its own, as feeder.ts, for a job in a session: writes the job's input spool, as it arrives, to the named
 * pipe that the session's shell opens when it is the job's turn. Outlives the agent.
 *
 *     node pipe-feeder.ts JOB_DIRECTORY
 *
 *     waiting ──the shell has opened the pipe──▶ feeding ──all of it, nobody reads, or job over──▶ ended
 *
 * Never blocks on the pipe: the job may never have its turn.
 */
import { constants, openSync, readSync, watch } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { completeSize, jobIsOver } from "./feed-source.ts";

const directory = process.argv[2]!;
const blockBytes = 64 * 1024;
/** How often to look whether the shell has opened the pipe, when that was not told, in milliseconds. */
const openEveryMs = 50;
/** In case a change was not told, in milliseconds. */
const pollMs = 1_000;

const spool = openSync(join(directory, "stdin.spool"), constants.O_RDONLY | constants.O_NOFOLLOW);
const block = Buffer.alloc(blockBytes);
let offset = 0;
let pipe: Socket | undefined;
let isBusy = false;

/** `undefined` as long as nobody reads there. */
function openPipe(): Socket | undefined {
  try {
    const fd = openSync(
      join(directory, "stdin"),
      constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW,
    );
    const opened = new Socket({ fd, readable: false, writable: true });
    // The command has read what it wanted, or has ended.
    opened.on("error", () => process.exit(0));
    return opened;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENXIO") return undefined;
    throw error;
  }
}

function step(): void {
  try {
    pipe ??= openPipe();
    if (pipe === undefined) {
      if (jobIsOver(directory)) process.exit(0);
    } else feed(pipe);
  } catch {
    process.exit(jobIsOver(directory) ? 0 : 1);
  }
}

/** One block after the other, each when the one before is in the pipe: the job's pace is ours. */
function feed(to: Socket): void {
  if (isBusy) return;
  // First whether it is complete, then what is there: the other way round, what came between would be lost.
  const size = completeSize(directory);
  const length = readSync(spool, block, 0, blockBytes, offset);
  if (length > 0) {
    isBusy = true;
    offset += length;
    to.write(block.subarray(0, length), () => {
      isBusy = false;
      step();
    });
  } else if (size !== undefined && offset >= size) {
    isBusy = true;
    to.end(() => process.exit(0));
  } else if (jobIsOver(directory)) process.exit(0);
}

watch(directory, step).on("error", () => {});
const opening = setInterval(() => {
  step();
  if (pipe === undefined) return;
  clearInterval(opening);
  setInterval(step, pollMs);
}, openEveryMs);
step();
