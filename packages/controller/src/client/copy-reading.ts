/** The files of a copy to hosts: read once, sent, and what went wrong with that. */
import { measureTrees, readTrees, type Sources } from "@outpost/files";
import { OutpostError } from "@outpost/protocol";
import type { Job } from "./job.ts";

/** The files here while they are read: once, however many hosts get them. */
export class Reading {
  readonly problems: { readonly path: string; readonly message: string }[] = [];
  readonly #found: Sources;
  #sentBytes = 0;
  #totalBytes: number | undefined;
  #failure: OutpostError | undefined;
  readonly #ending = new AbortController();

  constructor(found: Sources) {
    this.#found = found;
    void measureTrees(found).then(({ bytes }) => (this.#totalBytes = bytes));
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  get totalBytes(): number | undefined {
    return this.#totalBytes;
  }

  /** Starts a job that reads this, and minds what becomes of the sending. */
  async startedWith(start: (input: AsyncIterable<Uint8Array>) => Promise<Job>): Promise<Job> {
    const stream = this.#stream();
    try {
      const job = await start(stream);
      job.input?.catch((error: unknown) => (this.#failure = OutpostError.from(error)));
      return job;
    } catch (error) {
      // What was opened for it is closed.
      await stream.return();
      throw error;
    }
  }

  /** Nobody wants the rest. */
  end(): void {
    this.#ending.abort();
  }

  /** Known when all jobs have ended, a turn of the event loop later. */
  async failure(): Promise<OutpostError | undefined> {
    await new Promise((resolve) => setImmediate(resolve));
    return this.#failure;
  }

  async *#stream(): AsyncGenerator<Uint8Array, void, void> {
    const { signal } = this.#ending;
    const onProblem = (problem: { path: string; message: string }): void => void this.problems.push(problem);
    for await (const bytes of readTrees(this.#found, { pipes: true, signal, onProblem })) {
      this.#sentBytes += bytes.byteLength;
      yield bytes;
    }
  }
}
