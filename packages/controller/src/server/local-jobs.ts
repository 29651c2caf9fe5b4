/**
 * Jobs that were started on a host itself (`outpost-agent job start`): when a host reports one that the catalogue does
 * not know, it becomes a fan-out job of that one host, and is from then on like any other.
 *
 * Only a job that has an origin: one without was started by an operator, and belongs to a catalogue that is not ours or
 * is younger than ours. Whoever restored an old catalogue MUST NOT find others' jobs in it as their own.
 */
import { type Clock, type JobOrigin, type JobStatus, OutpostError } from "@outpost/protocol";
import type { Logger } from "pino";
import type { FanOut } from "./fan-out.ts";
import type { FanOuts } from "./fan-outs.ts";
import { noOutput } from "./job-status.ts";
import type { LocalJobAllowance } from "./local-job-allowance.ts";
import type { Host } from "./presence.ts";

export interface AdoptionOptions {
  readonly fanOuts: FanOuts;
  readonly localJobs: LocalJobAllowance;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The host says what these are, so they are cut: as long as our own are (command-text.ts), and as names of users get. */
const maxCommandLength = 120;
const maxUserLength = 64;

/**
 * Records a reported job that the catalogue does not know for this host. Its status is taken in by the caller, as that of
 * any job.
 * @returns `undefined` when it is nothing to adopt: an operator's, gone already, of an id that is taken, or one too many
 */
export function adoptLocalJob(options: AdoptionOptions, host: Host, reported: JobStatus): FanOut | undefined {
  const { fanOuts, localJobs, log } = options;
  const { origin } = reported;
  if (origin === undefined || reported.removed === true || fanOuts.find(reported.job) !== undefined) {
    return undefined;
  }
  // Nothing of a host that nobody has approved is shown to anybody. Once it is, it reports its jobs again.
  if (host.quarantinedSince !== undefined) return undefined;
  const allowance = localJobs.take(host);
  if (allowance === "none") return undefined;
  if (allowance === "last") {
    log.error({ host: host.name }, "a host reports too many jobs of its own; no more of them are listed now");
  }
  try {
    return create(options, host, reported, origin);
  } catch (error) {
    // The host goes on, and reports it again with its next inventory.
    const { message } = OutpostError.from(error);
    log.error(
      { host: host.name, job: reported.job, err: error },
      `a host's own job is not listed: ${message}`,
    );
    return undefined;
  }
}

function create(
  { fanOuts, clock }: AdoptionOptions,
  host: Host,
  { job: id }: JobStatus,
  origin: JobOrigin,
): FanOut {
  const { user, command, name, acceptedAt } = origin;
  // By the host's clock; what is in our future would stay the newest for long.
  const createdAt = Math.min(acceptedAt, clock.now());
  // Not synced to disk: what a power failure takes, the host tells again.
  return fanOuts.create(
    {
      id,
      name: name === undefined ? undefined : printable(name),
      operator: `${shorten(printable(user), maxUserLength)}@${host.name}`,
      command: shorten(printable(command), maxCommandLength),
      mode: "keep",
      createdAt,
      // Never ours to start.
      expiresAt: createdAt,
      spec: undefined,
      authorization: undefined,
      hadSecrets: false,
      request: undefined,
      hosts: 1,
      endedAt: undefined,
      inputSize: undefined,
      inputError: undefined,
      removedBy: undefined,
      rollout: undefined,
    },
    [
      {
        fanOut: id,
        host: host.id,
        position: 0,
        hostName: host.name,
        status: { job: id, state: "pending", output: noOutput(), origin },
        received: { stdout: 0, stderr: 0, timeline: 0 },
        unread: 0,
        held: true,
        collected: false,
        waiting: undefined,
        turn: "begun",
      },
    ],
    "unsynced",
  );
}

/** No control characters: a host must not write to operators' terminals but as output. */
function printable(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, "�");
}

function shorten(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength - 1)}…`;
}
