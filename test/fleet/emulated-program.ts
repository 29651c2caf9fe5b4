/**
 * What the hosts of an emulated fleet can run: a few programs that are known in advance, so that no process is needed to
 * know what they write and how they end. The text of a shell command is split at its spaces; there is no shell.
 *
 *     true  false  exit CODE        end so
 *     echo WORD…  hostname          write a line
 *     fill BYTES [own]              write that many bytes, the same on every host, or (`own`) another text on each
 *     failing HOST,HOST…            ends with 1 on these hosts, with 0 elsewhere
 *     sleep SECONDS [PROGRAM…]      then the program
 */
import type { Command } from "@outpost/protocol";

/** Bytes that are made when they are read: a thousand hosts with a megabyte each hold nothing. */
export interface Content {
  readonly size: number;
  slice(from: number, to: number): Uint8Array;
}

export interface EmulatedRun {
  readonly afterMs: number;
  readonly stdout: Content;
  /** Its exit code; `undefined`: there is no such program. */
  readonly code: number | undefined;
}

const lineBytes = 64;
const blockLines = 1024;

/** @returns how a program runs on a host; known at once, whatever time it takes */
export function emulate(command: Command, hostName: string): EmulatedRun {
  return run(wordsOf(command), hostName);
}

function wordsOf(command: Command): readonly string[] {
  switch (command.kind) {
    case "exec":
      return command.argv;
    case "shell":
      return command.text.split(" ").filter((word) => word !== "");
    default:
      return [];
  }
}

function run([program = "", ...words]: readonly string[], hostName: string): EmulatedRun {
  const ending = (code: number | undefined, stdout: Content = text("")): EmulatedRun => ({
    afterMs: 0,
    stdout,
    code,
  });
  switch (program) {
    case "true":
      return ending(0);
    case "false":
      return ending(1);
    case "exit":
      return ending(Number(words[0] ?? 0));
    case "echo":
      return ending(0, text(`${words.join(" ")}\n`));
    case "hostname":
      return ending(0, text(`${hostName}\n`));
    case "fill":
      return ending(0, fill(Number(words[0] ?? 0), words[1] === "own" ? hostName : "every host"));
    case "failing":
      return ending((words[0] ?? "").split(",").includes(hostName) ? 1 : 0);
    case "sleep": {
      const next = words.length > 1 ? run(words.slice(1), hostName) : ending(0);
      return { ...next, afterMs: next.afterMs + Number(words[0] ?? 0) * 1000 };
    }
    default:
      return ending(undefined);
  }
}

function text(content: string): Content {
  const bytes = Buffer.from(content);
  return { size: bytes.length, slice: (from, to) => bytes.subarray(from, to) };
}

/** Numbered lines, in blocks that repeat. */
function fill(size: number, of: string): Content {
  let block: Buffer | undefined;
  return {
    size,
    slice(from, to) {
      block ??= Buffer.from(
        Array.from({ length: blockLines }, (_, line) =>
          `${String(line)} of ${of} `
            .padEnd(lineBytes - 1, ".")
            .slice(0, lineBytes - 1)
            .concat("\n"),
        ).join(""),
      );
      const bytes = Buffer.alloc(Math.max(0, Math.min(to, size) - from));
      for (let at = 0; at < bytes.length;) {
        const begin = (from + at) % block.length;
        at += block.copy(bytes, at, begin);
      }
      return bytes;
    },
  };
}
