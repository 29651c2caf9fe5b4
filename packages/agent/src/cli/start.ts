/** `outpost-agent start`: the agent in the foreground. */
import { isatty } from "node:tty";
import { Notifier } from "@outpost/service/notify";
import { Agent } from "../agent.ts";
import type { ConnectionState } from "../connection-state.ts";
import type { LogLevel } from "../log-level.ts";
import { createLog } from "../log.ts";
import { agentVersion } from "../version.ts";
import { ExitCode } from "./exit-code.ts";

export interface StartOptions {
  readonly dir: string;
  readonly logLevel: LogLevel;
}

/** Longer than any timer may be; see `keepAlive`. */
const longMs = 2 ** 31 - 1;

/**
 * Resolves when the agent was told to leave and has left.
 * @param started called once, when everything is loaded and the first connection has come about or failed
 * @throws OutpostError as `Agent.start`
 */
export async function start({ dir, logLevel }: StartOptions, started: () => void = () => {}): Promise<void> {
  const log = createLog(logLevel, isatty(2));
  process.on("uncaughtException", (error) => {
    log.fatal({ err: error }, `fault, the agent ends: ${error.message}`);
    process.exit(ExitCode.failed);
  });
  // Between two connections nothing else keeps the process alive: the clock's timers never do.
  const keepAlive = setInterval(() => {}, longMs);
  using notifier = new Notifier({ fault: (error) => log.warn({ err: error }, error.message) });
  try {
    const told = firstSignal();
    // Until there is an agent: facts that are still to be gathered are new.
    let refresh = (): void => {};
    if (!hasTerminal()) process.on("SIGHUP", () => refresh());
    await using agent = await Agent.start({ directory: dir, log });
    refresh = () => {
      log.info("SIGHUP: gathering facts anew");
      void agent.refreshFacts();
    };
    log.info({ pid: process.pid, directory: dir }, `agent ${agentVersion} of ${agent.name} runs`);
    const settled = agent.connection.onState(({ name }) => {
      if (name !== "connected" && name !== "waiting") return;
      settled();
      started();
    });
    agent.connection.onState((state) => notifier.status(statusText(state)));
    // Before it is connected: its jobs are looked after already, and the controller may be away for long.
    await notifier.ready(statusText(agent.connection.state));
    log.info(`${await told}: leaving; jobs go on`);
    await notifier.stopping();
  } finally {
    clearInterval(keepAlive);
  }
}

/** For `systemctl status`. */
function statusText(state: ConnectionState): string {
  switch (state.name) {
    case "connected":
      return `connected as ${state.controller.name}`;
    case "waiting":
      return `not connected: ${state.error.message}`;
    case "dialing":
    case "greeting":
    case "reporting":
      return "connecting";
    case "stopped":
      return "leaving";
    default:
      return state satisfies never;
  }
}

/** Whoever has none cannot lose it: then SIGHUP is what it is for services, a wish to look again. */
function hasTerminal(): boolean {
  return [0, 1, 2].some((fd) => isatty(fd));
}

/** The first signal that asks us to leave. A second one ends the process at once, as if nobody listened. */
function firstSignal(): Promise<NodeJS.Signals> {
  const signals: readonly NodeJS.Signals[] = [
    "SIGTERM",
    "SIGINT",
    ...(hasTerminal() ? ["SIGHUP" as const] : []),
  ];
  return new Promise((resolve) => {
    const onSignal = (signal: NodeJS.Signals): void => {
      for (const other of signals) process.off(other, onSignal);
      resolve(signal);
    };
    for (const signal of signals) process.on(signal, onSignal);
  });
}
