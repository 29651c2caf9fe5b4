/**
 * A job's standard input on its way to the controller. What the controller has not yet stored is kept here, so that a
 * cut connection goes on where the controller is.
 */
import { ErrorCode, type JobId, limits, OutpostError, type OutgoingStream } from "@outpost/protocol";
import type { Connection } from "./connection.ts";

export type InputSource = Uint8Array | AsyncIterable<Uint8Array>;

/** What was read of a source before the job is started. */
export type OpenedInput =
  | { readonly kind: "none" }
  /** All of it: it travels in the request. */
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  /** More than fits in a request, or not there yet. */
  | { readonly kind: "stream"; readonly source: AsyncIterable<Uint8Array> };

/** How long a job waits for the end of a short input before it is started, in milliseconds. An input that comes slowly,
 * as from `tail -f`, is streamed. */
const inlineWaitMs = 100;

/** Reads ahead as far as input may travel inline, for a moment, and decides by whether that was all. */
export async function openInput(source: InputSource | undefined): Promise<OpenedInput> {
  if (source === undefined) return { kind: "none" };
  if (source instanceof Uint8Array) {
    return source.byteLength <= limits.maxInlineInputBytes
      ? { kind: "inline", bytes: source }
      : { kind: "stream", source: only([source]) };
  }
  const iterator = source[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  const timeIsUp = Promise.withResolvers<undefined>();
  const timer = setTimeout(timeIsUp.resolve, inlineWaitMs, undefined);
  try {
    for (let size = 0; size <= limits.maxInlineInputBytes;) {
      const reading = asked(iterator);
      const next = await Promise.race([reading, timeIsUp.promise]);
      if (next === undefined) return { kind: "stream", source: only(head, reading, iterator) };
      if (next.done === true) return { kind: "inline", bytes: Buffer.concat(head) };
      head.push(next.value);
      size += next.value.byteLength;
    }
  } finally {
    clearTimeout(timer);
  }
  return { kind: "stream", source: only(head, asked(iterator), iterator) };
}

/** The source's next bytes. Whoever wants them may come later than their failure. */
function asked(iterator: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
  const reading = iterator.next();
  reading.catch(() => {});
  return reading;
}

/** @param reading what was asked of `rest` already */
async function* only(
  head: readonly Uint8Array[],
  reading?: Promise<IteratorResult<Uint8Array>>,
  rest?: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  yield* head;
  const next = await reading;
  if (rest === undefined || next === undefined || next.done === true) return;
  yield next.value;
  yield* { [Symbol.asyncIterator]: () => rest };
}

export class InputSender {
  readonly #connection: Connection;
  readonly #job: JobId;
  readonly #iterator: AsyncIterator<Uint8Array>;
  /** Bytes from `#base` on, not yet known to be stored. */
  #kept: Uint8Array[] = [];
  #base = 0;
  #end = 0;
  #sourceEnded = false;
  /** One read at a time, whatever connection it was begun on: what it brings is for the one that is there then. */
  #reading: Promise<void> | undefined;

  constructor(connection: Connection, job: JobId, source: AsyncIterable<Uint8Array>) {
    this.#connection = connection;
    this.#job = job;
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /**
   * Resolves when the controller has stored everything, or the job needs no more because it has ended.
   * @throws OutpostError `limit_exceeded`, `disk_full`, or what the connection meets; the source's error after the jobs
   * were told that their input will never be complete
   */
  async run(): Promise<void> {
    try {
      while (!(await this.#attempt())) {
        // Cut: again, from what the controller has.
      }
    } catch (error) {
      // The job has ended without reading all of its input; so does `yes | head -1`.
      if (OutpostError.from(error).code !== ErrorCode.conflict) throw error;
    } finally {
      // Not awaited: a source that waits for somebody's next line ends only with it.
      this.#iterator.return?.().catch(() => {});
    }
  }

  /** One connection's worth. Returns false when it was cut. */
  async #attempt(): Promise<boolean> {
    const peer = await this.#connection.peer();
    const stream = peer.openStream();
    const answered = new AbortController();
    const ready = Promise.withResolvers<number>();
    let windowBytes = 0;
    const answer = peer.request(
      "fanout.input",
      { job: this.#job, stream: stream.number },
      {
        onEvent: ({ params }) => {
          windowBytes = params.window;
          stream.begin(params.offset, params.window);
          ready.resolve(params.offset);
        },
      },
    );
    // The receiver grants a window beyond what it has stored.
    stream.onCredit((upTo) => this.#stored(upTo - windowBytes));
    const pumped = ready.promise
      .then((offset) => this.#pump(stream, offset, answered.signal))
      .catch((error: unknown) => {
        if (answered.signal.aborted || !peer.isOpen) return;
        throw error;
      });
    try {
      await Promise.all([answer, pumped]);
      return true;
    } catch (reason) {
      const error = OutpostError.from(reason);
      if (error.code === ErrorCode.disconnected && !peer.isOpen) return false;
      throw error;
    } finally {
      answered.abort(new OutpostError(ErrorCode.cancelled, "the input was answered"));
      stream.end();
    }
  }

  async #pump(stream: OutgoingStream, from: number, signal: AbortSignal): Promise<void> {
    this.#stored(from);
    try {
      for (;;) {
        // Room first: what is read from the source must be kept.
        const room = await stream.ready(signal);
        if (stream.offset < this.#end) stream.send(this.#piece(stream.offset, room));
        else if (this.#sourceEnded) break;
        else await (this.#reading ??= this.#read());
      }
    } catch (error) {
      if (!signal.aborted) stream.end(OutpostError.from(error));
      throw error;
    }
    stream.end();
  }

  /** Keeps the source's next bytes. A source that failed stays failed: `#reading` is not taken away then. */
  async #read(): Promise<void> {
    const next = await this.#iterator.next();
    this.#reading = undefined;
    if (next.done === true) {
      this.#sourceEnded = true;
      return;
    }
    this.#kept.push(next.value);
    this.#end += next.value.byteLength;
  }

  /** Kept bytes from `offset` on, at most `room` of them. */
  #piece(offset: number, room: number): Uint8Array {
    let at = this.#base;
    if (offset >= at) {
      for (const piece of this.#kept) {
        const end = at + piece.byteLength;
        if (offset < end) return piece.subarray(offset - at, offset - at + room);
        at = end;
      }
    }
    throw new OutpostError(
      ErrorCode.internal,
      `the controller asks for input from ${String(offset)}, and has said before that it has it`,
    );
  }

  /** The controller has everything below `offset` on its disk. */
  #stored(offset: number): void {
    while (this.#kept.length > 0) {
      const first = this.#kept[0]!;
      const end = this.#base + first.byteLength;
      if (end > offset) {
        this.#kept[0] = first.subarray(Math.max(0, offset - this.#base));
        this.#base = Math.max(this.#base, Math.min(offset, this.#end));
        return;
      }
      this.#kept.shift();
      this.#base = end;
    }
  }
}
