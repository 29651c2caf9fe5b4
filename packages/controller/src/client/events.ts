/** What a receive tells, one plain object after another. The CLI renders these and prints them as NDJSON. */
import type {
  EndReason,
  Exit,
  GapReason,
  HostName,
  HostState,
  JobId,
  JobState,
  OutputName,
  RolloutInfo,
} from "@outpost/protocol";

/** First: the hosts, and how each can be reached. */
export interface PlanEvent {
  readonly type: "plan";
  readonly job: JobId;
  readonly name?: string;
  readonly hosts: readonly { readonly host: HostName; readonly state: HostState }[];
}

/** The job's process was started on a host. */
export interface StartEvent {
  readonly type: "start";
  readonly job: JobId;
  readonly host: HostName;
  /** Milliseconds since 1970, by the host's clock. Absent when output comes before word of the start. */
  readonly time?: number;
}

/** Bytes that the job wrote. Those of one stream come in order, without holes but for what a `gap` announces. */
export interface OutEvent {
  readonly type: "out";
  readonly job: JobId;
  readonly host: HostName;
  readonly stream: OutputName;
  /** Offset of the first byte in its stream. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** When they were written, in milliseconds since 1970 with a fraction; only with `timestamps`. */
  readonly time?: number;
}

/** Bytes `from` (inclusive) to `to` (exclusive) can no longer be had. */
export interface GapEvent {
  readonly type: "gap";
  readonly job: JobId;
  readonly host: HostName;
  readonly stream: OutputName;
  readonly from: number;
  readonly to: number;
  readonly reason: GapReason;
}

export type NoticeCode =
  | "host_unreachable"
  | "host_reconnected"
  | "controller_reconnecting"
  | "controller_reconnected";

/** Something that delays output and loses none. */
export interface NoticeEvent {
  readonly type: "notice";
  readonly job: JobId;
  /** Absent for notices about the controller. */
  readonly host?: HostName;
  readonly code: NoticeCode;
  /** A sentence for people. */
  readonly message: string;
  /** Since when, in milliseconds since 1970. */
  readonly since?: number;
}

/** The last of one host: the job's end, or with `ended: false` that it goes on and was not followed. */
export interface ExitEvent {
  readonly type: "exit";
  readonly job: JobId;
  readonly host: HostName;
  readonly ended: boolean;
  readonly state: JobState;
  readonly exit?: Exit;
  readonly reason?: EndReason;
  readonly startedAt?: number;
  readonly endedAt?: number;
  readonly unreachableSince?: number;
  /** Nothing was sent to the host yet: the job waits for its turn in the roll-out, or for the host to come back. */
  readonly queued?: "rollout" | "host";
  /** Never in an event: put here by whoever keeps the ends of hosts, when a `check` event comes. */
  readonly failedCheck?: CheckEvent;
}

/** The job has completed on this host, but its roll-out's check has not: the host has failed. Comes after its `exit`. */
export interface CheckEvent {
  readonly type: "check";
  readonly job: JobId;
  readonly host: HostName;
  /** The check's own job; its output says more. */
  readonly check: JobId;
  readonly ended: boolean;
  readonly state: JobState;
  readonly exit?: Exit;
  readonly reason?: EndReason;
  readonly unreachableSince?: number;
}

/** The roll-out has come to another state or stage; only for jobs that have one. The first tells how it stands. */
export interface RolloutEvent {
  readonly type: "rollout";
  readonly job: JobId;
  readonly rollout: RolloutInfo;
}

/** The last of all. */
export interface SummaryEvent {
  readonly type: "summary";
  readonly job: JobId;
  /** What a program should exit with: see `ExitCode`. */
  readonly exitCode: number;
  readonly succeeded: readonly HostName[];
  readonly failed: readonly HostName[];
  /** The job has completed there, but its roll-out's check has failed. */
  readonly checkFailed: readonly HostName[];
  readonly timedOut: readonly HostName[];
  readonly stopped: readonly HostName[];
  readonly lost: readonly HostName[];
  readonly unreachable: readonly HostName[];
  readonly running: readonly HostName[];
  /** Nothing was sent there yet: their turn in the roll-out has not come, or they are offline and awaited. */
  readonly queued: readonly HostName[];
  /** Offline, and left out (`--offline skip`). */
  readonly skipped: readonly HostName[];
  /** The roll-out was stopped before their turn. */
  readonly notBegun: readonly HostName[];
}

export type JobEvent =
  | PlanEvent
  | StartEvent
  | OutEvent
  | GapEvent
  | NoticeEvent
  | ExitEvent
  | CheckEvent
  | RolloutEvent
  | SummaryEvent;
