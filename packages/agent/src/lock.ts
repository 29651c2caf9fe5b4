/**
 * One agent per directory. Two would both adopt the same jobs, and both remove what the other still needs.
 *
 * The lock is a file that says who holds it: pid *and* start time, since a pid alone is reused. It is made by link(2),
 * so it is there whole or not at all, and kill -9 leaves it behind: whoever comes next sees that its holder is gone.
 *
 *     free ──link──▶ held ──dispose──▶ free
 *                     │ holder died
 *                     ▼
 *                   stale ──ticket, then rename over it──▶ held by the next
 *
 * A stale lock is replaced under a ticket (a second file made the same way), so that of two agents that both see it
 * stale one replaces it and the other sees a live holder.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import * as v from "valibot";
import type { Platform } from "./platform/index.ts";

/** A process, told from every other that has or had its pid. */
export type Holder = v.InferOutput<typeof Holder>;
const Holder = v.object({
  pid: v.number(),
  /** As the platform tells it; only compared for equality. */
  startTime: v.string(),
  /** Pids and start times begin anew at each boot. */
  bootId: v.string(),
});

/** What the lock asks of the host. */
export type Processes = Pick<Platform, "bootId" | "startTime">;

/** Losing the race this often means that something else is wrong. */
const attempts = 20;

export class DirectoryLock implements Disposable {
  readonly #file: string;
  readonly #text: string;

  private constructor(file: string, text: string) {
    this.#file = file;
    this.#text = text;
  }

  /** @throws OutpostError `busy` naming the pid, when a live process holds it; `internal` when it cannot be made */
  static acquire(file: string, processes: Processes): DirectoryLock {
    const { pid } = process;
    const startTime = processes.startTime(pid) ?? "";
    // The nonce tells two agents of one process apart.
    const text = `${JSON.stringify({ pid, startTime, bootId: processes.bootId, nonce: crypto.randomUUID() })}\n`;
    const mine = `${file}.${String(pid)}.${crypto.randomUUID().slice(0, 8)}`;
    try {
      writeFileSync(mine, text, { flag: "wx", mode: 0o644 });
      for (let i = 0; i < attempts; i++) {
        if (tryLink(mine, file) || replaceStale(file, mine, processes)) return new DirectoryLock(file, text);
      }
      throw new OutpostError(
        ErrorCode.busy,
        `${file} changes hands too fast; are several agents being started here?`,
      );
    } catch (error) {
      if (error instanceof OutpostError) throw error;
      throw new OutpostError(ErrorCode.internal, `cannot lock ${file}: ${(error as Error).message}`, {
        cause: error,
      });
    } finally {
      rmSync(mine, { force: true });
    }
  }

  [Symbol.dispose](): void {
    // Not when somebody removed it by hand and another agent has it now.
    if (readText(this.#file) === this.#text) rmSync(this.#file, { force: true });
  }
}

/** The live process that holds the lock, if any. Takes nothing. */
export function lockHolder(file: string, processes: Processes): Holder | undefined {
  const holder = parse(readText(file));
  return holder !== undefined && isAlive(holder, processes) ? holder : undefined;
}

/** True when the lock was stale and is now `mine`; false to try again. */
function replaceStale(file: string, mine: string, processes: Processes): boolean {
  const seen = readText(file);
  if (seen === undefined) return false;
  refuseIfAlive(file, seen, processes);
  const ticket = `${file}.takeover`;
  if (!tryLink(mine, ticket)) {
    const other = readText(ticket);
    if (other !== undefined) {
      refuseIfAlive(file, other, processes);
      // Died with the ticket in its hand.
      rmSync(ticket, { force: true });
    }
    return false;
  }
  try {
    if (readText(file) !== seen) return false;
    renameSync(mine, file);
    return true;
  } finally {
    rmSync(ticket, { force: true });
  }
}

function refuseIfAlive(file: string, text: string, processes: Processes): void {
  const holder = parse(text);
  if (holder === undefined || !isAlive(holder, processes)) return;
  const pid = String(holder.pid);
  throw new OutpostError(
    ErrorCode.busy,
    `an agent runs on this directory already: pid ${pid} (says ${file}). ` +
      `Stop it first (kill ${pid}; its jobs go on), or name another directory with --dir`,
    { data: { pid: holder.pid, file } },
  );
}

function isAlive(holder: Holder, processes: Processes): boolean {
  return holder.bootId === processes.bootId && processes.startTime(holder.pid) === holder.startTime;
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** A lock that a power cut has emptied has no holder. */
function parse(text: string | undefined): Holder | undefined {
  if (text === undefined) return undefined;
  try {
    return v.parse(Holder, JSON.parse(text));
  } catch {
    return undefined;
  }
}
