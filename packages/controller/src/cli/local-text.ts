/** A local file's text, or that of standard input. */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";

/** @param source a file, or `-`. @throws the system's error */
export async function readLocalText(source: string): Promise<string> {
  return source === "-" ? text(process.stdin) : readFile(source, "utf8");
}
