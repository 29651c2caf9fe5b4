/** The agent's own metrics to the file that `agent.json` names, if it names one. */
import { statfs } from "node:fs/promises";
import type { Clock, JobStatus, SessionStatus } from "@outpost/protocol";
import type { Logger } from "pino";
import type { Connection } from "../connection.ts";
import { expiresAt } from "../credentials.ts";
import type { AgentReport } from "../local/agent-report.ts";
import { agentMetrics } from "./agent-metrics.ts";
import type { Metric } from "./exposition.ts";
import { Textfile } from "./textfile.ts";

export interface TextfileParts {
  readonly paths: { readonly directory: string };
  readonly config: { readonly name: string; readonly metricsTextfile?: string | undefined };
  readonly report: AgentReport;
  readonly connection: Pick<Connection, "onState">;
  readonly jobs: { list(): readonly JobStatus[]; readonly diskBytes?: number };
  readonly sessions: { list(): readonly SessionStatus[] | undefined };
  readonly renewal: { readonly credentials: { readonly certificate: string } };
  readonly clock: Clock;
  readonly log: Logger;
}

export function beginTextfile(parts: TextfileParts): Textfile | undefined {
  const { config, clock, log } = parts;
  const { metricsTextfile: file } = config;
  if (file === undefined) return undefined;
  const textfile = new Textfile({ file, clock, log, metrics: () => read(parts) });
  parts.connection.onState(({ name }) => {
    if (name === "connected" || name === "waiting") textfile.refresh();
  });
  return textfile;
}

async function read({ paths, config, report, jobs, sessions, renewal }: TextfileParts): Promise<Metric[]> {
  const { startedAt, ...connection } = report.measured;
  const disk = await statfs(paths.directory).catch(() => undefined);
  return agentMetrics({
    name: config.name,
    startedAt,
    connection,
    jobs: jobs.list(),
    jobBytes: jobs.diskBytes,
    freeBytes: disk === undefined ? undefined : disk.bavail * disk.bsize,
    sessions: sessions.list(),
    certificateExpiresAt: expiresAt(renewal.credentials.certificate),
    residentBytes: process.memoryUsage.rss(),
  });
}
