/** Whether facts have changed so that somebody would see it. */
import { isDeepStrictEqual } from "node:util";
import type { Facts } from "@outpost/protocol";

/** Free space always changes: it is another when it is this much more or less than it was said to be. */
const minFreeChange = 0.05;

export function differ(before: Facts, after: Facts): boolean {
  const { disks: disksBefore = [], ...restBefore } = before;
  const { disks: disksAfter = [], ...restAfter } = after;
  if (!isDeepStrictEqual(restBefore, restAfter) || disksBefore.length !== disksAfter.length) return true;
  return disksBefore.some((disk, index) => {
    const { path, sizeBytes, freeBytes } = disksAfter[index]!;
    const isSame = path === disk.path && sizeBytes === disk.sizeBytes;
    return !isSame || Math.abs(freeBytes - disk.freeBytes) > disk.freeBytes * minFreeChange;
  });
}
