/**
 * Watches over one job that runs in the shell of a session, from its being asked for (or adopted) to its end.
 *
 *     asked ──run.started──▶ main ──answer, or exit record──▶ draining ──nobody holds the output──▶ settled
 *       └───────never, refused: nothing ran───────────────────────────────────────────────────────────▲
 *
 * `asked` is a `pending` job that waits for its turn. The shell is the session's: it is never signalled and does not
 * count as a holder of the output. What is stopped is the run, by the session host; and once that has ended, what it
 * left in the background and still has the job's output open.
 *
 * The end is the session host's answer rather than the exit record, which is there a moment earlier: by then the session
 * host, too, knows that it is over. When that has gone meanwhile it is asked again, or rather the next one is; the
 * record in the job's directory is what counts then.
 */
import {
  type EndReason,
  type EndReasonCode,
  ErrorCode,
  type OutpostError,
  type RunStarted,
  type SessionId,
} from "@outpost/protocol";
import { conclude, type Conclusion } from "./conclusion.ts";
import type { ExitRecord } from "./exit-record.ts";
import type { Job } from "./job.ts";
import type { EndRecord, JobDirectory, ProcessRecord, SpecRecord, StopRecord } from "./job-directory.ts";
import { OutputLog } from "./output-log.ts";
import type { RunningJobContext } from "./running-job.ts";
import { Leftovers } from "./session-leftovers.ts";
import { SessionRun, wasCut } from "./session-run.ts";
import type { SessionShells } from "./session-shells.ts";
import { SessionStop, type StopSignal } from "./session-stop.ts";
import { recordStop } from "./stop-record.ts";
import { TimeLimit } from "./time-limit.ts";
import { endTimeOf, enforceOutputLimit, outputLimit, type WatchedJob } from "./watched-job.ts";

/** How long the answer may come after the exit record, in milliseconds: a prompt may take its time. */
const answerWaitMs = 1_000;

export interface SessionJobOptions {
  readonly job: Job;
  readonly directory: JobDirectory;
  readonly session: SessionId;
  readonly busy: "wait" | "fail";
  readonly operator: string;
  readonly spec: Partial<Pick<SpecRecord, "timeoutMs" | "graceMs" | "maxOutputBytes">>;
  readonly shells: SessionShells;
  /** Where the shell finds the files. Default: the job's directory. Else what is there is linked to from it. */
  readonly runDirectory?: string;
  /** Descriptors of a job that was just accepted; default: an adopted job's, opened here. */
  readonly files?: { readonly stdout: number; readonly stderr: number };
  /** Of an adopted job that is known to have started. */
  readonly process?: ProcessRecord;
}

export class SessionJob implements WatchedJob {
  readonly job: Job;
  readonly directory: JobDirectory;
  readonly output: OutputLog;
  readonly spool = "stdin.spool";
  readonly #context: RunningJobContext;
  readonly #options: SessionJobOptions;
  readonly #adopted: boolean;
  readonly #asked: SessionRun;
  #phase: "asked" | "main" | "draining" | "settled" = "asked";
  #process: ProcessRecord | undefined;
  #record: ExitRecord = { kind: "empty" };
  #stopRecord: StopRecord | undefined;
  #stop: SessionStop | undefined;
  #leftovers: Leftovers | undefined;
  #timeLimit: TimeLimit | undefined;
  #cancelAnswer: (() => void) | undefined;

  constructor(options: SessionJobOptions, context: RunningJobContext) {
    const { job, directory, files } = options;
    this.job = job;
    this.directory = directory;
    this.#options = options;
    this.#context = context;
    this.#adopted = files === undefined;
    this.#process = options.process;
    const { session, busy, operator, shells, runDirectory = directory.path } = options;
    this.#asked = new SessionRun({
      shells,
      params: { session, job: job.id, directory: runDirectory, operator, busy },
      clock: context.clock,
      started: (process) => this.#started(process),
      mayHear: (error) => this.#mayHear(error),
    });
    this.output = new OutputLog({
      job,
      directory,
      clock: context.clock,
      watched: runDirectory,
      ...(files === undefined ? {} : { files }),
      maxBytes: outputLimit(options.spec, context),
      grew: (bytes) => this.#grew(bytes),
      exitTouched: () => this.#lookForRecord(),
    });
  }

  /**
   * Asks the session for it. Resolves when it has started or ended; with `busy: "wait"`, at once.
   * @throws OutpostError `busy` and whatever else the session refuses it with, with `busy: "fail"` only: nothing ran, and
   * the job is no longer watched
   */
  async begin(): Promise<void> {
    this.output.watch();
    const ended = this.#ask();
    if (this.#options.busy === "wait") return;
    const { promise: started, resolve } = Promise.withResolvers<undefined>();
    const unwatch = this.job.watch(() => {
      if (this.#phase !== "asked") resolve(undefined);
    });
    const refusal = await Promise.race([started, ended]);
    unwatch();
    if (refusal !== undefined) throw refusal;
  }

  /** Takes up a job that another agent process asked for. It may have ended meanwhile, and may settle at once. */
  adopt(): void {
    this.output.watch();
    this.output.observe();
    if (this.#process !== undefined) this.#run(this.#process);
    const stop = this.directory.readStop();
    if (this.directory.readExit().record.kind === "complete") {
      this.#stopRecord = stop;
      this.#ended();
      return;
    }
    void this.#ask();
    // The signal may not have been sent any more: once too often is better than never.
    if (stop !== undefined) this.#end(stop);
  }

  poll(): void {
    this.output.observe();
    this.#lookForRecord();
  }

  stop(code: EndReasonCode, message: string, by?: string, graceMs?: number): void {
    if (this.#phase === "settled") return;
    if (this.#stopRecord !== undefined) {
      if (graceMs !== undefined) this.#stop?.hasten(graceMs);
      return;
    }
    const grace = graceMs ?? this.#options.spec.graceMs ?? this.#context.defaultGraceMs;
    this.#end(recordStop(this.directory, this.#context, { code, message, by, graceMs: grace }));
  }

  dispose(): void {
    if (this.#phase === "settled") return;
    this.#phase = "settled";
    this.#release();
  }

  // ------------------------------------------------------------------------------------------ asking

  /** Resolves when nothing more is to be heard, with the error when the start has to fail. */
  async #ask(): Promise<OutpostError | undefined> {
    const answer = await this.#asked.outcome();
    if (this.#phase === "settled" || this.#phase === "draining") return undefined;
    switch (answer.outcome) {
      case "ended":
        this.#ended();
        break;
      case "never":
        this.#neverRan(answer.message ?? "the session ended before it was this command's turn; nothing ran");
        break;
      case "failed":
        return this.#failed(answer.error);
      case "released":
        break;
      default:
        answer satisfies never;
    }
    return undefined;
  }

  #started(process: RunStarted): void {
    if (this.#phase !== "asked") return;
    const { platform, clock } = this.#context;
    const { session } = this.#options;
    const { pid, startTime } = process;
    const record = { pid, startTime, bootId: platform.bootId, startedAt: clock.now(), program: "", session };
    try {
      this.directory.writeProcess(record);
    } catch {
      // The disk filled up this moment. It runs, and after a crash the session host is asked for it.
    }
    this.#run(record);
    this.#context.changed(this.job);
  }

  #run(process: ProcessRecord): void {
    const { timeoutMs } = this.#options.spec;
    this.#process = process;
    this.#phase = "main";
    this.job.started(process.startedAt);
    if (timeoutMs === undefined) return;
    this.#timeLimit = new TimeLimit(this.#context.clock, process.startedAt, timeoutMs, () =>
      this.stop("timed_out", `it ran longer than its timeout of ${String(timeoutMs)} ms`),
    );
  }

  #mayHear(error: OutpostError): boolean {
    if (this.directory.readExit().record.kind === "complete") return false;
    // With the shell gone, whatever it left is there.
    return this.#phase === "asked" ? wasCut(error) : this.#shellLives();
  }

  #shellLives(): boolean {
    const { platform } = this.#context;
    const shell = this.#process;
    return shell?.bootId === platform.bootId && platform.startTime(shell.pid) === shell.startTime;
  }

  #failed(error: OutpostError): OutpostError | undefined {
    const { busy } = this.#options;
    if (this.#phase !== "asked" || this.directory.readExit().record.kind === "complete") this.#ended();
    // A session that says that it is busy lives, and does not know the run: it was never asked for it.
    else if (this.#adopted && error.code !== ErrorCode.busy) this.#settle({ lost: interrupted(error) });
    else if (!this.#adopted && busy === "fail" && this.#stopRecord === undefined) {
      this.dispose();
      return error;
    } else this.#neverRan(error.message);
    return undefined;
  }

  #neverRan(message: string): void {
    this.#settle({ concluded: { state: "failed", reason: { code: "refused", message } } });
  }

  // ------------------------------------------------------------------------------------------ ending

  /** In case the answer does not come. */
  #lookForRecord(): void {
    if (this.#phase !== "asked" && this.#phase !== "main") return;
    if (this.#cancelAnswer !== undefined || this.directory.readExit().record.kind !== "complete") return;
    this.#cancelAnswer = this.#context.clock.after(answerWaitMs, () => this.#ended());
  }

  #ended(): void {
    if (this.#phase === "settled" || this.#phase === "draining") return;
    this.#phase = "draining";
    this.#timeLimit?.cancel();
    this.#record = this.directory.readExit().record;
    const { platform, clock } = this.#context;
    const shell = this.#process;
    if (shell === undefined || shell.bootId !== platform.bootId) return this.#settle();
    this.#leftovers = new Leftovers({
      platform,
      clock,
      shell,
      files: [this.directory.file("stdout"), this.directory.file("stderr")],
      held: () => this.#held(),
      over: () => this.#settle(),
    });
    if (this.#stop === undefined) this.#leftovers.look();
    else this.#endLeftovers();
  }

  /** Its output may still grow; how the command ended is known. */
  #held(): void {
    this.output.observe();
    if (this.#record.kind !== "complete" || this.job.exit !== undefined) return;
    this.job.mainExited(this.#record.exit);
    this.#context.changed(this.job);
  }

  // ------------------------------------------------------------------------------------------ stopping

  #end(stop: StopRecord): void {
    const { clock } = this.#context;
    this.#stopRecord = stop;
    this.#timeLimit?.cancel();
    this.#stop = new SessionStop({
      clock,
      graceMs: Math.max(0, stop.at + stop.graceMs - clock.now()),
      send: (signal) => this.#send(signal),
      gaveUp: () => this.#gaveUp(),
    });
    this.#stop.begin();
    // The command has ended: an interrupt would reach nobody.
    this.#endLeftovers();
  }

  #send(signal: StopSignal): void {
    if (this.#phase === "asked" || this.#phase === "main") this.#asked.stop(signal);
    else if (signal !== "SIGINT") this.#endLeftovers();
  }

  #endLeftovers(): void {
    this.#leftovers?.end(() => this.#stop?.signal ?? "SIGTERM");
  }

  #gaveUp(): void {
    const stop = this.#stopRecord!;
    this.#stopRecord = { ...stop, message: `${stop.message}; ${this.#survivors()}` };
    this.#record = this.directory.readExit().record;
    this.#settle();
  }

  #survivors(): string {
    if (this.#leftovers !== undefined)
      return `${String(this.#leftovers.count)} of its processes could not be killed`;
    return this.#phase === "main"
      ? "the shell of its session could not be interrupted and is still busy with it; remove the session to end it"
      : "its session could not be told; it may still run there";
  }

  // ------------------------------------------------------------------------------------------ settling

  #settle({ lost = vanished, concluded }: Known = {}): void {
    if (this.#phase === "settled") return;
    const { clock } = this.#context;
    const shell = this.#process;
    this.output.observe();
    const conclusion =
      concluded !== undefined && this.#stopRecord === undefined ? concluded : this.#conclude(lost);
    const end: EndRecord = {
      ...conclusion,
      ...(shell === undefined ? {} : { startedAt: shell.startedAt }),
      ...endTimeOf(this, {
        state: conclusion.state,
        record: this.#record,
        adopted: this.#adopted,
        now: this.#context.clock.now(),
      }),
      written: { ...this.job.written },
      settledAt: clock.now(),
    };
    this.#phase = "settled";
    this.#release();
    this.#context.settled(this, end);
  }

  #conclude(lost: EndReason): Conclusion {
    const { platform, diskIsFull } = this.#context;
    const shell = this.#process;
    const wrote = this.job.written.stdout + this.job.written.stderr > 0;
    return conclude({
      record: this.#record,
      stop: this.#stopRecord,
      rebooted: shell !== undefined && shell.bootId !== platform.bootId,
      diskFull: wrote && diskIsFull(),
      lost,
    });
  }

  #release(): void {
    this.#asked.release();
    this.#leftovers?.dispose();
    this.#cancelAnswer?.();
    this.#timeLimit?.cancel();
    this.#stop?.dispose();
    this.output.close();
  }

  #grew(bytes: number): void {
    this.#context.grew(this.job, this.output.timeline, bytes);
    enforceOutputLimit(this, outputLimit(this.#options.spec, this.#context));
  }
}

/** What is known of a job's end where its record does not say it. */
interface Known {
  /** Why it is lost, when there is no record. */
  readonly lost?: EndReason;
  /** How it ended, unless it was stopped. */
  readonly concluded?: Conclusion;
}

const vanished: EndReason = {
  code: "wrapper_vanished",
  message: "the session in whose shell it ran has gone without a record of how the command ended",
};

/** Another agent process asked for it, and died before it was told of its start. */
function interrupted(error: OutpostError): EndReason {
  return {
    code: "start_interrupted",
    message: `the agent died while the command waited for its turn, and its session cannot say what became of it (${error.message}); it may not have run`,
  };
}
