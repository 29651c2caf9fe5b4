/** How much the agent logs. Apart from `log.ts`, so that the command line does not load pino. */
export const logLevels = ["trace", "debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];
