/**
 * A program of its own: what a job runs that copies files. It is the job's user, and knows nothing of the agent.
 *
 *     node main.ts put into|at PATH    standard input is a file stream; tells on standard output how far it is
 *     node main.ts get PATH…           standard output is a file stream
 *
 * Ends with 0 when all files were copied and with 1 when some or all were not; why stands on standard error.
 */
import { enableCompileCache } from "node:module";
import { compileCacheFolder } from "@outpost/service/compile-cache";

enableCompileCache(compileCacheFolder());
const [what, ...rest] = process.argv.slice(2);
if (what === "put") {
  const { put } = await import("./put.ts");
  process.exit(await put(rest[1]!, rest[0] === "into"));
} else {
  const { get } = await import("./get.ts");
  process.exit(await get(rest));
}
