/** Receives a session's output, and says what it means when there is none. */
import { ExitCode, type Session, type SessionReceiveEvent } from "../client/index.ts";
import type { OutputFormat } from "./command.ts";
import { dieOfInterrupt, onInterrupt } from "./interrupts.ts";
import { bytesText } from "./render/bytes-text.ts";
import { bytesAsJson, eventLine, jsonText, withIsoTimes } from "./render/plain.ts";
import { say, stdout } from "./render/sink.ts";

export interface SessionReceiveCommand {
  readonly follow: boolean;
  readonly keep: boolean;
  readonly fromStart: boolean;
  readonly host: string | undefined;
}

/** @returns the exit code. @throws OutpostError */
export async function receiveSession(
  session: Session,
  options: SessionReceiveCommand,
  format: OutputFormat,
): Promise<number> {
  const ending = new AbortController();
  using _interrupts = onInterrupt((count) => (count === 1 ? ending.abort() : dieOfInterrupt()));
  const events = session.receive({ ...options, signal: ending.signal });
  let count = 0;
  const pieces: Uint8Array[] = [];
  try {
    for await (const event of events) {
      if (event.type === "output") count += event.bytes.byteLength;
      if (format === "ndjson") await stdout.write(eventLine(event));
      else if (format === "text") await showText(event, count, options);
      else if (event.type === "output") pieces.push(event.bytes);
      // Here already: what is written when the receive ends is acknowledged by its last word.
      else if (event.type === "end") await stdout.write(document(session, event, pieces));
    }
  } catch (error) {
    if (!ending.signal.aborted) throw error;
    const again = `outpost session receive ${session.name ?? session.id} --follow`;
    await say(`interrupted; nothing is lost. Take it up again with: ${again}`);
    return ExitCode.interrupted;
  }
  return ExitCode.succeeded;
}

async function showText(
  event: SessionReceiveEvent,
  count: number,
  { fromStart }: SessionReceiveCommand,
): Promise<void> {
  switch (event.type) {
    case "output":
      await stdout.write(event.bytes);
      return;
    case "gap":
      // What somebody has seen is no loss.
      if (event.reason !== "received") {
        await say(`${bytesText(event.to - event.from)} of output are missing: the host keeps no more`);
      }
      return;
    case "notice":
      await say(event.message);
      return;
    case "end":
      if (count === 0) await say(fromStart ? "no output yet" : "nothing that was not seen");
      return;
    default:
      event satisfies never;
  }
}

function document(
  session: Session,
  { host, status }: Extract<SessionReceiveEvent, { type: "end" }>,
  pieces: readonly Uint8Array[],
): string {
  const output = bytesAsJson(Buffer.concat(pieces));
  const about = withIsoTimes({ session: session.id, host, status }) as object;
  return `${jsonText({ ...about, output }, 2)}\n`;
}
