/** What `outpost-agent` exits with. The same numbers as `outpost` has for its own failures. */
import { ErrorCode, type OutpostError } from "@outpost/protocol";

export const ExitCode = {
  ok: 0,
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
    default:
      return ExitCode.failed;
  }
}
