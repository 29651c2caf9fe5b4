/** Appends and rotates, as fast as it can, until its standard input ends. Prints how many lines it wrote. */
import { systemClock } from "@outpost/protocol";
import { AuditLog } from "../audit-log.ts";

const log = AuditLog.open({
  directory: process.argv[2]!,
  clock: systemClock,
  maxFileBytes: 20_000,
  keptFiles: 5,
});
let last = 0;
const writing = setInterval(() => {
  for (let index = 0; index < 200; index++) {
    last = log.append({ kind: "event", action: "test", what: "x".repeat(index) });
  }
});
process.stdin.resume();
process.stdin.on("end", () => {
  clearInterval(writing);
  process.stdout.write(String(last));
});
