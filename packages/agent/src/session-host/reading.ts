/**
 * Reads what a session keeps (`session.read`): its output with announced gaps, or its recording; from an offset, as far
 * as the reader's credit goes, until what is there has been sent or, if it follows, the session has ended.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import {
  ErrorCode,
  type OutgoingStream,
  OutpostError,
  type SessionGap,
  type SessionReadParams,
} from "@outpost/protocol";
import type { OutputLog } from "./output-log.ts";
import type { SeenRanges } from "./seen-ranges.ts";

const blockBytes = 64 * 1024;
/** Filled and sent within one turn of the event loop: sending copies. */
const block = Buffer.alloc(blockBytes);

/** Where a reader puts what it reads. */
export interface ReadingSink {
  /** A stream opened and announced, begun at `offset` with the reader's window. Called once, first. */
  open(offset: number): OutgoingStream;
  /** Called before the chunk that follows the gap. The stream is moved by the reading. */
  gap(gap: SessionGap): void;
}

/** What may grow while it is read. */
export interface Growing {
  /** Nothing will be added any more. */
  readonly isOver: () => boolean;
  /** Calls back when there may be more, or it is over. Returns what ends that. */
  readonly watch: (listener: () => void) => () => void;
}

export interface OutputSource extends Growing {
  readonly log: OutputLog;
  readonly seen: SeenRanges;
}

type ReadParams = Pick<SessionReadParams, "from" | "seen" | "follow">;

/** What comes next of something that is read. */
interface Source extends Growing {
  readonly from: number;
  end(): number;
  /** What is not to be sent at `offset`, up to where; bytes of a gap do not count as read. */
  gapAt(offset: number): SessionGap | undefined;
  /** Where the next gap begins, at the latest. */
  gapAfter(offset: number): number;
  read(offset: number, into: Uint8Array): number;
}

/** @throws OutpostError `cancelled`, `disconnected`; `invalid_argument` when it begins beyond the end */
export function readOutput(
  { log, seen, isOver, watch }: OutputSource,
  params: ReadParams,
  sink: ReadingSink,
  signal: AbortSignal,
): Promise<void> {
  const source: Source = {
    // What was dropped unseen stands before the first byte that is there: as a gap.
    from: params.from ?? seen.firstUnseen(0),
    isOver,
    watch,
    end: () => log.end,
    gapAt(offset) {
      const isSeen = seen.firstUnseen(offset) > offset;
      const kept = log.kept(offset);
      if (!params.seen && isSeen) return gap(offset, seen.firstUnseen(offset), "received");
      if (kept === offset) return undefined;
      if (isSeen) return gap(offset, Math.min(kept, seen.firstUnseen(offset)), "received");
      return gap(offset, Math.min(kept, seen.firstSeen(offset)), "dropped");
    },
    gapAfter: (offset) => (params.seen ? Infinity : seen.firstSeen(offset)),
    read: (offset, into) => log.read(offset, into),
  };
  return send(source, params.follow, sink, signal);
}

/** @throws OutpostError as `readOutput`; `not_found` when the file is not there */
export async function readRecording(
  { path, isOver, watch }: Growing & { readonly path: string },
  params: ReadParams,
  sink: ReadingSink,
  signal: AbortSignal,
): Promise<void> {
  const file = openRecording(path);
  try {
    const source: Source = {
      from: params.from ?? 0,
      isOver,
      watch,
      end: () => fstatSync(file).size,
      gapAt: () => undefined,
      gapAfter: () => Infinity,
      read: (offset, into) => readSync(file, into, 0, into.byteLength, offset),
    };
    await send(source, params.follow, sink, signal);
  } finally {
    closeSync(file);
  }
}

function openRecording(path: string): number {
  try {
    return openSync(path, "r");
  } catch (error) {
    throw new OutpostError(ErrorCode.notFound, "the recording of this session is not there any more", {
      cause: error,
    });
  }
}

function gap(from: number, to: number, reason: SessionGap["reason"]): SessionGap {
  return { from, to, reason };
}

async function send(source: Source, follow: boolean, sink: ReadingSink, signal: AbortSignal): Promise<void> {
  const { from } = source;
  // Without following, what is there now is all.
  const last = follow ? Infinity : source.end();
  if (from > source.end()) {
    throw new OutpostError(
      ErrorCode.invalidArgument,
      `from: ${String(from)} is beyond the end, ${String(source.end())}`,
    );
  }
  const stream = sink.open(from);
  try {
    for (let at = from; ;) {
      signal.throwIfAborted();
      // Whether it is over first, then how much there is: what came between would be missed the other way round.
      const isOver = source.isOver();
      const end = Math.min(source.end(), last);
      const missing = at < end ? source.gapAt(at) : undefined;
      if (missing !== undefined) {
        const to = Math.min(missing.to, end);
        sink.gap({ ...missing, to });
        stream.skipTo(to);
        at = to;
      } else if (at < end) {
        at += await sendPiece(source, stream, at, end, signal);
      } else if (isOver || end === last) {
        break;
      } else {
        await grown(source, signal, end);
      }
    }
    stream.end();
  } catch (error) {
    stream.end(OutpostError.from(error));
    throw error;
  }
}

async function sendPiece(
  source: Source,
  stream: OutgoingStream,
  at: number,
  end: number,
  signal: AbortSignal,
): Promise<number> {
  const credit = await stream.ready(signal);
  // What has become a gap meanwhile is found at the next look.
  if (source.gapAt(at) !== undefined) return 0;
  const length = Math.min(credit, end - at, source.gapAfter(at) - at, blockBytes);
  const read = source.read(at, block.subarray(0, length));
  stream.send(block.subarray(0, read));
  return read;
}

/** Waits until there is more than `end`, or it is over. @throws the signal's reason */
function grown(source: Source, signal: AbortSignal, end: number): Promise<void> {
  if (source.end() > end || source.isOver()) return Promise.resolve();
  return new Promise((resolve) => {
    const look = (): void => {
      if (!signal.aborted && source.end() <= end && !source.isOver()) return;
      unwatch();
      signal.removeEventListener("abort", look);
      resolve();
    };
    const unwatch = source.watch(look);
    signal.addEventListener("abort", look);
  });
}
