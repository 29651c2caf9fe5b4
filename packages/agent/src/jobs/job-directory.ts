/**
 * A job's directory: names, and the small files in it. It knows what is written where, not what follows from it.
 *
 *     spec.json       what was asked, by whom, when                complete before anything runs
 *     script/NAME     the body of a script command
 *     command         text for the shell of the session that the job runs in
 *     stdin           input: inline, or as far as it has arrived   in a session, a streamed one: the pipe
 *     stdin.spool     in a session: a streamed input as far as it has arrived
 *     stdin.end       the size of a streamed input                 only once it is complete
 *     stdout stderr   the bytes, nothing else
 *     exit            spaces; the wrapper's record at the end      exit-record.ts; the last one before the process
 *     process.json    pid, start time, boot id                     after the process was started
 *     timeline        when stdout and stderr grew                  timeline.ts
 *     received.json   acknowledged offsets
 *     stop.json       that it is being stopped, why, by whom       before the first signal is sent
 *     end.json        how it ended, settled once                   never recomputed
 */
import { closeSync, fstatSync, lstatSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  EndReason,
  EndReasonCode,
  Exit,
  JobOrigin,
  JobState,
  type JobId,
  type JobSpec,
  type JobStartParams,
  SessionId,
} from "@outpost/protocol";
import * as v from "valibot";
import { countRuns, type ExitRecord, maxExitBytes, parseExitRecord } from "./exit-record.ts";
import { extentOf, isReplaced, openJobFile, readHead } from "./job-file.ts";
import { readSmallFile, replaceSmallFile, writeSmallFile } from "./small-file.ts";

/** What of `spec.json` is needed again after a restart; the rest is for people. */
const SpecRecord = v.object({
  operator: v.string(),
  acceptedAt: v.number(),
  /** The boot of the host in which it was accepted. */
  bootId: v.string(),
  timeoutMs: v.optional(v.number()),
  graceMs: v.optional(v.number()),
  /** It is run again when it fails. */
  retry: v.optional(v.object({ times: v.number(), delayMs: v.number() })),
  /** How much it may write, where its configuration says less than the host. */
  maxOutputBytes: v.optional(v.number()),
  /** The configuration that it runs under. */
  configuration: v.optional(v.string()),
  /** As whom it runs, when that is not the agent's user. */
  user: v.optional(v.string()),
  streamed: v.boolean(),
  /** The controller may read it without being asked to. */
  collect: v.optional(v.boolean()),
  /** The sequence number of the request in the audit log. */
  request: v.optional(v.number()),
  origin: v.optional(JobOrigin),
  /** The session of this host in whose shell it runs. */
  session: v.optional(v.object({ id: SessionId, busy: v.picklist(["wait", "fail"]) })),
});
export type SpecRecord = v.InferOutput<typeof SpecRecord>;

const ProcessRecord = v.object({
  /** The wrapper: leader of the job's session and process group. With `session`: that session's shell, not the job's. */
  pid: v.number(),
  startTime: v.string(),
  bootId: v.string(),
  startedAt: v.number(),
  /** The main process's program, as it was found. */
  program: v.string(),
  /** The session in whose shell it runs: then `pid` MUST NOT be signalled. */
  session: v.optional(SessionId),
});
export type ProcessRecord = v.InferOutput<typeof ProcessRecord>;

/** A job as asked for, by an operator or (`origin`) by somebody on this host. */
export interface StartRequest extends JobStartParams {
  readonly origin?: JobOrigin;
  /** The sequence number of the request in the audit log. */
  readonly request?: number;
}

/** What a job is held to, by its configuration and as asked for. Kept with it, whatever becomes of the configuration. */
export type JobTerms = Partial<Pick<SpecRecord, "configuration" | "user" | "timeoutMs" | "maxOutputBytes">>;

/** That a job is being stopped. Written before the first signal, so that whoever finds the job knows who it was. */
const StopRecord = v.object({
  at: v.number(),
  graceMs: v.number(),
  code: EndReasonCode,
  message: v.string(),
  by: v.optional(v.string()),
});
export type StopRecord = v.InferOutput<typeof StopRecord>;

const EndRecord = v.object({
  state: JobState,
  startedAt: v.optional(v.number()),
  endedAt: v.optional(v.number()),
  exit: v.optional(Exit),
  reason: v.optional(EndReason),
  written: v.object({ stdout: v.number(), stderr: v.number() }),
  /** These as in the spec, which is not read for jobs that have ended. */
  origin: v.optional(JobOrigin),
  operator: v.optional(v.string()),
  collect: v.optional(v.boolean()),
  /** How often it was run, of one that is retried. */
  attempts: v.optional(v.number()),
  /** When the agent concluded it. The age of an ended job counts from here. */
  settledAt: v.number(),
});
export type EndRecord = v.InferOutput<typeof EndRecord>;

const Received = v.object({ stdout: v.number(), stderr: v.number() });
export type Received = v.InferOutput<typeof Received>;

export class JobDirectory {
  readonly job: JobId;
  readonly path: string;

  constructor(root: string, job: JobId) {
    this.job = job;
    this.path = join(root, job);
  }

  file(
    name:
      | "stdout"
      | "stderr"
      | "timeline"
      | "exit"
      | "command"
      | "stdin"
      | "stdin.spool"
      | "stdin.end"
      | "spec.json",
  ): string {
    return join(this.path, name);
  }

  /** Its being made is the lock on the id. @throws EEXIST when the job was started before */
  create(): void {
    mkdirSync(this.path, { mode: 0o700 });
  }

  /** @param session the one of the spec's sessions that this host has */
  writeSpec(
    params: StartRequest,
    terms: JobTerms,
    acceptedAt: number,
    bootId: string,
    session?: SessionId,
  ): void {
    const { spec, operator, job, origin, collect, request } = params;
    const { graceMs, retry } = spec;
    const streamed = spec.input.kind === "stream";
    const asked = { ...spec, command: withoutBody(spec.command), input: { kind: spec.input.kind } };
    writeSmallFile(this.file("spec.json"), {
      job,
      operator,
      acceptedAt,
      bootId,
      graceMs,
      retry,
      ...terms,
      streamed,
      collect,
      request,
      origin,
      session: session === undefined ? undefined : { id: session, busy: spec.session?.busy ?? "wait" },
      spec: asked,
    });
  }

  readSpec(): SpecRecord | undefined {
    return readSmallFile(this.file("spec.json"), SpecRecord);
  }

  writeProcess(record: ProcessRecord): void {
    writeSmallFile(join(this.path, "process.json"), record);
  }

  readProcess(): ProcessRecord | undefined {
    return readSmallFile(join(this.path, "process.json"), ProcessRecord);
  }

  writeStop(record: StopRecord): void {
    replaceSmallFile(join(this.path, "stop.json"), record);
  }

  readStop(): StopRecord | undefined {
    return readSmallFile(join(this.path, "stop.json"), StopRecord);
  }

  writeEnd(record: EndRecord): void {
    replaceSmallFile(join(this.path, "end.json"), record);
  }

  readEnd(): EndRecord | undefined {
    return readSmallFile(join(this.path, "end.json"), EndRecord);
  }

  writeReceived(received: Received): void {
    replaceSmallFile(join(this.path, "received.json"), received);
  }

  readReceived(): Received | undefined {
    return readSmallFile(join(this.path, "received.json"), Received);
  }

  /**
   * The exit record, when it was written, in milliseconds since 1970, and how often a job that is retried was run so far. One
   * that is no regular file is damaged.
   */
  readExit(): { readonly record: ExitRecord; readonly at: number; readonly runs: number } {
    let file: number;
    try {
      file = openJobFile(this.file("exit"), "r");
    } catch (error) {
      return { record: { kind: isReplaced(error) ? "damaged" : "empty" }, at: 0, runs: 1 };
    }
    try {
      const content = readHead(file, maxExitBytes);
      return {
        record: parseExitRecord(content),
        at: Math.floor(extentOf(fstatSync(file)).timeMs),
        runs: countRuns(content),
      };
    } finally {
      closeSync(file);
    }
  }

  /** The size of one of its files in bytes, 0 when it is not there. */
  sizeOf(name: "stdout" | "stderr" | "timeline" | "stdin" | "stdin.spool" | "exit"): number {
    const found = lstatSync(this.file(name), { throwIfNoEntry: false });
    return found === undefined ? 0 : extentOf(found).bytes;
  }
}

/** A script's body has a file of its own. */
function withoutBody(command: JobSpec["command"]): unknown {
  return command.kind === "script" ? { ...command, body: undefined } : command;
}
