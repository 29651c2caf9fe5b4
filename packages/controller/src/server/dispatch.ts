/**
 * Sends what operators want to the hosts: starts, stops, removals, acknowledgements. Each host for itself; none waits
 * for another. What a host has not confirmed stays in the catalogue (`waiting`, or less received on the host than
 * here), and `inventory.ts` sends it again when the host is back.
 */
import {
  agentMethods,
  type Authorization,
  type Clock,
  ErrorCode,
  type EndReasonCode,
  type JobSpec,
  OutpostError,
  type PackedRequest,
  packRequest,
  type Positions,
  type Secrets,
} from "@outpost/protocol";
import type { Logger } from "pino";
import { agentTooOld } from "./agent-version.ts";
import { authorizationOf, unpackAuthorization } from "./authorization.ts";
import type { Bus, HostLink } from "./bus.ts";
import type { Waiting } from "./catalogue/fan-outs.ts";
import type { FanOut } from "./fan-out.ts";
import type { FanOuts } from "./fan-outs.ts";
import type { HeldTails } from "./held-tails.ts";
import type { Job } from "./job.ts";
import { noObserver, type Observer } from "./observer.ts";
import { unpackSpec } from "./spec.ts";
import type { ControllerSettings } from "./settings.ts";

export interface DispatchOptions {
  readonly bus: Bus;
  readonly fanOuts: FanOuts;
  readonly tails: HeldTails;
  /** Default: nobody. */
  readonly observer?: Observer;
  readonly clock: Clock;
  readonly settings: ControllerSettings;
  readonly log: Logger;
}

/** What travels with a job's spec to its hosts. */
export interface BesideSpec {
  readonly secrets: Secrets | undefined;
  readonly authorization: Authorization | undefined;
}

export type PackedStart = PackedRequest<typeof agentMethods, "job.start">;

/** Answers to a start that say for certain that nothing ran. After any other error the host is asked. */
const refusals: ReadonlySet<ErrorCode> = new Set([
  ErrorCode.invalidArgument,
  ErrorCode.denied,
  ErrorCode.conflict,
  ErrorCode.busy,
  ErrorCode.limitExceeded,
  ErrorCode.startFailed,
  ErrorCode.diskFull,
]);

/** What a host's error to a start is as the reason of the job's end; any other is `refused`. */
const startReasons: Partial<Record<ErrorCode, EndReasonCode>> = {
  [ErrorCode.startFailed]: "start_failed",
  [ErrorCode.denied]: "denied",
};

export class Dispatch {
  readonly #options: DispatchOptions;
  readonly #observer: Observer;
  /** The jobs whose hosts are being told what waits for them, on which link. */
  readonly #advancing = new Map<Job, { readonly link: HostLink; readonly done: Promise<void> }>();

  constructor(options: DispatchOptions) {
    this.#options = options;
    this.#observer = options.observer ?? noObserver;
  }

  /** Packs a start once for all hosts. @throws OutpostError `limit_exceeded` when it is too large for a message */
  pack(
    fanOut: Pick<FanOut, "id" | "operator" | "mode" | "expiresAt">,
    spec: JobSpec,
    { secrets, authorization }: BesideSpec,
    receiving: boolean,
  ): PackedStart {
    return packRequest(agentMethods, "job.start", {
      job: fanOut.id,
      spec,
      collect: fanOut.mode === "collect",
      secrets,
      authorization,
      operator: fanOut.operator,
      expiresAt: fanOut.expiresAt,
      inlineWaitMs: receiving ? this.#options.settings.inlineWaitMs : 0,
    });
  }

  /** Sends the start to every host of these whose job is pending. What is queued MUST have been begun. */
  start(fanOut: FanOut, packed: PackedStart, jobs: readonly Job[] = fanOut.jobs): void {
    for (const job of jobs) {
      const isDue = job.status.state === "pending" && !job.isQueued && job.waiting === undefined;
      const link = isDue ? this.#options.bus.link(job.host) : undefined;
      if (link !== undefined) void this.#start(fanOut, job, link, packed);
    }
  }

  /** Packs the start of a fan-out job anew, from what was recorded of it.
   * @returns `undefined` when it cannot be: the spec is gone, or it had secrets, which a restart has taken */
  packAgain(fanOut: FanOut): PackedStart | undefined {
    const { spec, authorization: signed, hadSecrets } = fanOut.record;
    const { secrets } = fanOut;
    if (spec === undefined || (hadSecrets && secrets === undefined)) return undefined;
    const authorization = signed === undefined ? undefined : unpackAuthorization(signed);
    return this.pack(fanOut, unpackSpec(spec), { secrets, authorization }, false);
  }

  /** The start will never be sent to this host: the controller has forgotten its secrets. */
  secretsLost(fanOut: FanOut, job: Job): void {
    const message = `the controller was restarted before the start had reached ${job.hostName}, and does not keep secrets; nothing ran there`;
    this.settle(fanOut, job, "failed", "refused", message);
  }

  /** Sends a start again that may not have arrived. The id is the same, so the host starts at most one. */
  restart(fanOut: FanOut, job: Job, link: HostLink): void {
    const { spec } = fanOut.record;
    if (spec === undefined) return;
    const packed = this.packAgain(fanOut);
    if (packed === undefined) return this.secretsLost(fanOut, job);
    if (this.isTooOld(fanOut, job, unpackSpec(spec))) return;
    void this.#start(fanOut, job, link, packed);
  }

  /** Whether the host's agent is too old for what is asked; its job has ended then. */
  isTooOld(fanOut: FanOut, job: Job, spec: JobSpec): boolean {
    const host = { id: job.host, name: job.hostName };
    const tooOld = agentTooOld(this.#options.bus, host, { ...spec, secrets: fanOut.secrets });
    if (tooOld !== undefined) this.settle(fanOut, job, "failed", "refused", tooOld.message);
    return tooOld !== undefined;
  }

  async #start(fanOut: FanOut, job: Job, link: HostLink, packed: PackedStart): Promise<void> {
    const { fanOuts, tails } = this.#options;
    job.isStarting = true;
    job.heardOn = link;
    this.#observer.startSent(fanOut);
    try {
      const { status, tail } = await link
        .requestPacked(packed)
        .finally(() => this.#observer.startAnswered(fanOut));
      job.isStarting = false;
      if (tail !== undefined) tails.hold(fanOut, job, tail);
      job.report(status, link);
      fanOuts.note(fanOut, job, true);
    } catch (error) {
      job.isStarting = false;
      // Cut: it may run or not. The host's next inventory says.
      if (!link.isOpen) fanOut.changed(job);
      else await this.#startFailed(fanOut, job, link, OutpostError.from(error));
    }
    // What was asked for while the start was on its way.
    if (job.waiting !== undefined) await this.advance(fanOut, job);
  }

  async #startFailed(fanOut: FanOut, job: Job, link: HostLink, error: OutpostError): Promise<void> {
    this.#options.log.warn({ host: job.hostName, job: job.id, err: error }, "a host did not start a job");
    if (!refusals.has(error.code) && (await this.#ask(fanOut, job, link))) return;
    const reason = startReasons[error.code] ?? "refused";
    this.settle(fanOut, job, "failed", reason, error.message);
  }

  /** Ends a job by the controller's own conclusion. */
  settle(
    fanOut: FanOut,
    job: Job,
    state: "failed" | "lost" | "stopped",
    code: EndReasonCode,
    message: string,
    by?: string,
  ): void {
    const reason = { code, message, ...(by === undefined ? {} : { by }) };
    const { output, startedAt } = job.status;
    job.report({
      job: job.id,
      state,
      ...(startedAt === undefined ? {} : { startedAt }),
      endedAt: this.#options.clock.now(),
      reason,
      output,
    });
    this.#options.fanOuts.note(fanOut, job, true);
  }

  /** Asks the host how the job stands. Returns whether it knows it; true, too, when the host went away meanwhile. */
  async #ask(fanOut: FanOut, job: Job, link: HostLink): Promise<boolean> {
    try {
      const { jobs } = await link.request("job.status", { jobs: [job.id] });
      if (jobs[0] === undefined) return false;
      const isVisible = job.report(jobs[0], link);
      this.#options.fanOuts.note(fanOut, job, isVisible);
      return true;
    } catch {
      return !link.isOpen;
    }
  }

  /** Wants these jobs stopped or removed: recorded first, then sent to the hosts that can be reached. Resolves when
   * they have answered, or after `confirmTimeoutMs`. @throws OutpostError `disk_full` */
  async want(fanOut: FanOut, jobs: readonly Job[], waiting: Waiting): Promise<void> {
    const { fanOuts, clock, settings } = this.#options;
    for (const job of jobs) {
      job.waiting = waiting;
      fanOuts.note(fanOut, job, false);
    }
    fanOuts.flush("synced");
    const answers = Promise.all(jobs.map((job) => this.advance(fanOut, job)));
    const { promise: timeout, resolve } = Promise.withResolvers<void>();
    const cancel = clock.after(settings.confirmTimeoutMs, resolve);
    await Promise.race([answers, timeout]);
    cancel();
  }

  /** Sends what waits for a job's host, if it can be reached. Never throws: what fails waits on. */
  async advance(fanOut: FanOut, job: Job): Promise<void> {
    const link = this.#options.bus.link(job.host);
    if (link === undefined || job.isStarting) return;
    // A host takes what was signed once. What it tells of a job that it stops brings us here again before it has answered.
    const going = this.#advancing.get(job);
    if (going?.link === link) return going.done;
    const done = this.#advance(fanOut, job, link);
    const entry = { link, done };
    this.#advancing.set(job, entry);
    await done;
    if (this.#advancing.get(job) === entry) this.#advancing.delete(job);
  }

  async #advance(fanOut: FanOut, job: Job, link: HostLink): Promise<void> {
    try {
      for (let { waiting } = job; waiting !== undefined;) {
        if (!job.isEnded) await this.#stop(fanOut, job, link, waiting);
        if (waiting.kind === "remove" && job.isEnded) await this.#remove(fanOut, job, link, waiting);
        // The same as before: it waits for the job's end. Another: asked for in the meantime.
        if (job.waiting === waiting) return;
        ({ waiting } = job);
      }
    } catch (reason) {
      const error = OutpostError.from(reason);
      const { log, fanOuts } = this.#options;
      log.warn({ host: job.hostName, job: job.id, err: error }, "a host did not stop or remove a job");
      // Asked again it would say the same.
      if (error.code !== ErrorCode.denied) return;
      job.refuse(error.toWire());
      fanOuts.note(fanOut, job, true);
    }
  }

  async #stop(fanOut: FanOut, job: Job, link: HostLink, waiting: Waiting): Promise<void> {
    const { kind, operator, graceMs } = waiting;
    const authorization = authorizationOf(
      kind === "stop" ? waiting.authorization : waiting.stopAuthorization,
    );
    try {
      const { status } = await link.request("job.stop", { job: job.id, operator, graceMs, authorization });
      const isVisible = job.report(status, link);
      // The host carries it out from here.
      if (kind === "stop" && job.waiting === waiting) job.waiting = undefined;
      this.#options.fanOuts.note(fanOut, job, isVisible);
    } catch (error) {
      if (OutpostError.from(error).code !== ErrorCode.notFound || !link.isOpen) throw error;
      this.unknownToHost(fanOut, job);
    }
  }

  /** The host says that there is no such job. */
  unknownToHost(fanOut: FanOut, job: Job): void {
    const { waiting } = job;
    if (job.status.state === "running") {
      this.settle(fanOut, job, "lost", "forgotten", `${job.hostName} no longer knows this job`);
    } else if (waiting !== undefined) {
      this.settle(
        fanOut,
        job,
        "stopped",
        "stopped",
        `stopped by ${waiting.operator} before it ran`,
        waiting.operator,
      );
    } else {
      this.settle(
        fanOut,
        job,
        "failed",
        "expired",
        `${job.hostName} came back too late to start it; nothing ran`,
      );
    }
  }

  async #remove(fanOut: FanOut, job: Job, link: HostLink, waiting: Waiting): Promise<void> {
    const authorization = authorizationOf(waiting.authorization);
    if (job.isHeld) await link.request("job.remove", { job: job.id, authorization });
    job.waiting = undefined;
    job.gone();
    this.#options.fanOuts.note(fanOut, job, true);
  }

  /** Tells the job's host which bytes are safe elsewhere. One such request is open per job; the latest positions win. */
  async acknowledge(fanOut: FanOut, job: Job, positions: Positions): Promise<void> {
    const link = this.#options.bus.link(job.host);
    if (link === undefined || !job.isHeld) return;
    try {
      await link.request("job.acknowledge", { job: job.id, received: positions });
      const { stdout, stderr } = job.status.output;
      const isAll = (positions.stdout ?? 0) >= stdout.written && (positions.stderr ?? 0) >= stderr.written;
      if (!job.isEnded || !isAll || !job.isHeld) return;
      job.released();
      this.#options.fanOuts.note(fanOut, job, false);
    } catch (error) {
      // The host's next inventory shows that it is behind.
      if (link.isOpen)
        this.#options.log.warn(
          { host: job.hostName, job: job.id, err: error },
          "a host did not take an acknowledgement",
        );
    }
  }
}
