/**
 * Brings fan-out jobs to life: new ones are recorded and sent, and after a restart the unfinished ones are taken up.
 * What goes on around a fan-out job while it is unfinished (collecting, feeding its input) begins here.
 */
import {
  type Clock,
  commandText,
  type EndReason,
  type FanOutStartParams,
  type HostId,
  type HostName,
  type JobId,
  type JobSpec,
  type JobStatus,
  type Offline,
  OutpostError,
  type Secrets,
} from "@outpost/protocol";
import { orderOf } from "@outpost/protocol/rollout";
import type { Logger } from "pino";
import { agentTooOld } from "./agent-version.ts";
import { packAuthorization } from "./authorization.ts";
import type { Bus } from "./bus.ts";
import type { FanOutRecord, JobRecord } from "./catalogue/fan-outs.ts";
import type { Collector } from "./collector.ts";
import type { Dispatch } from "./dispatch.ts";
import type { FanOut } from "./fan-out.ts";
import type { FanOuts, NewFanOut } from "./fan-outs.ts";
import type { HeldTails } from "./held-tails.ts";
import { InputFeed } from "./input-feed.ts";
import type { InputSpools } from "./input-spool.ts";
import { noOutput } from "./job-status.ts";
import { firstProgress } from "./rollout-plan.ts";
import type { Rollouts } from "./rollouts.ts";
import type { ControllerSettings } from "./settings.ts";
import type { Observer } from "./observer.ts";
import { packSpec, unpackSpec } from "./spec.ts";
import type { Starts } from "./starts.ts";

export interface LaunchOptions {
  readonly bus: Bus;
  readonly fanOuts: FanOuts;
  readonly dispatch: Dispatch;
  readonly tails: HeldTails;
  readonly collector: Collector;
  readonly inputs: InputSpools;
  readonly starts: Starts;
  readonly rollouts: Rollouts;
  /** Default: nobody. */
  readonly observer?: Observer;
  readonly clock: Clock;
  readonly settings: ControllerSettings;
  readonly log: Logger;
}

/** Who has asked for a fan-out job, by name, and the number of that in the audit log. */
export interface Requester {
  readonly operator: string;
  readonly request: number;
  /** The same of its check. */
  readonly checkRequest?: number | undefined;
}

/** When, and for how long, by whom. */
interface Order {
  readonly operator: string;
  readonly createdAt: number;
  readonly expiresInMs: number;
}

/** The timer of what is kept until it expires looks again at least this often, in milliseconds. */
const longestSleepMs = 60 * 60 * 1000;

type Target = { readonly id: HostId; readonly name: HostName };

export class Launch {
  readonly #options: LaunchOptions;

  constructor(options: LaunchOptions) {
    this.#options = options;
  }

  /**
   * Records a new fan-out job and sends it, or what of it is due. Synchronous, so that a `fanout.receive` right behind finds it.
   * @throws OutpostError `limit_exceeded` when it is too large for one message, `disk_full`; nothing was sent then
   */
  start(params: FanOutStartParams, requester: Requester, targets: readonly Target[]): FanOut {
    const { dispatch, starts, rollouts, tails, clock } = this.#options;
    const { spec, mode, receiving, secrets, authorization, offline = "fail" } = params;
    const isRollout = params.rollout !== undefined || params.check !== undefined;
    const order: Order = {
      operator: requester.operator,
      createdAt: clock.now(),
      expiresInMs: this.#expiresInMs(params, isRollout),
    };
    const { operator, createdAt } = order;
    const expiresAt = createdAt + order.expiresInMs;
    // What is collected is not received from the start's answer; holding that back would only delay it.
    const isInline = receiving && mode === "keep";
    const beside = { secrets, authorization };
    const packed = dispatch.pack({ id: params.job, operator, mode, expiresAt }, spec, beside, isInline);
    if (isRollout) {
      const [fanOut, check] = this.#createRollout(params, requester, order, targets);
      this.#begun(fanOut, spec, secrets);
      if (isInline) tails.expect(fanOut);
      starts.keep(fanOut, packed);
      if (check !== undefined) this.#begun(check, params.check!.spec, undefined);
      rollouts.begin(fanOut, check);
      return fanOut;
    }
    const fanOut = this.#options.fanOuts.create(
      newFanOut(params, requester.request, order, targets),
      targets.map((target, position) => this.#newJob(params, offline, target, position, createdAt)),
    );
    this.#begun(fanOut, spec, secrets);
    if (isInline) tails.expect(fanOut);
    dispatch.start(fanOut, packed);
    if (fanOut.jobs.some((job) => job.isQueued)) {
      starts.keep(fanOut, packed);
      rollouts.begin(fanOut);
    }
    return fanOut;
  }

  #expiresInMs({ expiresInMs, offline }: FanOutStartParams, isRollout: boolean): number {
    const { startExpiryMs, rolloutExpiryMs } = this.#options.settings;
    return expiresInMs ?? (isRollout || offline === "queue" ? rolloutExpiryMs : startExpiryMs);
  }

  /** Nothing of these is sent yet: what becomes of a host is decided at its turn. */
  #createRollout(
    params: FanOutStartParams,
    { request, checkRequest }: Requester,
    order: Order,
    targets: readonly Target[],
  ): [FanOut, FanOut | undefined] {
    const { fanOuts, dispatch } = this.#options;
    const { job: id, rollout = {}, offline = "fail", check, name, mode } = params;
    const byName = new Map(targets.map((target) => [target.name, target]));
    const ordered = orderOf(byName.keys(), rollout.order).map((each) => byName.get(each)!);
    const jobsOf = (job: JobId): JobRecord[] =>
      ordered.map((target, position) => jobRecord(job, target, position, { turn: "rollout" }));
    const parent: NewFanOut = {
      record: {
        ...newFanOut(params, request, order, targets),
        rollout: {
          rollout,
          offline,
          ...(check === undefined ? {} : { check: check.job }),
          progress: firstProgress,
        },
      },
      jobs: jobsOf(id),
    };
    if (check === undefined) return [fanOuts.create(parent.record, parent.jobs), undefined];
    const ofCheck = { ...check, mode, name: checkName(name ?? id), receiving: false };
    // Thrown now rather than when the first host is to be checked.
    const expiresAt = order.createdAt + order.expiresInMs;
    const { spec, authorization } = check;
    const beside = { secrets: undefined, authorization };
    dispatch.pack({ id: check.job, operator: order.operator, mode, expiresAt }, spec, beside, false);
    const record = newFanOut(ofCheck, checkRequest, order, targets);
    return fanOuts.createBoth(parent, { record, jobs: jobsOf(check.job) });
  }

  /** It is recorded: what goes on around it begins. */
  #begun(fanOut: FanOut, spec: JobSpec, secrets: Secrets | undefined): void {
    if (secrets !== undefined) this.#keepSecrets(fanOut, secrets);
    this.#attend(fanOut, spec);
  }

  /** Until they are with every host, or the start has expired, which may be a month from now: more than a timer takes. */
  #keepSecrets(fanOut: FanOut, secrets: Secrets): void {
    const { clock } = this.#options;
    const leftMs = fanOut.expiresAt - clock.now();
    if (leftMs <= 0 || fanOut.isEnded) return fanOut.forgetSecrets();
    const again = (): void => this.#keepSecrets(fanOut, secrets);
    fanOut.keepSecrets(secrets, clock.after(Math.min(leftMs, longestSleepMs), again));
  }

  /** After a restart: takes up everything that is unfinished. Starts and stops go on as the hosts come back. */
  resume(): void {
    const { fanOuts, rollouts, inputs, log } = this.#options;
    rollouts.resume();
    for (const fanOut of fanOuts.unfinished()) {
      const { spec } = fanOut.record;
      this.#attend(fanOut, spec === undefined ? undefined : unpackSpec(spec));
    }
    inputs.sweep().catch((error: unknown) => log.warn({ err: error }, "old inputs could not be removed"));
  }

  /** A host that cannot be reached, or is too old for what is asked, is certain not to run it: its job has ended before it
   * began. */
  #newJob(
    params: FanOutStartParams,
    offline: Offline,
    target: Target,
    position: number,
    now: number,
  ): JobRecord {
    const reason = this.#neverStarts(params, target);
    if (reason?.code === "host_unreachable") {
      if (offline === "queue") return jobRecord(params.job, target, position, { turn: "host" });
      if (offline === "skip") {
        const skipped: EndReason = { code: "skipped", message: `${target.name} was offline; left out` };
        return jobRecord(params.job, target, position, { state: "stopped", endedAt: now, reason: skipped });
      }
    }
    const ended = reason === undefined ? {} : ({ state: "failed", endedAt: now, reason } as const);
    return jobRecord(params.job, target, position, ended);
  }

  #neverStarts({ spec, secrets, targets }: FanOutStartParams, { id, name }: Target): EndReason | undefined {
    const { bus } = this.#options;
    if (bus.link(id) === undefined) return { code: "host_unreachable", message: this.#unreachable(id, name) };
    const tooOld = agentTooOld(bus, { id, name }, { ...spec, secrets, targets });
    return tooOld === undefined ? undefined : { code: "refused", message: tooOld.message };
  }

  #unreachable(id: HostId, name: HostName): string {
    const lastSeen = this.#options.bus.lastSeen(id);
    const since =
      lastSeen === undefined ? "it has never connected" : `last seen ${new Date(lastSeen).toISOString()}`;
    return `${name} has no connection to the controller (${since}); nothing ran there`;
  }

  #attend(fanOut: FanOut, spec: JobSpec | undefined): void {
    const { collector, inputs, bus, log } = this.#options;
    if (fanOut.mode === "collect") collector.follow(fanOut);
    if (spec?.input.kind !== "stream" || fanOut.isEnded) return;
    const { inputError, inputSize } = fanOut.record;
    const end = inputError === undefined ? undefined : OutpostError.fromWire(inputError);
    const spool = inputs.open(fanOut.id, end ?? (inputSize === undefined ? undefined : "complete"));
    new InputFeed(fanOut, spool, bus, log, this.#options.observer).start();
    // Nobody reads it any more.
    fanOut.onChanged(() => {
      if (fanOut.isEnded) void inputs.remove(fanOut.id).catch(() => {});
    });
  }
}

type Asked = Pick<FanOutStartParams, "job" | "name" | "mode" | "spec" | "authorization" | "secrets">;

function newFanOut(
  { job, name, mode, spec, authorization, secrets }: Asked,
  request: number | undefined,
  { operator, createdAt, expiresInMs }: Order,
  targets: readonly Target[],
): FanOutRecord {
  return {
    id: job,
    name,
    operator,
    command: commandText(spec.command),
    mode,
    createdAt,
    expiresAt: createdAt + expiresInMs,
    spec: packSpec(spec),
    authorization: authorization === undefined ? undefined : packAuthorization(authorization),
    hadSecrets: secrets !== undefined,
    request,
    hosts: targets.length,
    endedAt: undefined,
    inputSize: undefined,
    inputError: undefined,
    removedBy: undefined,
    rollout: undefined,
  };
}

/** @param how where it differs from a job that is sent at once */
function jobRecord(
  job: JobId,
  { id, name }: Target,
  position: number,
  { turn = "begun", ...status }: Partial<Omit<JobStatus, "job" | "output">> & { turn?: JobRecord["turn"] },
): JobRecord {
  return {
    fanOut: job,
    host: id,
    position,
    hostName: name,
    status: { job, state: "pending", ...status, output: noOutput() },
    received: { stdout: 0, stderr: 0, timeline: 0 },
    unread: 0,
    held: turn === "begun" && status.reason === undefined,
    collected: false,
    waiting: undefined,
    turn,
  };
}

/** Of the check of a fan-out job, for people. */
function checkName(of: string): string {
  const suffix = " check";
  return `${of.slice(0, maxNameLength - suffix.length)}${suffix}`;
}

/** As in `JobName`. */
const maxNameLength = 128;
