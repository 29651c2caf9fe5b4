/**
 * Writes to stdout and stderr: the bytes as they are, in order, and no faster than the reader takes them. Not by
 * `process.stdout`, which holds in memory what a slow reader has not taken.
 */
import { write } from "node:fs";

const descriptors = { stdout: 1, stderr: 2 } as const;

/** How soon to try again when a non-blocking reader is full, in milliseconds. */
const retryMs = 5;

/** Resolves when the kernel has all of it. @throws the system's error; see `isBrokenPipe` */
export async function writeOut(name: keyof typeof descriptors, data: Uint8Array | string): Promise<void> {
  const bytes = typeof data === "string" ? Buffer.from(data) : data;
  for (let at = 0; at < bytes.byteLength;) {
    const count = await writeSome(descriptors[name], bytes.subarray(at));
    at += count;
    if (count === 0) await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
}

/** In the thread pool: a pipe that nobody reads MUST NOT stop the heartbeat. 0 when there is no room now. */
function writeSome(descriptor: number, bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, (error, count) => {
      if (error === null) resolve(count);
      else if (error.code === "EAGAIN") resolve(0);
      else reject(error);
    });
  });
}

/** Whoever read our output has gone. */
export function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EPIPE";
}

/** A message for people, on stderr. Lost if nobody can read it. */
export async function say(message: string): Promise<void> {
  await writeOut("stderr", `outpost-agent: ${message}\n`).catch(() => {});
}

/** What a command found, as one JSON document or as text; an empty text is nothing. */
export async function print(format: "text" | "json", json: object, text: string): Promise<void> {
  if (format === "json") await writeOut("stdout", `${JSON.stringify(json, undefined, 2)}\n`);
  else if (text !== "") await writeOut("stdout", `${text}\n`);
}
