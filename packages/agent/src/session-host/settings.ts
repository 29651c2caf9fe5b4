/** What a host allows its sessions. Every number is a setting of the agent (`sessions` in agent.json); the defaults suit a server with room to spare. */

export interface SessionSettings {
  /** How many sessions may live at once. Default 100: each has a shell, and about 2 MB for its screen. One more is
   * refused with `limit_exceeded`. */
  readonly maxSessions: number;
  /** How long a session may be disconnected and idle before it is closed, in milliseconds, when nobody says. Default 2 hours. */
  readonly defaultIdleTimeoutMs: number;
  /** The longest idle time that may be asked for, in milliseconds. Default 7 days. More is refused with `limit_exceeded`. */
  readonly maxIdleTimeoutMs: number;
  /** How many bytes of output that nobody has seen are kept on disk for each session (`spill`). Default 256 MiB. Beyond
   * it the oldest are dropped: a gap that readers are told of. */
  readonly maxUnreadBytes: number;
  /** The same for sessions that `drop-oldest`. Default 1 MiB. */
  readonly dropOldestBytes: number;
  /** How much unseen output a session that may `block` takes while nobody is connected, in bytes. Default 1 MiB. Beyond
   * it the shell waits. */
  readonly blockBytes: number;
  /** How many lines above the screen a repaint brings back. Default 1,000. */
  readonly scrollbackLines: number;
  /** The largest recording, in bytes. Default 256 MiB. Beyond it recording stops, with a marker that says so. */
  readonly maxRecordingBytes: number;
  /** How long output and recording of an ended session wait to be read, in milliseconds. Default 7 days. Then it is forgotten. */
  readonly endedRetentionMs: number;
  /** How many ended sessions are kept. Default 1,000. Beyond it the oldest are forgotten. */
  readonly maxEndedSessions: number;
  /** How long what runs in a session has between SIGHUP and SIGKILL when it is ended, in milliseconds. Default 2 s. */
  readonly killGraceMs: number;
}

const mebibyte = 1024 ** 2;
const hourMs = 60 * 60 * 1000;

export const defaultSessionSettings: SessionSettings = {
  maxSessions: 100,
  defaultIdleTimeoutMs: 2 * hourMs,
  maxIdleTimeoutMs: 7 * 24 * hourMs,
  maxUnreadBytes: 256 * mebibyte,
  dropOldestBytes: mebibyte,
  blockBytes: mebibyte,
  scrollbackLines: 1_000,
  maxRecordingBytes: 256 * mebibyte,
  endedRetentionMs: 7 * 24 * hourMs,
  maxEndedSessions: 1_000,
  killGraceMs: 2_000,
};
