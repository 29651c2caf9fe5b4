/** What a copy tells, one plain object after another. The CLI renders these and prints them as NDJSON. */
import type { HostName, JobId } from "@outpost/protocol";
import type { CheckEvent, ExitEvent, NoticeEvent, PlanEvent, RolloutEvent, SummaryEvent } from "./events.ts";

/** A file is where it belongs: whole, checked, and under its name. */
export interface CopiedEvent {
  readonly type: "file";
  readonly job: JobId;
  readonly host: HostName;
  /** As in the copy: from the name at its top on. */
  readonly path: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** So many bytes of files have come to a host, or from it; told at times. */
export interface ProgressEvent {
  readonly type: "progress";
  readonly job: JobId;
  readonly host: HostName;
  readonly bytes: number;
}

/** Something was not copied, or not quite as it was. */
export interface ProblemEvent {
  readonly type: "problem";
  readonly job: JobId;
  /** Absent when it is about the files here. */
  readonly host?: HostName;
  /** Of which file, if it is about one here. */
  readonly path?: string;
  /** A sentence for people, with the path. */
  readonly message: string;
}

/** The last of one host. Also a failure that only shows here, as a full disk, is one: exit code 1. */
export interface CopyExitEvent extends ExitEvent {
  /** How many files were copied whole, and how many bytes they have. */
  readonly files: number;
  readonly bytes: number;
}

export type CopyEvent =
  | PlanEvent
  | CopiedEvent
  | ProgressEvent
  | ProblemEvent
  | NoticeEvent
  | RolloutEvent
  | CopyExitEvent
  | CheckEvent
  | SummaryEvent;
