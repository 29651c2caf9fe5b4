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
  type JobSpec,
  type JobStatus,
  OutpostError,
} from "@outpost/protocol";
import type { Logger } from "pino";
import { agentTooOld } from "./agent-version.ts";
import { packAuthorization } from "./authorization.ts";
import type { Bus } from "./bus.ts";
import type { JobRecord } from "./catalogue/fan-outs.ts";
import type { Collector } from "./collector.ts";
import type { Dispatch } from "./dispatch.ts";
import type { FanOut } from "./fan-out.ts";
import type { FanOuts } from "./fan-outs.ts";
import type { HeldTails } from "./held-tails.ts";
import { InputFeed } from "./input-feed.ts";
import type { InputSpools } from "./input-spool.ts";
import { noOutput } from "./job-status.ts";
import type { ControllerSettings } from "./settings.ts";
import { packSpec, unpackSpec } from "./spec.ts";

export interface LaunchOptions {
  readonly bus: Bus;
  readonly fanOuts: FanOuts;
  readonly dispatch: Dispatch;
  readonly tails: HeldTails;
  readonly collector: Collector;
  readonly inputs: InputSpools;
  readonly clock: Clock;
  readonly settings: ControllerSettings;
  readonly log: Logger;
}

/** Who has asked for a fan-out job, by name, and the number of that in the audit log. */
export interface Requester {
  readonly operator: string;
  readonly request: number;
}

type Target = { readonly id: HostId; readonly name: HostName };

export class Launch {
  readonly #options: LaunchOptions;

  constructor(options: LaunchOptions) {
    this.#options = options;
  }

  /**
   * Records a new fan-out job and sends it. Synchronous, so that a `fanout.receive` right behind finds it.
   * @throws OutpostError `limit_exceeded` when it is too large for one message, `disk_full`; nothing was sent then
   */
  start(params: FanOutStartParams, { operator, request }: Requester, targets: readonly Target[]): FanOut {
    const { fanOuts, dispatch, tails, clock, settings } = this.#options;
    const { job: id, spec, mode, name, receiving, secrets, authorization } = params;
    const createdAt = clock.now();
    const expiresAt = createdAt + settings.startExpiryMs;
    // What is collected is not received from the start's answer; holding that back would only delay it.
    const isInline = receiving && mode === "keep";
    const packed = dispatch.pack(
      { id, operator, mode, expiresAt },
      spec,
      { secrets, authorization },
      isInline,
    );
    const fanOut = fanOuts.create(
      {
        id,
        name,
        operator,
        command: commandText(spec.command),
        mode,
        createdAt,
        expiresAt,
        spec: packSpec(spec),
        authorization: authorization === undefined ? undefined : packAuthorization(authorization),
        hadSecrets: secrets !== undefined,
        request,
        hosts: targets.length,
        endedAt: undefined,
        inputSize: undefined,
        inputError: undefined,
        removedBy: undefined,
      },
      targets.map((target, position) => this.#newJob(params, target, position, createdAt)),
    );
    fanOut.keepSecrets(secrets);
    if (secrets !== undefined) clock.after(settings.startExpiryMs, () => fanOut.keepSecrets(undefined));
    if (isInline) tails.expect(fanOut);
    dispatch.start(fanOut, packed);
    this.#attend(fanOut, spec);
    return fanOut;
  }

  /** After a restart: takes up everything that is unfinished. Starts and stops go on as the hosts come back. */
  resume(): void {
    const { fanOuts, inputs, log } = this.#options;
    for (const fanOut of fanOuts.unfinished()) {
      const { spec } = fanOut.record;
      this.#attend(fanOut, spec === undefined ? undefined : unpackSpec(spec));
    }
    inputs.sweep().catch((error: unknown) => log.warn({ err: error }, "old inputs could not be removed"));
  }

  /** A host that cannot be reached, or is too old for what is asked, is certain not to run it: its job has ended before it
   * began. */
  #newJob(params: FanOutStartParams, target: Target, position: number, now: number): JobRecord {
    const { id, name } = target;
    const reason = this.#neverStarts(params, target);
    const status: JobStatus =
      reason === undefined
        ? { job: params.job, state: "pending", output: noOutput() }
        : { job: params.job, state: "failed", endedAt: now, reason, output: noOutput() };
    return {
      fanOut: params.job,
      host: id,
      position,
      hostName: name,
      status,
      received: { stdout: 0, stderr: 0, timeline: 0 },
      unread: 0,
      held: reason === undefined,
      collected: false,
      waiting: undefined,
    };
  }

  #neverStarts({ spec, secrets }: FanOutStartParams, { id, name }: Target): EndReason | undefined {
    const { bus } = this.#options;
    if (bus.link(id) === undefined) return { code: "host_unreachable", message: this.#unreachable(id, name) };
    const tooOld = agentTooOld(bus, { id, name }, { ...spec, secrets });
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
    new InputFeed(fanOut, spool, bus, log).start();
    // Nobody reads it any more.
    fanOut.onChanged(() => {
      if (fanOut.isEnded) void inputs.remove(fanOut.id).catch(() => {});
    });
  }
}
