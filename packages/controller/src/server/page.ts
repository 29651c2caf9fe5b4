/** Long answers in pages: each is as long as was asked for, and no longer than a message may be. */

/**
 * The most that a page holds: as JSON, in characters, and in values (keys among them). In MessagePack it is shorter, so it
 * fits in a message (4 MiB, 200,000 values) whatever is in it, and is sent in some milliseconds.
 */
const maxPageLength = 1024 * 1024;
const maxPageValues = 150_000;

export interface Page<T> {
  readonly entries: T[];
  /** There are others behind the last one. */
  readonly more: boolean;
}

/** The first of them, at least one. @param limit at most so many; none: all, whatever becomes of the message */
export function firstPage<I, T>(
  items: Iterable<I>,
  limit: number | undefined,
  show: (item: I) => T,
): Page<T> {
  const entries: T[] = [];
  let length = 0;
  let values = 0;
  for (const item of items) {
    if (entries.length === limit) return { entries, more: true };
    const entry = show(item);
    if (limit !== undefined) {
      length += JSON.stringify(entry).length;
      values += countValues(entry);
      const isFull = length > maxPageLength || values > maxPageValues;
      if (isFull && entries.length > 0) return { entries, more: true };
    }
    entries.push(entry);
  }
  return { entries, more: false };
}

function countValues(value: unknown): number {
  if (typeof value !== "object" || value === null) return 1;
  let count = 1;
  if (Array.isArray(value)) for (const each of value) count += countValues(each);
  else for (const each of Object.values(value)) count += 1 + countValues(each);
  return count;
}
