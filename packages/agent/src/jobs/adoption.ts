/**
 * What an agent that was restarted finds of a job that had not ended: from its directory, and from the processes of
 * the host. Decides; changes nothing.
 *
 *     process.json  same boot  ──▶ running (whether its wrapper still lives, the running job looks itself)
 *                   other boot ──▶ the same: no process of that boot lives, so it settles at once
 *     none          a process with the job's marks ──▶ running
 *                   exit record complete           ──▶ ended
 *                   exit file not yet made         ──▶ nothing ran: it is made right before the process
 *                   else                           ──▶ lost: it may have run
 *
 * A job in a session has no process of its own; its session is asked again, which knows what became of it:
 *
 *     exit file not yet made    ──▶ nothing ran: the session was not asked yet
 *     process.json  other boot  ──▶ ended: from the exit record, else lost
 *     else                      ──▶ in a session (whether it has ended meanwhile, the session job looks itself)
 */
import { existsSync } from "node:fs";
import type { Platform, ProcessInfo } from "../platform/index.ts";
import { conclude } from "./conclusion.ts";
import { jobMarks } from "./environment.ts";
import type { EndRecord, JobDirectory, ProcessRecord, SpecRecord } from "./job-directory.ts";
import { carriesMarks } from "./process-tree.ts";
import { emptyExitRecord } from "./wrapper.ts";

export type Finding =
  | { readonly kind: "running"; readonly process: ProcessRecord; readonly spec: Partial<SpecRecord> }
  | {
      readonly kind: "inSession";
      readonly spec: SessionSpecRecord;
      /** The shell, when it is known to have been given the command. */
      readonly process?: ProcessRecord;
    }
  | { readonly kind: "ended"; readonly end: EndRecord }
  | { readonly kind: "nothing" };

type SessionSpecRecord = SpecRecord & { readonly session: NonNullable<SpecRecord["session"]> };

export class Adoption {
  readonly #platform: Platform;
  readonly #hostName: string;
  #processes: ProcessInfo[] | undefined;

  constructor(platform: Platform, hostName: string) {
    this.#platform = platform;
    this.#hostName = hostName;
  }

  examine(directory: JobDirectory, now: number): Finding {
    const spec = directory.readSpec();
    const process = directory.readProcess();
    if (isInSession(spec)) return this.#inSession(directory, spec, process, now);
    if (process !== undefined) return { kind: "running", process, spec: spec ?? {} };
    const wrapper = this.#findWrapper(directory);
    if (wrapper !== undefined) {
      const { bootId } = this.#platform;
      const { pid, startTime } = wrapper;
      const startedAt = spec?.acceptedAt ?? now;
      return {
        kind: "running",
        process: { pid, startTime, bootId, startedAt, program: "" },
        spec: spec ?? {},
      };
    }
    return this.#withoutProcess(directory, spec, now);
  }

  #inSession(
    directory: JobDirectory,
    spec: SessionSpecRecord,
    process: ProcessRecord | undefined,
    now: number,
  ): Finding {
    if (this.#nothingRan(directory, spec)) return { kind: "nothing" };
    const { bootId } = this.#platform;
    if (spec.bootId === bootId) {
      return { kind: "inSession", spec, ...(process === undefined ? {} : { process }) };
    }
    const { record, at } = directory.readExit();
    const conclusion = conclude({ record, stop: directory.readStop(), rebooted: true, diskFull: false });
    const written = { stdout: directory.sizeOf("stdout"), stderr: directory.sizeOf("stderr") };
    const startedAt = process === undefined ? {} : { startedAt: process.startedAt };
    const endedAt = record.kind === "complete" ? { endedAt: at } : {};
    return { kind: "ended", end: { ...conclusion, ...startedAt, ...endedAt, written, settledAt: now } };
  }

  #withoutProcess(directory: JobDirectory, spec: SpecRecord | undefined, now: number): Finding {
    const written = { stdout: directory.sizeOf("stdout"), stderr: directory.sizeOf("stderr") };
    const { record, at } = directory.readExit();
    if (record.kind === "empty") {
      if (this.#nothingRan(directory, spec)) return { kind: "nothing" };
      const message =
        "the agent died while it started the job, and found no trace of it afterwards; it may not have run";
      return {
        kind: "ended",
        end: { state: "lost", reason: { code: "start_interrupted", message }, written, settledAt: now },
      };
    }
    const conclusion = conclude({ record, stop: directory.readStop(), rebooted: false, diskFull: false });
    const times = record.kind === "complete" ? { endedAt: at } : {};
    const startedAt = spec === undefined ? {} : { startedAt: spec.acceptedAt };
    return { kind: "ended", end: { ...conclusion, ...startedAt, ...times, written, settledAt: now } };
  }

  /**
   * Whether the agent died before it made the process. A file that is there in part proves that only if the host was
   * not restarted since: a power failure may take the content of files that were complete.
   */
  #nothingRan(directory: JobDirectory, spec: SpecRecord | undefined): boolean {
    if (!existsSync(directory.file("exit"))) return true;
    return spec?.bootId === this.#platform.bootId && directory.sizeOf("exit") < emptyExitRecord.length;
  }

  /** The leader of a process group with the job's marks in its environment. */
  #findWrapper(directory: JobDirectory): ProcessInfo | undefined {
    this.#processes ??= this.#platform.processes();
    const marks = jobMarks(directory.job, this.#hostName);
    return this.#processes.find(
      ({ pid, group }) => pid === group && carriesMarks(this.#platform.environment(pid), marks),
    );
  }
}

function isInSession(spec: SpecRecord | undefined): spec is SessionSpecRecord {
  return spec?.session !== undefined;
}
