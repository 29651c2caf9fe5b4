/** Writes a recording to a file or to standard output. */
import { open } from "node:fs/promises";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { ExitCode, type Session } from "../client/index.ts";
import type { OutputFormat } from "./command.ts";
import { bytesText } from "./render/bytes-text.ts";
import { print } from "./render/records.ts";
import { stdout } from "./render/sink.ts";

export interface ExportOptions {
  readonly host: string | undefined;
  /** Default: standard output. */
  readonly file: string | undefined;
  readonly format: OutputFormat;
}

/** @returns the exit code. @throws OutpostError `not_found` when there is no recording; `conflict` when the file exists */
export async function exportSession(
  session: Session,
  { host, file, format }: ExportOptions,
): Promise<number> {
  if (file === undefined) {
    for await (const bytes of session.recording({ host })) await stdout.write(bytes);
    return ExitCode.succeeded;
  }
  const recording = session.recording({ host });
  // Asked for before the file is made: without a recording there is none.
  const first = await recording.next();
  await using handle = await openNew(file);
  let size = 0;
  for (let next = first; next.done !== true; next = await recording.next()) {
    await handle.writeFile(next.value);
    size += next.value.byteLength;
  }
  const text = (): string => `wrote ${bytesText(size)} to ${file}`;
  await print(format, { json: { session: session.id, file, bytes: size }, text });
  return ExitCode.succeeded;
}

async function openNew(file: string) {
  try {
    return await open(file, "wx");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw code === "EEXIST"
      ? new OutpostError(ErrorCode.conflict, `${file} exists already`, { cause })
      : new OutpostError(ErrorCode.invalidArgument, `${file} cannot be written (${String(code)})`, { cause });
  }
}
