/**
 * The one error class of Outpost and its closed list of codes. Codes surface unchanged in the CLI's JSON and in the
 * client library; `docs/errors.md` has a heading for each.
 */
import * as v from "valibot";

export const ErrorCode = {
  /** The caller's request makes no sense as it stands: a bad argument, an unknown option, a malformed target. */
  invalidArgument: "invalid_argument",
  /** The policy, the certificate or the token does not allow it. */
  denied: "denied",
  /** What the request names does not exist. */
  notFound: "not_found",
  /** The receiver does not know this method: it is older than the sender. */
  methodNotFound: "method_not_found",
  /** It exists already, or is in a state that does not allow this. */
  conflict: "conflict",
  /** In use by somebody else, or too much is going on; trying later may work. */
  busy: "busy",
  /** A stated limit was reached; the message names the limit, its value and the setting. */
  limitExceeded: "limit_exceeded",
  /** The host is enrolled but has no connection to the controller. */
  hostUnreachable: "host_unreachable",
  /** The controller could not be reached, or the connection to it ended and did not come back in time. */
  controllerUnreachable: "controller_unreachable",
  /** It took longer than the caller allowed. */
  timeout: "timeout",
  /** The caller took its request back. */
  cancelled: "cancelled",
  /** The two sides share no protocol version. */
  versionMismatch: "version_mismatch",
  /** The other side broke the protocol; the connection is closed. */
  protocolError: "protocol_error",
  /** The connection ended before the answer came. */
  disconnected: "disconnected",
  /** The command could not be started on the host: no such program, no such directory, not executable. */
  startFailed: "start_failed",
  /** A disk is full, or so nearly that its limit was reached. */
  diskFull: "disk_full",
  /** A fault of Outpost itself. */
  internal: "internal",
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

const codes: ReadonlySet<string> = new Set(Object.values(ErrorCode));

/** An error as it travels: in responses, in `end` frames and in job statuses. `message` can be read aloud to a person. */
export type WireError = v.InferOutput<typeof WireError>;
export const WireError = v.object({
  code: v.string(),
  message: v.string(),
  data: v.optional(v.record(v.string(), v.unknown())),
});

export interface OutpostErrorOptions {
  /** Facts for programs, e.g. `{host: "web1"}` or `{retryAfterMs: 2000}`. Crosses the wire; must be plain data. */
  readonly data?: Record<string, unknown>;
  /** What caused it here. Never crosses the wire. */
  readonly cause?: unknown;
}

/** Every failure that Outpost reports on purpose. */
export class OutpostError extends Error {
  override readonly name = "OutpostError";
  readonly code: ErrorCode;
  readonly data: Record<string, unknown>;

  constructor(code: ErrorCode, message: string, options: OutpostErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.data = options.data ?? {};
  }

  /** Makes an `OutpostError` of anything thrown. What is not one of ours becomes `internal` (or `fallback`). */
  static from(reason: unknown, fallback: ErrorCode = ErrorCode.internal): OutpostError {
    if (reason instanceof OutpostError) return reason;
    if (reason instanceof Error && reason.name === "AbortError") {
      return new OutpostError(ErrorCode.cancelled, "the request was cancelled", { cause: reason });
    }
    if (reason instanceof Error && reason.name === "TimeoutError") {
      return new OutpostError(ErrorCode.timeout, "the request timed out", { cause: reason });
    }
    return new OutpostError(fallback, reason instanceof Error ? reason.message : String(reason), {
      cause: reason,
    });
  }

  /** Reads an error from the wire. A code that we do not know (a newer peer's) becomes `internal`, the code kept in `data`. */
  static fromWire(error: WireError): OutpostError {
    if (codes.has(error.code))
      return new OutpostError(error.code as ErrorCode, error.message, { data: error.data ?? {} });
    return new OutpostError(ErrorCode.internal, error.message, { data: { ...error.data, code: error.code } });
  }

  toWire(): WireError {
    const wire: WireError = { code: this.code, message: this.message };
    if (Object.keys(this.data).length > 0) wire.data = this.data;
    return wire;
  }
}
