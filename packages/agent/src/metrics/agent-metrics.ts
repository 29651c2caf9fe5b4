/** What an agent has to tell a monitoring system, from how it stands at this moment. */
import {
  AgentConnectionState,
  JobState,
  type JobStatus,
  SessionState,
  type SessionStatus,
  supportedVersions,
} from "@outpost/protocol";
import { agentVersion } from "../version.ts";
import type { Metric, Sample } from "./exposition.ts";

export interface AgentReading {
  /** The host's name at its controller. */
  readonly name: string;
  /** When the agent started, in milliseconds since 1970, as all times here. */
  readonly startedAt: number;
  readonly connection: {
    readonly state: AgentConnectionState;
    /** Since when it is connected, or is not. */
    readonly since: number;
    readonly attempts: number;
    /** Of these, how many came to `connected`. */
    readonly established: number;
    /** The controller's clock less ours at the last hello, in milliseconds; `undefined` before there was one. */
    readonly clockOffsetMs: number | undefined;
  };
  readonly jobs: readonly Pick<JobStatus, "state">[];
  /** What the jobs' directories take, and what is free where they are, in bytes. */
  readonly jobBytes: number | undefined;
  readonly freeBytes: number | undefined;
  /** `undefined`: not known, as the session host could not be asked yet. */
  readonly sessions: readonly Pick<SessionStatus, "state">[] | undefined;
  readonly certificateExpiresAt: number;
  readonly residentBytes: number;
}

export function agentMetrics(reading: AgentReading): Metric[] {
  const { connection } = reading;
  const gauge = (name: string, help: string, samples: readonly Sample[]): Metric => ({
    name: `outpost_agent_${name}`,
    type: "gauge",
    help,
    samples,
  });
  const counter = (name: string, help: string, value: number): Metric => ({
    name: `outpost_agent_${name}_total`,
    type: "counter",
    help,
    samples: [{ value }],
  });
  const info = { name: reading.name, version: agentVersion, protocol: String(supportedVersions.max) };
  return [
    gauge("info", "1; the host's name at its controller, and the version that runs", [
      { labels: info, value: 1 },
    ]),
    gauge("start_time_seconds", "When the agent started", one(seconds(reading.startedAt))),
    gauge("connected", "Whether the controller knows what this host holds: 1 or 0", [
      { value: connection.state === "connected" ? 1 : 0 },
    ]),
    gauge(
      "connection_state",
      "1 for the state that the connection is in",
      AgentConnectionState.options.map((state) => ({
        labels: { state },
        value: state === connection.state ? 1 : 0,
      })),
    ),
    gauge(
      "connection_since_seconds",
      "Since when it is connected, or is not",
      one(seconds(connection.since)),
    ),
    counter("connection_attempts", "Attempts to connect since the agent started", connection.attempts),
    counter("connections_established", "Of these, how many led to a connection", connection.established),
    gauge(
      "clock_offset_seconds",
      "The controller's clock less this host's, at the last hello",
      one(seconds(connection.clockOffsetMs)),
    ),
    gauge("jobs", "Jobs that this host holds, by their state", byState(JobState.options, reading.jobs)),
    gauge("job_bytes", "What the jobs' directories take on the disk", one(reading.jobBytes)),
    gauge("job_free_bytes", "What is free on the disk where they are", one(reading.freeBytes)),
    gauge(
      "sessions",
      "Sessions that this host holds, by their state",
      reading.sessions === undefined ? [] : byState(SessionState.options, reading.sessions),
    ),
    gauge(
      "certificate_expiry_timestamp_seconds",
      "When the host's certificate ends; it is renewed at two thirds of its life",
      one(seconds(reading.certificateExpiresAt)),
    ),
    gauge("resident_memory_bytes", "The agent's memory", one(reading.residentBytes)),
  ];
}

function one(value: number | undefined): Sample[] {
  return value === undefined ? [] : [{ value }];
}

function seconds(ms: number): number;
function seconds(ms: number | undefined): number | undefined;
function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000;
}

/** Every state, so that a series does not come and go. */
function byState(states: readonly string[], all: readonly { readonly state: string }[]): Sample[] {
  const counts = new Map(states.map((state) => [state, 0]));
  for (const { state } of all) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...counts].map(([state, value]) => ({ labels: { state }, value }));
}
