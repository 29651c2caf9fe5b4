/** What the controller consists of, below its connections; composed here, used by handlers. */
import type { Clock, JobId, OperatorName, WindowBudget } from "@outpost/protocol";
import type { Logger } from "pino";
import type { Audit } from "./audit.ts";
import { Authorisation } from "./authorisation.ts";
import type { Authorities } from "./authorities.ts";
import type { Catalogue } from "./catalogue/catalogue.ts";
import type { CollectedStore } from "./collected-store.ts";
import { Collector } from "./collector.ts";
import { Connections } from "./connections.ts";
import { Dispatch } from "./dispatch.ts";
import { Enrolment } from "./enrolment.ts";
import { auditEnd } from "./fan-out-audit.ts";
import type { FanOut } from "./fan-out.ts";
import { FanOuts } from "./fan-outs.ts";
import { HeldTails } from "./held-tails.ts";
import { InputSpools } from "./input-spool.ts";
import type { Job } from "./job.ts";
import { Launch } from "./launch.ts";
import { LocalJobAllowance } from "./local-job-allowance.ts";
import { noObserver, type Observer } from "./observer.ts";
import { Operators } from "./operators.ts";
import type { PolicyFile } from "./policy-file.ts";
import { Presence } from "./presence.ts";
import { inputWindows } from "./receive-input.ts";
import { Rollouts } from "./rollouts.ts";
import { Rotation, type RotationOptions } from "./rotation.ts";
import { Sessions } from "./sessions.ts";
import type { ControllerSettings } from "./settings.ts";
import { Starts } from "./starts.ts";
import { Tokens } from "./tokens.ts";

export interface Services {
  readonly catalogue: Catalogue;
  readonly audit: Audit;
  readonly policy: PolicyFile;
  readonly authorisation: Authorisation;
  readonly authorities: Authorities;
  readonly rotation: Rotation;
  readonly connections: Connections;
  readonly operators: Operators;
  readonly tokens: Tokens;
  readonly enrolment: Enrolment;
  readonly presence: Presence;
  /** The same as `presence`, for those who only reach hosts. */
  readonly bus: Presence;
  readonly fanOuts: FanOuts;
  readonly localJobs: LocalJobAllowance;
  readonly sessions: Sessions;
  readonly tails: HeldTails;
  readonly dispatch: Dispatch;
  readonly launch: Launch;
  readonly starts: Starts;
  readonly rollouts: Rollouts;
  readonly store: CollectedStore;
  readonly inputs: InputSpools;
  /** What may be on its way into them. */
  readonly inputWindows: WindowBudget;
  readonly observer: Observer;
  readonly clock: Clock;
  readonly settings: ControllerSettings;
  readonly log: Logger;
}

export interface ComposeOptions {
  readonly catalogue: Catalogue;
  readonly authorities: Authorities;
  /** The server's own certificate. */
  readonly certificate: RotationOptions["certificate"];
  /** Told when the server has another certificate, or believes in other authorities. */
  readonly trustChanged: () => void;
  readonly audit: Audit;
  readonly policy: PolicyFile;
  readonly store: CollectedStore;
  readonly inputsDirectory: string;
  /** Default: nobody. */
  readonly observer?: Observer;
  readonly clock: Clock;
  readonly settings: ControllerSettings;
  readonly log: Logger;
}

export interface Composed {
  readonly services: Services;
  /** To be disposed when connections are still there, so that it asks for nothing more. */
  readonly collector: Collector;
}

export function composeServices(options: ComposeOptions): Composed {
  const { catalogue, authorities, certificate, trustChanged, audit, policy } = options;
  const { store, inputsDirectory, observer = noObserver, clock, settings, log } = options;
  const authorisation = new Authorisation(policy);
  const presence = new Presence(catalogue, clock, log, observer);
  const bus = presence;
  const inputs = new InputSpools(inputsDirectory, settings.maxInputBytes);
  const forgotten = (id: JobId): void => {
    Promise.all([store.remove(id), inputs.remove(id)]).catch((error: unknown) => {
      log.warn({ job: id, err: error }, "files of a removed job could not be removed");
    });
  };
  const ended = (fanOut: FanOut): void => {
    observer.fanOutEnded(fanOut);
    auditEnd(audit, fanOut, bus);
  };
  const fanOuts = new FanOuts({ catalogue, bus, clock, settings, log, forgotten, ended, observer });
  const sessions = new Sessions({ catalogue, bus, clock, settings, log });
  const tails = new HeldTails(clock, settings);
  const dispatch = new Dispatch({ bus, fanOuts, tails, observer, clock, settings, log });
  const collector = new Collector({ bus, fanOuts, dispatch, store, observer, clock, settings, log });
  const isOperator = (name: string): boolean =>
    catalogue.operators.byName(name as OperatorName) !== undefined;
  const starts = new Starts({ authorisation, audit, isOperator, presence, fanOuts, dispatch, clock, log });
  const rollouts = new Rollouts({ bus, fanOuts, starts, clock, settings, log });
  const launch = new Launch({
    bus,
    fanOuts,
    dispatch,
    starts,
    rollouts,
    tails,
    collector,
    inputs,
    observer,
    clock,
    settings,
    log,
  });
  const connections = new Connections();
  const operators = new Operators({ catalogue, connections, audit, clock, log });
  const tokens = new Tokens({ catalogue, authorities, clock });
  const enrolment = new Enrolment({
    catalogue,
    authorities,
    tokens,
    audit,
    clock,
    settings,
    enrolled: (host) => presence.add(host),
    certified: (host, issued) => presence.certified(host, issued),
  });
  const changed = trustChanged;
  const rotation = new Rotation({
    authorities,
    certificate,
    presence,
    tokens,
    clock,
    settings,
    log,
    changed,
  });
  return {
    services: {
      catalogue,
      audit,
      policy,
      authorisation,
      authorities,
      rotation,
      connections,
      operators,
      tokens,
      enrolment,
      presence,
      bus,
      fanOuts,
      localJobs: new LocalJobAllowance({ catalogue, clock }),
      sessions,
      tails,
      dispatch,
      launch,
      starts,
      rollouts,
      store,
      inputs,
      inputWindows: inputWindows(),
      observer,
      clock,
      settings,
      log,
    },
    collector,
  };
}

/** Bytes of a job that its host may forget. */
export function safePositions(_fanOut: FanOut, job: Job): { stdout: number; stderr: number } {
  if (job.mode === "keep") return job.received;
  if (!job.isCollected) return { stdout: 0, stderr: 0 };
  const { stdout, stderr } = job.status.output;
  return { stdout: stdout.written, stderr: stderr.written };
}
