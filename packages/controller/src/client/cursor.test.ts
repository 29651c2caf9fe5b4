import type { IncomingStream } from "@outpost/protocol";
import { expect, test } from "vitest";
import { Cursor } from "./cursor.ts";

/** The stream's side of a cursor: which credit it was given, and where it was told to skip to. */
function stream(offset: number): { incoming: IncomingStream; grants: number[]; skips: number[] } {
  const grants: number[] = [];
  const skips: number[] = [];
  const incoming = {
    offset,
    grant: (upTo: number) => void grants.push(upTo),
    skipTo: (to: number) => void skips.push(to),
  } as unknown as IncomingStream;
  return { incoming, grants, skips };
}

test("grants what the consumer's bytes leave free of the window", () => {
  const { incoming, grants } = stream(0);
  const cursor = new Cursor(0, 1000);
  cursor.attach(incoming);
  cursor.came(1000);
  expect(grants).toEqual([1000]);
  cursor.handledTo(100, 100);
  expect(grants).toEqual([1000]);
  cursor.handledTo(400, 300);
  expect(grants).toEqual([1000, 1400]);
});

test("a gap larger than the window, behind bytes that still wait, does not stop the stream", () => {
  const { incoming, grants, skips } = stream(0);
  const cursor = new Cursor(0, 1000);
  cursor.attach(incoming);
  cursor.came(900);
  cursor.skipTo(50_000);
  expect(skips).toEqual([50_000]);
  // Room for 100 beyond the gap: what is left of the window.
  expect(grants.at(-1)).toBe(50_100);
  cursor.handledTo(900, 900);
  cursor.handledTo(50_000, 0);
  expect(grants.at(-1)).toBe(51_000);
  expect(cursor.handled).toBe(50_000);
});

test("on a new connection, what waits for the consumer counts against the window", () => {
  const first = stream(0);
  const cursor = new Cursor(0, 1000);
  cursor.attach(first.incoming);
  cursor.came(700);
  const second = stream(700);
  cursor.attach(second.incoming);
  expect(second.grants).toEqual([1000]);
});
