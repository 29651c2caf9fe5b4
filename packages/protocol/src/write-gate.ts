/**
 * Lets senders through while the socket's queue is short: first come, first served, and a few at a time, so that a
 * thousand streams that get room at the same moment do not fill memory together.
 */
import type { OutpostError } from "./errors.ts";
import { maxChunkBytes, socketHighWaterBytes } from "./limits.ts";

interface Waiter {
  pass(): void;
  fail(reason: unknown): void;
}

export class WriteGate {
  readonly #bufferedBytes: () => number;
  readonly #waiters = new Set<Waiter>();
  /** How many were let through in this turn of the event loop: each is about to send up to one chunk. */
  #passedThisTurn = 0;
  #closed: OutpostError | undefined;

  /** @param bufferedBytes the length of the socket's queue */
  constructor(bufferedBytes: () => number) {
    this.#bufferedBytes = bufferedBytes;
  }

  /**
   * Resolves when the caller may send up to `maxChunkBytes`.
   * @throws OutpostError when the connection closes; the signal's reason when it aborts
   */
  pass(signal?: AbortSignal): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (this.#waiters.size === 0 && this.#hasRoom()) {
      this.#count();
      return Promise.resolve();
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = (): void => waiter.fail(signal?.reason);
    const leave = (): void => {
      this.#waiters.delete(waiter);
      signal?.removeEventListener("abort", onAbort);
    };
    const waiter: Waiter = {
      pass: () => (leave(), resolve()),
      fail: (reason) => (leave(), reject(reason)),
    };
    signal?.addEventListener("abort", onAbort);
    this.#waiters.add(waiter);
    return promise;
  }

  /** The queue has shrunk. */
  drained(): void {
    for (const waiter of this.#waiters) {
      if (!this.#hasRoom()) return;
      this.#count();
      waiter.pass();
    }
  }

  /** The connection has ended; everybody who waits fails with `error`. */
  close(error: OutpostError): void {
    this.#closed ??= error;
    for (const waiter of this.#waiters) waiter.fail(error);
  }

  #hasRoom(): boolean {
    return this.#bufferedBytes() + this.#passedThisTurn * maxChunkBytes < socketHighWaterBytes;
  }

  #count(): void {
    if (this.#passedThisTurn++ > 0) return;
    setImmediate(() => {
      this.#passedThisTurn = 0;
      this.drained();
    });
  }
}
