/** Appends until there is no room, then less. Prints the error's code and the last sequence number. */
import { OutpostError, systemClock } from "@outpost/protocol";
import { AuditLog } from "../audit-log.ts";

using log = AuditLog.open({ directory: process.argv[2]!, clock: systemClock });
let last = 0;
const append = (what: string): string | undefined => {
  try {
    last = log.append({ kind: "event", action: "test", what });
    return undefined;
  } catch (error) {
    return OutpostError.from(error).code;
  }
};
let code: string | undefined;
for (let index = 0; code === undefined; index++) code = append("x".repeat(500));
if (append("x".repeat(500)) !== code) throw new Error("there was room after all");
while (append("") === undefined);
process.stdout.write(`${code}\n${String(last)}\n`);
