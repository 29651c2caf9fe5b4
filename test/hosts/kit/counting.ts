/** A job that takes its time and whose output can be compared: numbered lines. */

/** @returns shell text that prints `lines` lines, one each 50 ms */
export function counting(lines: number): string {
  return `i=0; while [ $i -lt ${String(lines)} ]; do i=$((i+1)); echo "line $i"; sleep 0.05; done`;
}

/** @returns all that `counting(lines)` prints */
export function counted(lines: number): string {
  return Array.from({ length: lines }, (_, index) => `line ${String(index + 1)}\n`).join("");
}
