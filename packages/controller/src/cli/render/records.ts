/** Prints what a command found, in the format asked for. */
import type { OutputFormat } from "../command.ts";
import { jsonText, withIsoTimes } from "./plain.ts";
import { printableLines } from "./printable.ts";
import { stdout } from "./sink.ts";

export interface Records {
  /** The whole as one document. */
  readonly json: object;
  /** Its records, one per line. Default: the document. */
  readonly records?: readonly object[];
  /** For people; a newline at its end is added. Empty: nothing is printed. */
  readonly text: () => string | Promise<string>;
}

export async function print(format: OutputFormat, { json, records = [json], text }: Records): Promise<void> {
  if (format === "json") {
    await stdout.write(`${jsonText(withIsoTimes(json), 2)}\n`);
  } else if (format === "ndjson") {
    await stdout.write(records.map((record) => `${jsonText(withIsoTimes(record))}\n`).join(""));
  } else {
    const shown = await text();
    if (shown !== "") await stdout.write(`${printableLines(shown)}\n`);
  }
}
