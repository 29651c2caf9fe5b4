/** Processes on Linux, from /proc: see proc(5). */
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { basename } from "node:path";
import type { Platform, ProcessInfo } from "./platform.ts";

export function platform(): Platform {
  return {
    bootId: readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim(),
    startTime: (pid) => readProcess(pid)?.startTime,
    processes,
    environment,
    commandLine,
    holders,
  };
}

/** Fields of /proc/pid/stat, counted from the one behind the name. */
const field = { state: 0, parent: 1, group: 2, session: 3, startTime: 19 } as const;

function readProcess(pid: number): ProcessInfo | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${String(pid)}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // The name may hold spaces and parentheses itself.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const state = fields[field.state];
  const startTime = fields[field.startTime];
  if (state === "Z" || state === "X" || startTime === undefined) return undefined;
  return {
    pid,
    parent: Number(fields[field.parent]),
    group: Number(fields[field.group]),
    session: Number(fields[field.session]),
    startTime,
  };
}

function processes(): ProcessInfo[] {
  const found: ProcessInfo[] = [];
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const info = readProcess(pid);
    if (info !== undefined) found.push(info);
  }
  return found;
}

function environment(pid: number): readonly string[] {
  try {
    // Latin-1 keeps every byte as it is: what we look for is ASCII.
    return readFileSync(`/proc/${String(pid)}/environ`, "latin1").split("\0");
  } catch {
    return [];
  }
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${String(pid)}/cmdline`, "latin1");
  } catch {
    return "";
  }
}

function holders(pids: readonly number[], files: readonly string[]): number[] {
  const wanted = files
    .map((path) => statSync(path, { throwIfNoEntry: false }))
    .filter((s) => s !== undefined);
  const names = new Set(files.map((path) => basename(path)));
  return pids.filter((pid) => {
    try {
      return readdirSync(`/proc/${String(pid)}/fd`).some((fd) => isOpen(pid, fd, names, wanted));
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "EACCES";
    }
  });
}

function isOpen(
  pid: number,
  fd: string,
  names: ReadonlySet<string>,
  wanted: readonly { dev: number; ino: number }[],
): boolean {
  const path = `/proc/${String(pid)}/fd/${fd}`;
  try {
    // The name first: to stat whatever a process has open could hang on a dead network file system.
    if (!names.has(basename(readlinkSync(path).replace(/ \(deleted\)$/, "")))) return false;
    const { dev, ino } = statSync(path);
    return wanted.some((file) => file.dev === dev && file.ino === ino);
  } catch {
    return false; // closed meanwhile
  }
}
