/** What a program that waits for jobs exits with. Documented in the README and in `outpost invoke --help`. */
import type { Exit, JobStatus } from "@outpost/protocol";
import type { ExitEvent } from "./events.ts";

export const ExitCode = {
  succeeded: 0,
  /** As timeout(1). */
  timedOut: 124,
  /** As shells report SIGINT. */
  interrupted: 130,
  /** A roll-out was stopped before a host had its turn, or its check failed. */
  rollout: 249,
  /** Lost, or its end was not seen. */
  unknown: 250,
  /** The command line makes no sense. */
  usage: 251,
  /** Anything else that went wrong with Outpost itself, e.g. the controller cannot be reached. */
  failed: 252,
  denied: 253,
  /** A host could not be reached. */
  unreachable: 254,
} as const;

/** Added to a signal's number, as shells do (POSIX XCU 2.8.2). */
const signalBase = 128;

/** Numbers of the signals that end processes, the same on Linux and macOS for those up to SIGTERM. */
const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
};

/** How one job of a fan-out job came out. */
export type Outcome =
  | "succeeded"
  | "failed"
  | "checkFailed"
  | "timedOut"
  | "stopped"
  | "lost"
  | "unreachable"
  | "running"
  | "queued"
  | "skipped"
  | "notBegun";

export function outcomeOf({
  ended,
  state,
  reason,
  unreachableSince,
  queued,
  failedCheck,
}: ExitEvent): Outcome {
  if (!ended && queued !== undefined) return "queued";
  if (!ended) return unreachableSince === undefined ? "running" : "unreachable";
  switch (state) {
    case "completed":
      return failedCheck === undefined ? "succeeded" : "checkFailed";
    case "stopped":
      if (reason?.code === "skipped") return "skipped";
      return reason?.code === "not_begun" ? "notBegun" : "stopped";
    case "lost":
      return "lost";
    case "failed":
      if (reason?.code === "timed_out") return "timedOut";
      return reason?.code === "host_unreachable" || reason?.code === "expired" ? "unreachable" : "failed";
    case "pending":
    case "running":
      return "running";
    default:
      return state satisfies never;
  }
}

/** The exit code that one host's end stands for. A job that goes on counts as success: nothing has failed. */
export function exitCodeOf(event: ExitEvent): number {
  const outcome = outcomeOf(event);
  switch (outcome) {
    case "succeeded":
    case "running":
    case "queued":
    case "skipped":
      return ExitCode.succeeded;
    case "timedOut":
      return ExitCode.timedOut;
    case "lost":
      return ExitCode.unknown;
    case "unreachable":
      return ExitCode.unreachable;
    case "notBegun":
    case "checkFailed":
      return ExitCode.rollout;
    case "stopped":
    case "failed":
      return event.reason?.code === "denied" ? ExitCode.denied : ownExitCode(event);
    default:
      return outcome satisfies never;
  }
}

/** The program's own, where it has one; a failure without one is not 0. */
function ownExitCode({ exit }: Pick<JobStatus, "exit">): number {
  if (exit === undefined) return ExitCode.failed;
  if ("signal" in exit) return signalBase + (signalNumbers[exit.signal] ?? 0);
  return exit.code === 0 ? ExitCode.failed : exit.code;
}

/** The exit code of a shell that has ended, as a shell would report it of a program: its own, or 128 and the signal's number. */
export function exitCodeOfShell(exit: Exit | undefined): number {
  if (exit === undefined) return ExitCode.unknown;
  return "signal" in exit ? signalBase + (signalNumbers[exit.signal] ?? 0) : exit.code;
}
