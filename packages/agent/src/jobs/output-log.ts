/**
 * Watches a running job's output files grow. The job writes them itself; this only looks at their sizes, tells the job,
 * and records growth in the timeline.
 */
import { closeSync, fstatSync, watch, type FSWatcher } from "node:fs";
import type { Clock, OutputName, TimelineRecord } from "@outpost/protocol";
import type { Job } from "./job.ts";
import type { JobDirectory } from "./job-directory.ts";
import { extentOf, openJobFile } from "./job-file.ts";
import { coveredBy, Timeline } from "./timeline.ts";

/**
 * How long after an observation the next one is put off, in milliseconds. The first write after a pause is seen at
 * once; a job that writes all the time is looked at 100 times a second, so its timeline grows by 3 KiB/s at most.
 */
const quietMs = 10;

/** After so many looks in a row with growth, the files are looked at by the clock. */
const busyLooks = 3;
/** After so many looks in a row without, they are watched again. */
const idleLooks = 5;
/** How often to look, and to try again, when the system lets us watch no more files, in milliseconds. */
const unwatchedMs = 100;

/**
 * More than a job writes from being over its limit to its end, in bytes. A job can also make its files any length at once,
 * and without writing (truncate); it must not push the output of all others out of the quota by that.
 */
const beyondLimitBytes = 1024 ** 3;

export interface OutputLogOptions {
  readonly job: Job;
  readonly directory: JobDirectory;
  readonly clock: Clock;
  /** The directory by whose names the files are written to: that they were is told of that one only. Default: the job's. */
  readonly watched?: string;
  /** Descriptors of stdout and stderr; owned by the log from now on. Default: opened here. */
  readonly files?: { readonly stdout: number; readonly stderr: number };
  /** How much the job may write, in bytes. Of what is far beyond that, nothing is output. */
  readonly maxBytes: number;
  /** Called after every observation that found growth, with the bytes that both streams grew by. */
  readonly grew: (bytes: number) => void;
  /** Called when the exit file was written to, as far as the system tells. */
  readonly exitTouched: () => void;
}

export class OutputLog {
  readonly #options: OutputLogOptions;
  readonly #files: { readonly stdout: number; readonly stderr: number };
  readonly timeline: Timeline;
  #watcher: FSWatcher | undefined;
  #cancelNext: (() => void) | undefined;
  #dirty = false;
  #closed = false;

  constructor(options: OutputLogOptions) {
    const { job, directory, files } = options;
    this.#options = options;
    this.#files = files ?? { stdout: open(directory, "stdout"), stderr: open(directory, "stderr") };
    const fileBytes = files === undefined ? directory.sizeOf("timeline") : 0;
    this.timeline = new Timeline(directory.file("timeline"), fileBytes);
    if (fileBytes > 0) {
      const covered = coveredBy(directory.file("timeline"));
      job.grew("stdout", covered.stdout);
      job.grew("stderr", covered.stderr);
    }
    job.timelineBytes = this.timeline.bytes;
  }

  watch(): void {
    if (this.#closed) return;
    try {
      const { watched, directory } = this.#options;
      this.#watcher = watch(watched ?? directory.path, { persistent: false }, (_, name) =>
        this.#onEvent(name),
      );
      this.#watcher.on("error", () => this.#unwatch());
    } catch {
      // ENOSPC (fs.inotify.max_user_watches) or EMFILE: by the clock, until there is room.
      this.#cancelNext = this.#options.clock.after(unwatchedMs, () => {
        this.#cancelNext = undefined;
        this.watch();
        this.observe();
      });
    }
  }

  /** Looks at the files now. True when they grew. */
  observe(): boolean {
    if (this.#closed) return false;
    const { job, maxBytes } = this.#options;
    const growth: TimelineRecord[] = [];
    let bytes = 0;
    for (const stream of ["stdout", "stderr"] as const) {
      const { bytes: length, timeMs } = extentOf(fstatSync(this.#files[stream]));
      const upTo = Math.min(length, maxBytes + beyondLimitBytes);
      if (upTo <= job.written[stream]) continue;
      bytes += upTo - job.written[stream];
      growth.push({ stream, upTo, timeUs: Math.round(timeMs * 1000) });
    }
    if (growth.length === 0) return false;
    this.#record(growth);
    job.timelineBytes = this.timeline.bytes;
    job.observed();
    this.#options.grew(bytes);
    return true;
  }

  /** A last look, then lets go of the files. */
  close(): void {
    if (this.#closed) return;
    this.#unwatch();
    this.#cancelNext?.();
    this.observe();
    this.#closed = true;
    closeSync(this.#files.stdout);
    closeSync(this.#files.stderr);
  }

  #record(growth: TimelineRecord[]): void {
    const { job } = this.#options;
    // When both grew, the one that was written to last comes last.
    growth.sort((a, b) => a.timeUs - b.timeUs);
    for (const record of growth) {
      job.grew(record.stream, record.upTo);
      try {
        this.timeline.append(record);
      } catch {
        // Kept, and tried again with the next record. A full disk is found and reported by the retention.
      }
    }
  }

  #onEvent(name: string | null): void {
    switch (name) {
      case "stdout":
      case "stderr":
      case null:
        if (this.#cancelNext === undefined) this.#look(0);
        else this.#dirty = true;
        return;
      case "exit":
        this.#options.exitTouched();
        return;
      default:
        return;
    }
  }

  /** @param busy how many times in a row there was something to see */
  #look(busy: number): void {
    this.#dirty = false;
    this.#cancelNext = this.#options.clock.after(quietMs, () => {
      this.#cancelNext = undefined;
      if (this.#dirty) this.#look(busy + 1);
    });
    this.observe();
    if (busy >= busyLooks) this.#poll(0);
  }

  /** Instead of an event for each write, of which there may be a hundred thousand per second. */
  #poll(idle: number): void {
    // What was just seen may have been the last.
    if (this.#closed) return;
    this.#unwatch();
    this.#cancelNext?.();
    this.#cancelNext = this.#options.clock.after(quietMs, () => {
      this.#cancelNext = undefined;
      if (idle >= idleLooks) this.watch();
      const grew = this.observe();
      if (idle < idleLooks) this.#poll(grew ? 0 : idle + 1);
    });
  }

  #unwatch(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }
}

function open(directory: JobDirectory, name: OutputName): number {
  return openJobFile(directory.file(name), "r");
}
