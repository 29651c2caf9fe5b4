/** The controller in the foreground. */
import { Notifier } from "@outpost/service/notify";
import type { OutputFormat } from "./command.ts";
import { readStartSettings } from "./controller-directory.ts";
import { defaultListen, type Listen, listenText } from "./listen.ts";
import { loadServer } from "./load-server.ts";
import { createLog } from "./log.ts";
import { type MetricsOffer, offered } from "./metrics-option.ts";

export interface StartCommandOptions {
  readonly directory: string;
  readonly listen: Listen | undefined;
  readonly metrics: MetricsOffer | undefined;
  readonly level: string;
  /** With `json` and `ndjson`, log lines are JSON on a terminal, too. */
  readonly output: OutputFormat;
}

/** Resolves when it was told to leave and has left. @returns the exit code. @throws OutpostError as `startController` */
export async function start(options: StartCommandOptions): Promise<number> {
  const { directory, level, output } = options;
  const kept = await readStartSettings(directory);
  const { host, port } = options.listen ?? kept.listen ?? defaultListen;
  const metrics = offered(options.metrics ?? kept.metrics ?? "off");
  const log = createLog(level, output === "text" && process.stderr.isTTY);
  using notifier = new Notifier({ fault: (error) => log.warn({ err: error }, error.message) });
  const told = firstSignal();
  const { startController } = await loadServer();
  await using controller = await startController({ directory, host, port, log, metrics, env: process.env });
  const at = listenText({ host, port: controller.port });
  log.info({ pid: process.pid, directory, listen: at }, `controller listens at ${at}`);
  if (controller.metricsPort !== undefined) {
    log.info({ port: controller.metricsPort }, "metrics are served in the clear on this machine");
  }
  await notifier.ready(`listens at ${at}`);
  const signal = await Promise.race([told, controller.closed]);
  log.info(`${signal ?? "closed"}: leaving; jobs go on`);
  await notifier.stopping();
  return 0;
}

/** The first signal that asks us to leave. A second one ends the process at once, as if nobody listened. */
function firstSignal(): Promise<NodeJS.Signals> {
  const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
  return new Promise((resolve) => {
    const onSignal = (signal: NodeJS.Signals): void => {
      for (const other of signals) process.off(other, onSignal);
      resolve(signal);
    };
    for (const signal of signals) process.on(signal, onSignal);
  });
}
