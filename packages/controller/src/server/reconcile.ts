/**
 * What to do about one job of one host, now that the host has said what it holds. Pure; the whole table:
 *
 *     the controller knows …        the host has it             the host does not
 *     nothing                       leave it alone              –
 *     that it was removed           remove it                   the removal is done
 *     a stop that waits             take its word, stop it      pending: never ran, it is stopped · running: forgotten
 *     pending                       take its word               start it again, or expired: it never ran
 *     running                       take its word               lost: forgotten
 *     ended, received further       acknowledge again           nothing is left there
 *     ended                         take its word               nothing is left there
 *
 * "Does not" means: neither in the inventory nor known when asked by `job.status`.
 */
import type { JobStatus } from "@outpost/protocol";
import { isEnded } from "./job-status.ts";

export interface KnownJob {
  readonly status: JobStatus;
  readonly isRemoved: boolean;
  readonly isStopWaiting: boolean;
  /** Bytes of each stream that are safe elsewhere and that the host may forget. */
  readonly safe: { readonly stdout: number; readonly stderr: number };
  /** After this moment it is not started any more. */
  readonly expiresAt: number;
}

export type Verdict =
  | { readonly kind: "leave" }
  | { readonly kind: "report"; readonly acknowledge: boolean; readonly stop: boolean }
  | { readonly kind: "remove" }
  | { readonly kind: "removed" }
  | { readonly kind: "start" }
  | { readonly kind: "gone" }
  | { readonly kind: "settle"; readonly as: "expired" | "stopped" | "forgotten" };

export function reconcile(
  known: KnownJob | undefined,
  reported: JobStatus | undefined,
  now: number,
): Verdict {
  if (known === undefined) return { kind: "leave" };
  if (known.isRemoved) {
    return reported === undefined || reported.removed === true ? { kind: "removed" } : { kind: "remove" };
  }
  return reported === undefined ? missing(known, now) : present(known, reported);
}

function present(known: KnownJob, reported: JobStatus): Verdict {
  const { stdout, stderr } = reported.output;
  const isBehind = stdout.received < known.safe.stdout || stderr.received < known.safe.stderr;
  return {
    kind: "report",
    acknowledge: isBehind && reported.removed !== true,
    stop: known.isStopWaiting && !isEnded(reported),
  };
}

function missing(known: KnownJob, now: number): Verdict {
  if (isEnded(known.status)) return { kind: "gone" };
  if (known.status.state === "running") return { kind: "settle", as: "forgotten" };
  if (known.isStopWaiting) return { kind: "settle", as: "stopped" };
  return now < known.expiresAt ? { kind: "start" } : { kind: "settle", as: "expired" };
}
