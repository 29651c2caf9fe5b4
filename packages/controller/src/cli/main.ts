#!/usr/bin/env node
/** The `outpost` program. Loads what the command at hand needs and no more: its start-up is most of a short command. */
import { enableCompileCache } from "node:module";
import { compileCacheFolder } from "@outpost/service/compile-cache";

enableCompileCache(compileCacheFolder());
const { main } = await import("./run.ts");
await main(process.argv.slice(2));
