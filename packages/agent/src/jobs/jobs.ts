/**
 * The jobs of this host: the one door to everything in this folder. It owns the directory of job directories and what
 * is known about each job; it never holds output in memory, and disposing it leaves every job running.
 */
import type {
  Clock,
  Gap,
  JobAcknowledgeParams,
  JobId,
  JobReadParams,
  JobReadResult,
  JobStartParams,
  JobStartResult,
  JobStatus,
  JobStopParams,
  OutgoingStream,
  OutpostError,
  StreamName,
} from "@outpost/protocol";
import type { Logger } from "pino";
import type { JobSettings } from "./settings.ts";

export interface JobsOptions {
  /** The directory that holds one directory per job; made (0700) when it is not there. One process at a time. */
  readonly directory: string;
  /** Given to every job as `OUTPOST_HOST`. */
  readonly hostName: string;
  readonly settings: JobSettings;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Where `Jobs.read` puts what it reads. */
export interface ReadSink {
  /** A stream opened and announced to the reader, begun at `offset` with the reader's window. */
  open(name: StreamName, offset: number): OutgoingStream;
  /** Bytes are missing. Called before the chunk that follows them; the stream, if open, is moved by the caller of this. */
  gap(name: StreamName, gap: Gap): void;
}

/** The standard input of a job while it arrives. Kept in a file, so it goes on after any cut from `size`. */
export interface InputSpool {
  /** How many bytes are stored: where the sender goes on. */
  readonly size: number;
  /** Stores bytes. What is below `size` already is ignored. @throws OutpostError `invalid_argument` beyond `size`, `disk_full` */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** The input is complete; resolves when all of it is on disk. The job sees end of file after the last byte. */
  end(): Promise<void>;
  /** The input will never be complete: the job is stopped rather than shown a false end of file. */
  fail(error: OutpostError): Promise<void>;
}

export class Jobs implements AsyncDisposable {
  /** Adopts what runs and settles what ended, before it resolves. @throws when the directory cannot be used */
  static open(_options: JobsOptions): Promise<Jobs> {
    return Promise.reject(new Error("not built yet"));
  }

  private constructor() {}

  /**
   * Starts a job, unless a job of that id was ever started here: then says how that one stands.
   * Resolves when the job has ended, or after `inlineWaitMs`, or when `signal` aborts (the job goes on).
   * @throws OutpostError `limit_exceeded`, `disk_full`: nothing ran. A program that cannot be started is a job that
   * `failed` with reason `start_failed`; a start that came too late one with reason `expired`.
   */
  start(_params: JobStartParams, _signal?: AbortSignal): Promise<JobStartResult> {
    throw new Error("not built yet");
  }

  /**
   * Reads a job's streams from offsets, as far as each stream's credit goes; ends them, then resolves.
   * @throws OutpostError `not_found`; `disconnected` when a stream's connection ends; `cancelled` when `signal` aborts
   */
  read(_params: JobReadParams, _sink: ReadSink, _signal: AbortSignal): Promise<JobReadResult> {
    throw new Error("not built yet");
  }

  /** Records what was received. When a job has ended and all of it was received, its directory goes. Unknown jobs are ignored. */
  acknowledge(_params: JobAcknowledgeParams): Promise<void> {
    throw new Error("not built yet");
  }

  /** The jobs of these ids as they stand, those removed included; unknown ones are left out. */
  status(_ids: readonly JobId[]): JobStatus[] {
    throw new Error("not built yet");
  }

  /** Every job that is pending or running, or has ended and is not removed. */
  list(): JobStatus[] {
    throw new Error("not built yet");
  }

  /** Sends SIGTERM to all processes of the job, and SIGKILL after the grace. A job that has ended stays as it is. @throws OutpostError `not_found` */
  stop(_params: JobStopParams): Promise<JobStatus> {
    throw new Error("not built yet");
  }

  /** Forgets an ended job's output. Removing a job that is not there succeeds. @throws OutpostError `conflict` while it runs */
  remove(_job: JobId): Promise<void> {
    throw new Error("not built yet");
  }

  /** The job's input, to be written to. @throws OutpostError `not_found`; `conflict` when its input is not a stream, or the job has ended */
  input(_job: JobId): Promise<InputSpool> {
    throw new Error("not built yet");
  }

  /** Calls back at every change of state: started, main process ended, ended. Returns what takes the listener away. */
  onChanged(_listener: (status: JobStatus) => void): () => void {
    throw new Error("not built yet");
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
