import fc from "fast-check";
import { expect, test } from "vitest";
import { Keystrokes } from "./keystrokes.ts";

const never = new AbortController().signal;

test("whatever is written, taken and asked for again, what is kept is what was not taken", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({ bytes: fc.uint8Array({ maxLength: 50 }), takes: fc.nat(60), again: fc.boolean() }),
      ),
      async (steps) => {
        const keys = new Keystrokes();
        let written = 0;
        let taken = 0;
        for (const { bytes, takes, again } of steps) {
          await keys.write(bytes, never);
          written += bytes.length;
          taken = Math.min(written, taken + takes);
          if (again) keys.resume(taken);
          else keys.taken(taken);
          expect(keys.keptBytes).toBe(written - taken);
        }
      },
    ),
  );
});

test("its limit holds exactly, and a write that waits ends with its signal", async () => {
  const keys = new Keystrokes(10);
  const abort = new AbortController();
  const writing = keys.write(Buffer.alloc(25), abort.signal);
  expect(keys.keptBytes).toBe(10);
  keys.taken(4);
  await expect.poll(() => keys.keptBytes).toBe(10);
  abort.abort();
  await expect(writing).rejects.toMatchObject({ code: "cancelled" });
});

test.each([
  [5, 2],
  [5, 11],
])("having taken %d, a host that goes on at %d breaks the protocol", async (taken, again) => {
  const keys = new Keystrokes();
  await keys.write(Buffer.alloc(10), never);
  keys.taken(taken);
  expect(() => keys.resume(again)).toThrow(/asks for keystrokes from/);
});
