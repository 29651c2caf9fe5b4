import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Spool } from "./spool.ts";

test("what is put in comes out, wherever the border between memory and file is", async () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(pieces, fc.nat(5), fc.nat(1000), fc.nat(200), async (parts, slabs, from, length) => {
      await using spool = new Spool({ budgetBytes: slabs * 16, slabBytes: 16 });
      const whole = Buffer.concat(parts);
      let address = 0;
      for (const part of parts) {
        expect(await spool.append(part)).toBe(address);
        address += part.byteLength;
      }
      const start = Math.min(from, whole.byteLength);
      const wanted = whole.subarray(start, start + length);
      expect(spool.read(start, wanted.byteLength).equals(wanted)).toBe(true);
      expect(spool.heldBytes).toBeLessThanOrEqual(slabs * 16 + 16);
    }),
    { numRuns: 50 },
  );
});

test("nobody can find the file, and a directory that takes none is an error that says what to do", async () => {
  const directory = await mkdtemp(join(tmpdir(), "outpost-spool-"));
  {
    await using spool = new Spool({ budgetBytes: 0, slabBytes: 16, directory });
    await spool.append(new Uint8Array(100).fill(7));
    expect(await readdir(directory)).toEqual([]);
    expect(spool.read(0, 100).every((byte) => byte === 7)).toBe(true);
  }
  await rm(directory, { recursive: true });
  await using lost = new Spool({ budgetBytes: 0, slabBytes: 16, directory });
  await expect(lost.append(new Uint8Array(100))).rejects.toMatchObject({
    code: "limit_exceeded",
    message: expect.stringMatching(/TMPDIR/),
  });
});
