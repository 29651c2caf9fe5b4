/**
 * What hosts say of their jobs and sessions, no longer than anybody wants to read, and no later than a calendar goes. It is
 * kept here, and told to everybody who asks for a list: one host MUST NOT be able to make a list that is too long for a
 * message, or that nobody can show.
 */
import type { Exit, JobStatus, SessionStatus, WireError } from "@outpost/protocol";

/** A sentence, and a path or a command line, in characters. */
const maxSentence = 1_000;
const maxText = 256;
/** As long as names of operators and signals get at the most. */
const maxName = 64;

/** More than look at one terminal, or run in one shell. */
const maxEntries = 100;

/** The first run, and as many more as a spec may ask for. */
const maxAttempts = 101;

/** The last moment of a `Date`, in milliseconds since 1970 (ECMA-262, section 21.4.1.1): a later one cannot be shown. */
const lastMoment = 8.64e15;

export function cutJobStatus(status: JobStatus): JobStatus {
  const { startedAt, endedAt, exit, reason, attempts } = status;
  return {
    ...status,
    ...(attempts === undefined ? {} : { attempts: Math.min(attempts, maxAttempts) }),
    ...(startedAt === undefined ? {} : { startedAt: cutTime(startedAt) }),
    ...(endedAt === undefined ? {} : { endedAt: cutTime(endedAt) }),
    ...(exit === undefined ? {} : { exit: cutExit(exit) }),
    ...(reason === undefined ? {} : { reason: cutReason(reason) }),
  };
}

export function cutSessionStatus(status: SessionStatus): SessionStatus {
  const { operator, shell, command, viewers, runs, exit, reason } = status;
  const { createdAt, activeAt, disconnectedAt, expiresAt, endedAt } = status;
  return {
    ...status,
    operator: cut(operator, maxName),
    shell: cut(shell, maxText),
    createdAt: cutTime(createdAt),
    activeAt: cutTime(activeAt),
    ...(disconnectedAt === undefined ? {} : { disconnectedAt: cutTime(disconnectedAt) }),
    ...(expiresAt === undefined ? {} : { expiresAt: cutTime(expiresAt) }),
    ...(endedAt === undefined ? {} : { endedAt: cutTime(endedAt) }),
    ...(command === undefined ? {} : { command: cut(command, maxText) }),
    viewers: viewers.slice(0, maxEntries).map((viewer) => ({
      ...viewer,
      operator: cut(viewer.operator, maxName),
      since: cutTime(viewer.since),
    })),
    runs: runs.slice(0, maxEntries),
    ...(exit === undefined ? {} : { exit: cutExit(exit) }),
    ...(reason === undefined ? {} : { reason: cutReason(reason) }),
  };
}

/** A host's refusal. What it says besides is for programs, and short. */
export function cutError({ code, message, data }: WireError): WireError {
  const isShort = data !== undefined && JSON.stringify(data).length <= maxSentence;
  return { code, message: cut(message, maxSentence), ...(isShort ? { data } : {}) };
}

function cutExit(exit: Exit): Exit {
  return "signal" in exit ? { signal: cut(exit.signal, maxName) } : exit;
}

function cutReason<R extends { readonly message: string; readonly by?: string | undefined }>(reason: R): R {
  const { message, by } = reason;
  return {
    ...reason,
    message: cut(message, maxSentence),
    ...(by === undefined ? {} : { by: cut(by, maxName) }),
  };
}

function cutTime(time: number): number {
  return Math.min(time, lastMoment);
}

function cut(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength - 1)}…`;
}
