/** `--watch --output ndjson`: a line for each record that is new or has become another, and one when it is gone. */
import { OutpostError } from "@outpost/protocol";
import { isPassing } from "../client/connection.ts";
import { jsonText, withIsoTimes } from "./render/plain.ts";
import { say, stdout } from "./render/sink.ts";

export interface WatchChangesOptions {
  readonly intervalMs: number;
  /** All records there are now, by what they are told apart by. */
  readonly load: () => Promise<ReadonlyMap<string, object>>;
  /** What of a record is compared: leave out what changes by itself, as the time of now. Default all of it. */
  readonly compared?: (record: never) => unknown;
  /** What is printed when a record is gone. */
  readonly gone: (key: string) => object;
  /** Asked when changes were printed: true ends it. */
  readonly isOver?: () => boolean;
  readonly signal?: AbortSignal;
}

/** Until `signal` or `isOver`; Ctrl-C ends the process as usual. @throws what `load` throws, but for a controller that
 * cannot be reached now */
export async function watchChanges(options: WatchChangesOptions): Promise<void> {
  const { intervalMs, load, gone, isOver, signal } = options;
  const compared = options.compared as ((record: object) => unknown) | undefined;
  let before = new Map<string, string>();
  while (signal?.aborted !== true) {
    try {
      const records = await load();
      const now = new Map<string, string>();
      const lines: object[] = [];
      for (const [key, record] of records) {
        const text = JSON.stringify(compared === undefined ? record : compared(record));
        now.set(key, text);
        if (before.get(key) !== text) lines.push(record);
      }
      for (const key of before.keys()) if (!now.has(key)) lines.push(gone(key));
      before = now;
      await stdout.write(lines.map((record) => `${jsonText(withIsoTimes(record))}\n`).join(""));
      if (isOver?.() === true) return;
    } catch (error) {
      const problem = OutpostError.from(error);
      if (!isPassing(problem)) throw error;
      await say(`${problem.message}; trying again`);
    }
    await pause(intervalMs, signal);
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
}
