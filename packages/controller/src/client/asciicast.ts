/** Reads recordings: asciicast v2, https://docs.asciinema.org/manual/asciicast/v2/ – a header, then one event a line. */
import { ErrorCode, OutpostError } from "@outpost/protocol";
import * as v from "valibot";

const Header = v.object({
  version: v.literal(2),
  width: v.number(),
  height: v.number(),
  /** When it began, in seconds since 1970. */
  timestamp: v.optional(v.number()),
});
export type AsciicastHeader = v.InferOutput<typeof Header>;

const Event = v.pipe(
  v.tuple([v.number(), v.string(), v.string()]),
  v.transform(([seconds, code, data]) => ({ atMs: seconds * 1000, code, data })),
);
/** `code`: `o` output, `r` the terminal's size is `data` (`80x24`) from here on, others as the format says. */
export interface AsciicastEvent {
  /** Milliseconds from the beginning. */
  readonly atMs: number;
  readonly code: string;
  readonly data: string;
}

/** No line of a recording is longer, in bytes. */
const maxLineBytes = 16 * 1024 * 1024;

/**
 * The header, then the events. A last line that is cut off is left out: whoever wrote it was killed.
 * @throws OutpostError `invalid_argument` when it is no asciicast v2
 */
export async function* readAsciicast(
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<AsciicastHeader | AsciicastEvent, void, void> {
  let isFirst = true;
  for await (const line of linesOf(bytes)) {
    if (line.trim() === "") continue;
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), isFirst ? Header : Event), line);
    if (!parsed.success) {
      const what = isFirst ? "it is no asciicast v2 recording" : "a line of the recording is damaged";
      throw new OutpostError(ErrorCode.invalidArgument, `${what}: ${parsed.issues[0].message}`);
    }
    isFirst = false;
    yield parsed.output;
  }
}

async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of bytes) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = lines.pop()!;
    if (rest.length > maxLineBytes) {
      throw new OutpostError(ErrorCode.limitExceeded, "a line of the recording is longer than 16 MiB");
    }
    yield* lines;
  }
}
