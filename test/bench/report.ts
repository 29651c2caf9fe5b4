/** How results are printed. */
import { styleText } from "node:util";

export function heading(text: string): void {
  console.log(`\n${styleText("bold", text)}`);
}

export function row(name: string, value: string, note = ""): void {
  console.log(`  ${name.padEnd(46)} ${value.padStart(12)}  ${note}`);
}

export function ratio(ours: number, theirs: number | undefined): string {
  return theirs === undefined ? "" : `${(ours / theirs).toFixed(2)} ×`;
}

export const milliseconds = (value: number): string => `${value.toFixed(0)} ms`;
