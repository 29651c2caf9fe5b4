#!/usr/bin/env node
/** The `outpost` program. Loads what the command at hand needs and no more: its start-up is most of a short command. */
import { enableCompileCache } from "node:module";

enableCompileCache();
const { main } = await import("./run.ts");
await main(process.argv.slice(2));
