/**
 * Every number of the protocol, with its unit, its reason and what happens at the limit.
 * Limits that a host or controller may choose for itself live with their owners; these hold for the wire.
 */

/** The largest message that either side accepts, in bytes. A larger one closes the connection (`protocol_error`).
 * Room for the largest script and argument vector in one request, and far below what would stall an event loop. */
export const maxMessageBytes = 4 * 1024 * 1024;

/** The most data in one chunk frame, in bytes. Large enough that per-message costs vanish, small enough that
 * other streams of the same connection wait less than a millisecond behind it. */
export const maxChunkBytes = 256 * 1024;

/** How deep arrays and maps may nest in a message. Deeper is a `protocol_error`; our own messages need 8. */
export const maxNestingDepth = 32;

/** The most values (array elements, map keys and map values together) that one message may hold.
 * A megabyte of one-byte values would otherwise become tens of megabytes of objects. */
export const maxValuesPerMessage = 200_000;

/** The most requests that one side may have unanswered on one connection. The next one is answered `limit_exceeded`. */
export const maxOpenRequests = 10_000;

/** The most streams that one side may have open for sending on one connection. The next one is a `protocol_error`. */
export const maxOpenStreams = 10_000;

/** The smallest window that a reader may ask for, in bytes: what an exit message may carry inline must fit in it. */
export const minWindowBytes = 16 * 1024;

/** The window of a stream when the reader does not say, in bytes. */
export const defaultWindowBytes = 256 * 1024;

/** The largest window that a reader may ask for, in bytes. One stream can never make a relay hold more than this. */
export const maxWindowBytes = 16 * 1024 * 1024;

/** The most output, all streams together, that a status message carries inline, in bytes. Longer output is streamed. */
export const maxInlineOutputBytes = 16 * 1024;

/** The most that a job's standard input may hold when it travels inside the request, in bytes. Longer input is streamed. */
export const maxInlineInputBytes = 64 * 1024;

/** The most bytes of arguments and environment together that a command may have. Linux itself stops at about 2 MiB. */
export const maxArgumentBytes = 1024 * 1024;

/** The most secrets of one job, in bytes. They are keys and passwords; larger files are not. */
export const maxSecretBytes = 256 * 1024;

/** The largest script body, in bytes. */
export const maxScriptBytes = 1024 * 1024;

/** Unsent bytes on a socket above which a stream's sender waits, in bytes. */
export const socketHighWaterBytes = 1024 * 1024;

/** The longest target expression, in characters. It travels to every host that it is for. */
export const maxExpressionLength = 64 * 1024;

/** How long unsent bytes may sit without any progress before the connection is given up, in milliseconds. */
export const writeDeadlineMs = 30_000;

/** How long a side may hear nothing before it asks `ping`, in milliseconds. Proxies cut idle sockets at 30 s or later. */
export const heartbeatIntervalMs = 10_000;

/** How long a side may hear nothing, while it was itself awake to listen, before the peer counts as dead, in milliseconds. */
export const heartbeatTimeoutMs = 25_000;

/** How long the first frame of a new connection may take, in milliseconds. */
export const helloTimeoutMs = 10_000;

/** The longest line and the most lines that a terminal may have. The screen of one is held in memory. */
export const maxColumns = 1000;
export const maxRows = 500;

/** The largest repaint of a terminal, in bytes. Scrollback is left out, the oldest first, until it fits. */
export const maxRepaintBytes = 1024 * 1024;

/** What a controller keeps of the facts that a host's own programs give, as JSON, in characters; those behind are left out.
 * With ten thousand hosts it is 160 MB. */
export const maxCustomFactsLength = 16 * 1024;

/** How long an opening session may take to show its first prompt before it counts as opened all the same, in
 * milliseconds: start-up files may be slow, or ask something. */
export const shellStartMs = 5_000;
