/** The controller's log: JSON lines on stderr for machines, short plain lines when stderr is a terminal. */
import { type DestinationStream, destination, type Logger, pino } from "pino";
import { printable, printableLines } from "./render/printable.ts";

const stderr = 2;

/** Writes synchronously: lines are few, and the last one before a crash is the one that matters. */
export function createLog(level: string, isTerminal: boolean): Logger {
  const target = destination({ fd: stderr, sync: true });
  // A log that nobody reads any more (`start 2>&1 | head`) is no reason to stop.
  target.on("error", () => {});
  return pino({ level, base: null }, isTerminal ? plainLines(target) : target);
}

function plainLines(target: DestinationStream): DestinationStream {
  return { write: (line) => target.write(plainLine(line)) };
}

/** Said already by the line. */
const silent = new Set(["level", "time", "msg", "err"]);

/** `12:34:56 warn  not connected: … job=abc`. A line that is not a record stays as it is. */
function plainLine(line: string): string {
  let record: Record<string, unknown>;
  try {
    record = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return printableLines(line);
  }
  const level = pino.levels.labels[Number(record["level"])] ?? "info";
  const time = new Date(Number(record["time"])).toTimeString().slice(0, 8);
  const error = record["err"] as { stack?: string } | undefined;
  const message = typeof record["msg"] === "string" ? printable(record["msg"]) : "";
  const rest = Object.entries(record)
    .filter(([key]) => !silent.has(key))
    .map(([key, value]) => ` ${key}=${printable(typeof value === "string" ? value : JSON.stringify(value))}`);
  const stack = error?.stack === undefined ? "" : `\n${printableLines(error.stack)}`;
  return `${time} ${level.padEnd(5)} ${message}${rest.join("")}${stack}\n`;
}
