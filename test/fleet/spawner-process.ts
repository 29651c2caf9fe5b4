/** The small process of `spawner.ts`. Starts what it is told, and tells when it has ended; ends with the channel. */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import type { StartOrder, StartReport } from "./spawner.ts";

/** Standard input is read; the wrapper's own standard error, the exit file, is written from its beginning; output is appended. */
const flagsOf = (index: number): string => (index === 0 ? "r" : index === 2 ? "r+" : "a+");

/** The reports of one turn are one message. */
let reports: StartReport[] = [];
function report(each: StartReport): void {
  reports.push(each);
  if (reports.length > 1) return;
  setImmediate(() => {
    process.send?.(reports);
    reports = [];
  });
}

process.on("message", ({ id, argv, cwd, environment, stdio }: StartOrder) => {
  const files = stdio.map((path, index) => (path === null ? "ignore" : openSync(path, flagsOf(index))));
  const child = spawn("/bin/sh", argv, { cwd, env: { ...environment }, stdio: files, detached: true });
  for (const file of files) if (file !== "ignore") closeSync(file);
  const { pid } = child;
  if (pid === undefined) {
    child.once("error", (error) => report({ id, failed: error.message }));
    return;
  }
  report({ id, pid });
  child.once("exit", () => report({ id, ended: true }));
});
