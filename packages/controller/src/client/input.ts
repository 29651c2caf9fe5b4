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

/** Reads ahead as far as input may travel inline, and decides by whether that was all. */
export async function openInput(source: InputSource | undefined): Promise<OpenedInput> {
  if (source === undefined) return { kind: "none" };
  if (source instanceof Uint8Array) {
    return source.byteLength <= limits.maxInlineInputBytes
      ? { kind: "inline", bytes: source }
      : { kind: "stream", source: only([source]) };
  }
  const iterator = source[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  let size = 0;
  while (size <= limits.maxInlineInputBytes) {
    const next = await iterator.next();
    if (next.done === true) return { kind: "inline", bytes: Buffer.concat(head) };
    head.push(next.value);
    size += next.value.byteLength;
  }
  return { kind: "stream", source: only(head, iterator) };
}

async function* only(
  head: readonly Uint8Array[],
  rest?: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  yield* head;
  if (rest !== undefined) yield* { [Symbol.asyncIterator]: () => rest };
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
      await this.#iterator.return?.();
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
    for (const piece of this.#kept) await sendAll(stream, piece, signal);
    try {
      while (!this.#sourceEnded) await this.#sendNext(stream, signal);
    } catch (error) {
      if (!signal.aborted) stream.end(OutpostError.from(error));
      throw error;
    }
    stream.end();
  }

  async #sendNext(stream: OutgoingStream, signal: AbortSignal): Promise<void> {
    // Room first: what is read from the source must be kept.
    await stream.ready(signal);
    const next = await this.#iterator.next();
    if (next.done === true) {
      this.#sourceEnded = true;
      return;
    }
    this.#kept.push(next.value);
    this.#end += next.value.byteLength;
    await sendAll(stream, next.value, signal);
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

async function sendAll(stream: OutgoingStream, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  for (let at = 0; at < bytes.byteLength;) {
    const room = await stream.ready(signal);
    const piece = bytes.subarray(at, at + room);
    stream.send(piece);
    at += piece.byteLength;
  }
}
