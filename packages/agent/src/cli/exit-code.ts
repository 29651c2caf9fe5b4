/** What `outpost-agent` exits with. The same numbers as `outpost` has for its own failures. */
import { ErrorCode, type OutpostError } from "@outpost/protocol";

export const ExitCode = {
  ok: 0,
  /** As timeout(1): a job ran too long, or a wait ended before it. */
  timedOut: 124,
  /** As shells report SIGINT. */
  interrupted: 130,
  /** As shells report SIGPIPE: whoever read our output has gone. */
  brokenPipe: 141,
  /** A job was lost, or its end was not seen. */
  unknown: 250,
  /** The command line or agent.json makes no sense. */
  usage: 251,
  /** Any other failure. */
  failed: 252,
  /** The controller refused us, or is not the one we trust. */
  denied: 253,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

export function exitCodeOf(error: OutpostError): ExitCode {
  switch (error.code) {
    case ErrorCode.invalidArgument:
      return ExitCode.usage;
    case ErrorCode.denied:
      return ExitCode.denied;
    case ErrorCode.cancelled:
      return ExitCode.interrupted;
    default:
      return ExitCode.failed;
  }
}
