#!/usr/bin/env node
/** `outpost-agent`. Compiled code is cached, and each command loads what it needs and no more. */
import { enableCompileCache } from "node:module";
import { compileCacheFolder } from "@outpost/service/compile-cache";
import { startLean } from "./cli/lean-start.ts";

enableCompileCache(compileCacheFolder());
const args = process.argv.slice(2);
const loaded = startLean();
const { outcome } = await import("./cli/outcome.ts");
const { readStart } = await import("./cli/start-arguments.ts");
const options = readStart(args);
process.exitCode = await outcome(async () => {
  if (options === undefined) {
    loaded();
    return (await import("./cli/run.ts")).run(args);
  }
  return (await import("./cli/start.ts")).start(options, loaded);
});
