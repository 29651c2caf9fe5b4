/** The status line of a copy: `copy  312 MB of 1.0 GB sent  112 MB/s  hosts 3/5  failed 1`. */
import { bytesText } from "../render/bytes-text.ts";

export interface CopyStatus {
  /** Read and sent, or received. */
  readonly bytes: number;
  /** Absent as long as it is not known. */
  readonly totalBytes: number | undefined;
  readonly isUpload: boolean;
  readonly bytesPerSecond: number;
  readonly hosts: number;
  readonly done: number;
  readonly failed: number;
}

/** Never wider than `columns`: what there is no room for is left out, the least important first. */
export function copyStatusText(status: CopyStatus, columns: number): string {
  const { totalBytes, isUpload, bytesPerSecond, hosts, done, failed } = status;
  // The stream is a little more than the files in it.
  const bytes = Math.min(status.bytes, totalBytes ?? Infinity);
  const share = totalBytes === undefined ? "" : ` of ${bytesText(totalBytes)}`;
  const parts = [
    `${bytesText(bytes)}${share} ${isUpload ? "sent" : "received"}`,
    `hosts ${String(done)}/${String(hosts)}`,
    ...(failed === 0 ? [] : [`failed ${String(failed)}`]),
    ...(bytesPerSecond < 1 ? [] : [`${bytesText(Math.round(bytesPerSecond))}/s`]),
  ];
  const whole = ["outpost copy", ...parts];
  for (const shown of [whole, parts, parts.slice(0, -1), parts.slice(0, 1)]) {
    const text = shown.join("  ");
    if (text.length <= columns) return text;
  }
  return "";
}

/** Over how long the rate is measured, in milliseconds. */
const windowMs = 3_000;

export class Rate {
  readonly #samples: { readonly ms: number; readonly bytes: number }[] = [];

  /** @returns bytes per second, of the last seconds */
  note(bytes: number, ms: number): number {
    this.#samples.push({ ms, bytes });
    while (this.#samples.length > 2 && this.#samples[1]!.ms < ms - windowMs) this.#samples.shift();
    const first = this.#samples[0]!;
    return ms === first.ms ? 0 : Math.max(0, ((bytes - first.bytes) * 1_000) / (ms - first.ms));
  }
}
