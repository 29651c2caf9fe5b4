/** Amounts of bytes in words: `0`, `512 B`, `1.5 MB`. Decimal units, as disks and networks are sold. */
export function bytesText(bytes: number): string {
  if (bytes === 0) return "0";
  if (bytes < 1_000) return `${String(bytes)} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = "";
  for (const next of units) {
    if (value < 999.5) break;
    value /= 1_000;
    unit = next;
  }
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ${unit}`;
}
