#!/usr/bin/env node
/** `outpost-agent`. Compiled code is cached, and a command loads what it needs, so that `--help` does not load TLS. */
import { enableCompileCache } from "node:module";

enableCompileCache();
const { run } = await import("./cli/run.ts");
process.exitCode = await run(process.argv.slice(2));
