/** Events on their way from whoever learns of them to the one who pulls. What bounds it is the credit of its producers. */
import { OutpostError } from "@outpost/protocol";

export class EventQueue<T> {
  readonly #events: T[] = [];
  #wake: (() => void) | undefined;
  #outcome: { readonly error?: OutpostError } | undefined;

  push(event: T): void {
    this.#events.push(event);
    this.#wake?.();
  }

  /** The newest event that nobody has taken yet. */
  get last(): T | undefined {
    return this.#events.at(-1);
  }

  /** Takes the newest events back, down to and without the one at `-count`. */
  dropLast(count: number): void {
    this.#events.splice(-count, count);
  }

  /** Nothing more comes, but what is there may still be taken. */
  get isEnded(): boolean {
    return this.#outcome !== undefined;
  }

  /** Nothing more comes; with an error, that is thrown behind what is there. Only the first end counts. */
  end(error?: unknown): void {
    this.#outcome ??= error === undefined ? {} : { error: OutpostError.from(error) };
    this.#wake?.();
  }

  /** The next event; undefined at the end. One caller at a time. @throws OutpostError that it ended with */
  async next(): Promise<T | undefined> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      if (this.#outcome?.error !== undefined) throw this.#outcome.error;
      if (this.#outcome !== undefined) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
  }
}
