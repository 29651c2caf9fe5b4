/** What jobs ask of the sessions of this host. The contract between `jobs/` and `sessions/`, which know no more of each other. */
import {
  ErrorCode,
  OutpostError,
  type RunStarted,
  type SessionId,
  type SessionRunParams,
  type SessionRunResult,
  type SessionStatus,
  type SessionStopRunParams,
} from "@outpost/protocol";

export interface SessionShells {
  /** Resolves when it is known which sessions there are. @throws OutpostError when that cannot be found out */
  ready(): Promise<void>;
  /** The session of this host among these: a live one before one that has ended. Needs `ready`. */
  find(ids: readonly SessionId[]): SessionStatus | undefined;
  /**
   * Runs a job's command in a session's shell. Asked again for the same job, it is the same run.
   * @param started called when the command is given to the shell; at once when that was before
   * @param signal ends the asking only: the run goes on
   * @throws OutpostError `busy`; `not_found`; `conflict`, when the session has ended; `disconnected`, when the session host has gone: ask again
   */
  run(
    params: SessionRunParams,
    started: (process: RunStarted) => void,
    signal: AbortSignal,
  ): Promise<SessionRunResult>;
  /** Interrupts a run, or takes it out when it still waits. @throws OutpostError as `run` */
  stopRun(params: SessionStopRunParams): Promise<void>;
}

/** Of a job store that was opened without any. */
export const noSessions: SessionShells = {
  ready: () => Promise.resolve(),
  find: () => undefined,
  run: () => Promise.reject(none()),
  stopRun: () => Promise.reject(none()),
};

function none(): OutpostError {
  return new OutpostError(ErrorCode.notFound, "there are no sessions on this host");
}
