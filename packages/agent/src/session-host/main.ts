#!/usr/bin/env node
/**
 * The session host process: `node main.js AGENT_DIRECTORY`. Started by the agent, detached, its stderr going to
 * run/session-host.log; outlives the agent, and leaves by itself when no session is left.
 */
import { enableCompileCache } from "node:module";
import { compileCacheFolder } from "@outpost/service/compile-cache";

enableCompileCache(compileCacheFolder());
process.title = "outpost-session-host";
// A hung-up terminal is none of ours. A listener, not SIG_IGN: that would pass on to every shell.
process.on("SIGHUP", () => {});

const [directory] = process.argv.slice(2);
const { createLog } = await import("../log.ts");
const log = createLog("info", false);
const exitCode = { failed: 1, usage: 2 } as const;

process.on("uncaughtException", (error) => {
  log.fatal({ err: error }, `fault, the session host ends: ${error.message}`);
  process.exit(exitCode.failed);
});

if (directory === undefined) {
  log.fatal("usage: main.js AGENT_DIRECTORY");
  process.exit(exitCode.usage);
}

const { systemClock } = await import("@outpost/protocol");
const { hostPlatform } = await import("../platform/index.ts");
const { SessionHost } = await import("./session-host.ts");

try {
  const host = await SessionHost.start({ directory, clock: systemClock, log, platform: hostPlatform() });
  log.info({ pid: process.pid, directory }, "session host runs");
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      log.info(`${signal}: ending all sessions`);
      void host[Symbol.asyncDispose]();
    });
  }
  await host.ended;
  log.info("session host leaves");
  // What a client of a library may have left open is no reason to stay.
  process.exit();
} catch (error) {
  const { message } = error as Error;
  log.fatal({ err: error }, `the session host does not start: ${message}`);
  process.exit(exitCode.failed);
}
