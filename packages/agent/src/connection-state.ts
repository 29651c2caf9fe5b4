/** The states of the agent's connection, and the one line that the log has for each. Drawn in connection.ts. */
import { ErrorCode, type HelloResult, type OutpostError } from "@outpost/protocol";
import type { Logger } from "pino";

export type ConnectionState =
  | { readonly name: "dialing" }
  | { readonly name: "greeting" }
  | { readonly name: "reporting"; readonly controller: HelloResult }
  | { readonly name: "connected"; readonly controller: HelloResult }
  /** `error` says why the last connection ended or did not come about. */
  | { readonly name: "waiting"; readonly delayMs: number; readonly error: OutpostError }
  | { readonly name: "stopped" };

/** One line per state; what needs somebody's attention is a warning, what needs somebody's hands an error. */
export function logState(log: Logger, state: ConnectionState): void {
  switch (state.name) {
    case "dialing":
    case "greeting":
    case "reporting":
      log.debug({ state: state.name }, state.name);
      break;
    case "connected": {
      const { name, software: theirs, version } = state.controller;
      log.info({ state: state.name, name, controller: theirs, version }, `connected as ${name}`);
      break;
    }
    case "waiting": {
      const { code, message } = state.error;
      const again = `trying again in ${(state.delayMs / 1000).toFixed(1)} s`;
      const level = code === ErrorCode.denied || code === ErrorCode.versionMismatch ? "error" : "warn";
      log[level]({ state: state.name, code, retryMs: state.delayMs }, `not connected, ${again}: ${message}`);
      break;
    }
    case "stopped":
      log.info({ state: state.name }, "connection stopped");
      break;
    default:
      state satisfies never;
  }
}
