/**
 * Writes the files of the stream on standard input. Tells how far it is on standard output, a JSON object a line:
 *
 *     {"type":"file","path":…,"bytes":…,"sha256":…}    a file is there, checked and under its name
 *     {"type":"progress","bytes":…}                    so much of files has come, at times
 *     {"type":"done","files":…,"bytes":…}              the last
 */
import { writeSync } from "node:fs";
import { TreeWriter } from "@outpost/files";
import { OutpostError } from "@outpost/protocol";
import { remotePath } from "./remote-path.ts";

/** How often progress is told: after so many bytes, or so many milliseconds. */
const tellEveryBytes = 64 * 1024 * 1024;
const tellEveryMs = 1_000;
/** How long to wait for more of the stream, in milliseconds. Whoever sends it may have to connect again; who was killed
 * never does, and nobody else can say so. */
const idleMs = 60 * 60 * 1000;

/** @returns the exit code */
export async function put(path: string, into: boolean): Promise<number> {
  let unread = 0;
  const writer = new TreeWriter({
    path: remotePath(path),
    into,
    onFile: (file) => tell({ type: "file", ...file }),
    onProblem(problem) {
      // What was not read, or not quite, whoever reads it has said.
      if (problem.kind === "source") unread++;
      else if (problem.kind === "here") say(`${problem.path}: ${problem.message}`);
    },
  });
  try {
    await copy(writer);
    const { files, bytes, failed } = await writer.end();
    tell({ type: "done", files, bytes });
    if (unread > 0) say(`${String(unread)} could not be read where they come from`);
    return failed === 0 ? 0 : 1;
  } catch (error) {
    await writer.abort();
    if (error instanceof Stopped) return error.exitCode;
    say(OutpostError.from(error).message);
    return 1;
  }
}

/** One block after the other, so that nothing is on its way when it is stopped. */
async function copy(writer: TreeWriter): Promise<void> {
  // No blocking read: a thread that waits in one keeps the process from ending.
  const { stdin } = process;
  const idle = endedByOthers(stdin);
  let toldBytes = 0;
  let toldMs = performance.now();
  for await (const bytes of stdin as AsyncIterable<Uint8Array>) {
    idle.refresh();
    await writer.write(bytes);
    const isDue =
      writer.received - toldBytes >= tellEveryBytes ||
      (writer.received > toldBytes && performance.now() - toldMs >= tellEveryMs);
    if (!isDue) continue;
    toldBytes = writer.received;
    toldMs = performance.now();
    tell({ type: "progress", bytes: toldBytes });
  }
  clearTimeout(idle);
}

class Stopped extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super("stopped");
    this.exitCode = exitCode;
  }
}

/**
 * Ends the input with an error when the job is stopped, and when the timer is not refreshed for too long. The stream itself:
 * a race of each read with one promise for the stop would keep every block that was read for as long as that promise is there.
 */
function endedByOthers(input: NodeJS.ReadStream): NodeJS.Timeout {
  for (const [signal, number] of [
    ["SIGTERM", 15],
    ["SIGINT", 2],
    ["SIGHUP", 1],
  ] as const) {
    process.once(signal, () => void input.destroy(new Stopped(128 + number)));
  }
  return setTimeout(
    () => void input.destroy(new Error("nothing came for an hour; whoever sends it is gone")),
    idleMs,
  );
}

function tell(event: object): void {
  write(1, JSON.stringify(event));
}

function say(text: string): void {
  write(2, text);
}

/** Lost when the disk of the job's output is full: what it tells of is done all the same. */
function write(file: number, line: string): void {
  try {
    writeSync(file, `${line}\n`);
  } catch {
    // The exit code says whether all is well.
  }
}
