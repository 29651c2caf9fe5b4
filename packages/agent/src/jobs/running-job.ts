/**
 * Watches over one job from its start (or adoption) to its end.
 *
 *     main ──wrapper gone, or exit record complete──▶ draining ──nobody holds the output──▶ settled
 *
 * In `draining` processes of the job's group still have stdout or stderr open; the job is `running`, with `exit` known.
 * While the job is being stopped, `settled` waits until none of its processes is left instead.
 */
import { closeSync, readSync } from "node:fs";
import type { Clock, EndReasonCode, Exit } from "@outpost/protocol";
import type { Logger } from "pino";
import { groupExists, type Platform } from "../platform/index.ts";
import { conclude, saysNotStarted } from "./conclusion.ts";
import { emptyExitRecord } from "./wrapper.ts";
import { parseExitRecord, type ExitRecord } from "./exit-record.ts";
import type { Job } from "./job.ts";
import type { EndRecord, JobDirectory, ProcessRecord, SpecRecord, StopRecord } from "./job-directory.ts";
import { OutputLog } from "./output-log.ts";
import { explainNotStarted } from "./program.ts";
import { signalProcess, type Tree } from "./process-tree.ts";
import { recordStop } from "./stop-record.ts";
import { TimeLimit } from "./time-limit.ts";
import type { Timeline } from "./timeline.ts";
import { Termination } from "./termination.ts";
import { endTimeOf, enforceOutputLimit, outputLimit, type WatchedJob } from "./watched-job.ts";

/** How often to look whether others still hold the output, in milliseconds: at first, and at most. */
export const firstDrainMs = 3;
export const longestDrainMs = 500;

export interface RunningJobContext {
  readonly platform: Platform;
  readonly clock: Clock;
  readonly log: Logger;
  readonly defaultGraceMs: number;
  readonly maxOutputBytesPerJob: number;
  /** Whether the disk is so full that output may be missing. */
  readonly diskIsFull: () => boolean;
  /** It wrote so many bytes more. */
  readonly grew: (job: Job, timeline: Timeline, bytes: number) => void;
  /** Its state changed and it has not ended. */
  readonly changed: (job: Job) => void;
  /** It has ended; the record is not on disk yet. */
  readonly settled: (running: WatchedJob, end: EndRecord) => void;
}

export interface RunningJobOptions {
  readonly job: Job;
  readonly directory: JobDirectory;
  readonly process: ProcessRecord;
  readonly spec: Partial<Pick<SpecRecord, "timeoutMs" | "graceMs" | "maxOutputBytes" | "retry">>;
  readonly marks: readonly string[];
  /** Descriptors of a job that was just started; default: an adopted job's, opened here. */
  readonly files?: { readonly stdout: number; readonly stderr: number; readonly exit: number };
}

export class RunningJob implements WatchedJob {
  readonly job: Job;
  readonly directory: JobDirectory;
  readonly output: OutputLog;
  readonly spool = "stdin";
  readonly #context: RunningJobContext;
  readonly #options: RunningJobOptions;
  /** Our child's exit is told by an event; an adopted wrapper has to be looked at. */
  readonly #adopted: boolean;
  #phase: "main" | "draining" | "settled" = "main";
  /** The wrapper's pid is somebody else's. */
  #pidReused = false;
  #record: ExitRecord = { kind: "empty" };
  #stop: StopRecord | undefined;
  #termination: Termination | undefined;
  #survivors = 0;
  #drainMs = firstDrainMs;
  #cancelDrain: (() => void) | undefined;
  #timeLimit: TimeLimit | undefined;

  constructor(options: RunningJobOptions, context: RunningJobContext) {
    const { job, directory, files } = options;
    this.job = job;
    this.directory = directory;
    this.#options = options;
    this.#context = context;
    this.#adopted = files === undefined;
    this.output = new OutputLog({
      job,
      directory,
      clock: context.clock,
      ...(files === undefined ? {} : { files }),
      maxBytes: outputLimit(options.spec, context),
      grew: (bytes) => this.#grew(bytes),
      exitTouched: () => this.#exitTouched(),
    });
  }

  /** The job's processes, as far as we know how to find them. */
  get tree(): Tree {
    return { wrapper: this.#options.process.pid, ownsGroup: !this.#pidReused, marks: this.#options.marks };
  }

  get process(): ProcessRecord {
    return this.#options.process;
  }

  /** Begins to watch a job that was just started. */
  begin(): void {
    this.#countRuns();
    this.output.watch();
    // It may have written before it was watched.
    this.output.observe();
    this.#armTimeout();
  }

  /** Takes up a job that another agent process started. It may have ended meanwhile, and may settle at once. */
  adopt(): void {
    this.#countRuns();
    this.output.watch();
    this.output.observe();
    this.#stop = this.directory.readStop();
    if (this.#wrapperLives()) {
      this.#armTimeout();
      // The signal may not have been sent any more: once too often is better than never.
      if (this.#stop !== undefined) this.#terminate(this.#stop);
    } else {
      this.wrapperExited();
    }
  }

  /** The regular look of the poll over all running jobs; what events told is not there again. */
  poll(): void {
    this.output.observe();
    if (this.#adopted && this.#phase === "main" && !this.#wrapperLives()) this.wrapperExited();
  }

  /** The wrapper is gone, or has written its record. */
  wrapperExited(): void {
    if (this.#phase !== "main") return;
    this.#countRuns();
    this.#phase = "draining";
    this.#record = this.#readRecord();
    if (this.#record.kind === "complete") this.#drain(this.#record.exit);
    else this.#drain(undefined);
  }

  /** Stops the job for a reason that is recorded first. A second stop keeps the first reason; it can only be faster. */
  stop(code: EndReasonCode, message: string, by?: string, graceMs?: number): void {
    if (this.#phase === "settled") return;
    if (this.#stop !== undefined) {
      if (graceMs !== undefined) this.#termination?.hasten(graceMs);
      return;
    }
    const grace = graceMs ?? this.#options.spec.graceMs ?? this.#context.defaultGraceMs;
    this.#stop = recordStop(this.directory, this.#context, { code, message, by, graceMs: grace });
    this.#terminate(this.#stop);
  }

  /** Lets go of it; the job runs on. */
  dispose(): void {
    if (this.#phase === "settled") return;
    this.#phase = "settled";
    this.#release();
  }

  #terminate(stop: StopRecord): void {
    const { platform, clock } = this.#context;
    this.#timeLimit?.cancel();
    this.#cancelDrain?.();
    // Else it begins another run. Its trap notes it, and waits for the one that is there.
    if (this.#options.spec.retry !== undefined && this.#wrapperLives()) {
      signalProcess(this.#options.process.pid, "SIGTERM");
    }
    this.#termination = new Termination({
      platform,
      clock,
      tree: () => this.tree,
      graceMs: Math.max(0, stop.at + stop.graceMs - clock.now()),
      wrapperLives: () => this.#wrapperLives(),
      done: (survivors) => {
        // That its wrapper is gone may not have been told yet.
        this.#countRuns();
        this.#survivors = survivors;
        this.#phase = "draining";
        this.#record = this.#readRecord();
        this.#settle();
      },
    });
  }

  #drain(exit: Exit | undefined): void {
    // Being stopped: the termination says when nothing is left.
    if (this.#termination !== undefined) return;
    if (!this.#isHeld()) return this.#settle();
    if (exit !== undefined && this.job.exit === undefined) {
      this.job.mainExited(exit);
      this.#context.changed(this.job);
    }
    this.#cancelDrain = this.#context.clock.after(this.#drainMs, () => {
      this.output.observe();
      this.#drain(exit);
    });
    this.#drainMs = Math.min(this.#drainMs * 2, longestDrainMs);
  }

  /** Whether processes of the job's group (other than a wrapper about to go) have its output open. */
  #isHeld(): boolean {
    const { platform } = this.#context;
    const { pid } = this.#options.process;
    if (this.#pidReused || !groupExists(pid)) return false;
    const group = platform.processes().filter((info) => info.group === pid && info.pid !== pid);
    const files = [this.directory.file("stdout"), this.directory.file("stderr")];
    const pids = group.map((info) => info.pid);
    return pids.length > 0 && platform.holders(pids, files).length > 0;
  }

  #wrapperLives(): boolean {
    const { pid, startTime, bootId } = this.#options.process;
    const { platform } = this.#context;
    const found = platform.startTime(pid);
    if (bootId !== platform.bootId) {
      this.#pidReused = true;
      return false;
    }
    // As long as a process of our group lives the kernel gives its number to no new process, so a stranger with this
    // pid means that the whole group is gone.
    this.#pidReused = found !== undefined && found !== startTime;
    return found === startTime;
  }

  #exitTouched(): void {
    if (this.#countRuns()) this.#context.changed(this.job);
    if (!this.#adopted || this.#phase !== "main" || this.#termination !== undefined) return;
    if (this.#readRecord().kind === "complete") this.wrapperExited();
  }

  /** Returns whether a job that is retried runs again. */
  #countRuns(): boolean {
    const { spec } = this.#options;
    if (spec.retry === undefined || this.#phase !== "main") return false;
    const before = this.job.attempts;
    this.job.attempts = this.directory.readExit().runs;
    return this.job.attempts !== before;
  }

  #readRecord(): ExitRecord {
    const file = this.#options.files?.exit;
    // That of a job that is retried is longer.
    if (file === undefined || this.#options.spec.retry !== undefined) return this.directory.readExit().record;
    const content = Buffer.alloc(emptyExitRecord.length * 2);
    return parseExitRecord(content.subarray(0, readSync(file, content, 0, content.length, 0)));
  }

  #settle(): void {
    if (this.#phase === "settled") return;
    const { clock, platform } = this.#context;
    const { process: started } = this.#options;
    this.output.observe();
    const wrote = this.job.written.stdout + this.job.written.stderr > 0;
    const conclusion = conclude({
      record: this.#record,
      stop: this.#stop,
      rebooted: started.bootId !== platform.bootId,
      notStarted:
        started.program !== "" && saysNotStarted(this.#record)
          ? explainNotStarted(started.program)
          : undefined,
      diskFull: wrote && this.#context.diskIsFull(),
    });
    const end: EndRecord = {
      ...conclusion,
      startedAt: started.startedAt,
      ...endTimeOf(this, {
        state: conclusion.state,
        record: this.#record,
        adopted: this.#adopted,
        now: this.#context.clock.now(),
      }),
      written: { ...this.job.written },
      ...(this.job.attempts === undefined ? {} : { attempts: this.job.attempts }),
      settledAt: clock.now(),
    };
    if (this.#survivors > 0 && end.reason !== undefined) {
      const message = `${end.reason.message}; ${String(this.#survivors)} of its processes could not be killed`;
      end.reason = { ...end.reason, message };
    }
    this.#phase = "settled";
    this.#release();
    this.#context.settled(this, end);
  }

  #release(): void {
    this.#cancelDrain?.();
    this.#timeLimit?.cancel();
    this.#termination?.dispose();
    this.output.close();
    const exit = this.#options.files?.exit;
    if (exit !== undefined) closeSync(exit);
  }

  #grew(bytes: number): void {
    this.#context.grew(this.job, this.output.timeline, bytes);
    enforceOutputLimit(this, outputLimit(this.#options.spec, this.#context));
  }

  #armTimeout(): void {
    const { timeoutMs } = this.#options.spec;
    if (timeoutMs === undefined) return;
    this.#timeLimit = new TimeLimit(this.#context.clock, this.#options.process.startedAt, timeoutMs, () =>
      this.stop("timed_out", `it ran longer than its timeout of ${String(timeoutMs)} ms`),
    );
  }
}
