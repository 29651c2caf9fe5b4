/** What a host allows its jobs. Every number is a setting of the agent; the defaults suit a server with room to spare. */

export interface JobSettings {
  /** How many jobs may run at once. Default 256: each costs about 1 MB for its wrapper. One more is refused with `limit_exceeded`. */
  readonly maxRunningJobs: number;
  /** How many bytes one job may write, stdout and stderr together. Default 8 GiB. Beyond it the job is stopped:
   * `failed`, reason `output_limit`; what it wrote stays readable. */
  readonly maxOutputBytesPerJob: number;
  /** How many bytes the directories of all jobs may take. Default 32 GiB. Beyond it the oldest ended jobs are evicted;
   * if that does not help, the running job that wrote most is stopped (`disk_full`), and starts are refused (`disk_full`). */
  readonly maxTotalBytes: number;
  /** How many bytes MUST stay free on the disk. Default 256 MiB: a full disk harms more than our jobs. Same as `maxTotalBytes`. */
  readonly minFreeBytes: number;
  /** How many ended jobs are kept. Default 10,000: memory and directory entries are bounded in number as well as in
   * bytes. Beyond it the oldest ended are evicted. */
  readonly maxEndedJobs: number;
  /** How long an ended job's output waits to be received, in milliseconds. Default 30 days. Then it is removed. */
  readonly maxJobAgeMs: number;
  /** How long a removed job's final status is remembered, so that a repeated start never runs it twice, in
   * milliseconds. Default 7 days. */
  readonly tombstoneAgeMs: number;
  /** How many removed jobs are remembered. Default 20,000: about 6 MB of file and 3 MB of memory; the oldest are forgotten
   * first. Ten times as many of those that were removed in the last half hour, whose starts could still be repeated. */
  readonly maxTombstones: number;
  /** How long a stopped job's processes have between SIGTERM and SIGKILL, in milliseconds, when nobody says. Default 10 s. */
  readonly defaultGraceMs: number;
}

const mebibyte = 1024 ** 2;
const gibibyte = 1024 ** 3;
const dayMs = 24 * 60 * 60 * 1000;

export const defaultJobSettings: JobSettings = {
  maxRunningJobs: 256,
  maxOutputBytesPerJob: 8 * gibibyte,
  maxTotalBytes: 32 * gibibyte,
  minFreeBytes: 256 * mebibyte,
  maxEndedJobs: 10_000,
  maxJobAgeMs: 30 * dayMs,
  tombstoneAgeMs: 7 * dayMs,
  maxTombstones: 20_000,
  defaultGraceMs: 10_000,
};
