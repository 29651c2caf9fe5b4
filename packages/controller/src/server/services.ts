/** What the controller consists of, below its connections; composed here, used by handlers. */
import type { Clock, JobId } from "@outpost/protocol";
import type { Logger } from "pino";
import type { Authorisation } from "./authorisation.ts";
import type { Authority } from "./authority.ts";
import type { Catalogue } from "./catalogue/catalogue.ts";
import type { CollectedStore } from "./collected-store.ts";
import { Collector } from "./collector.ts";
import { Dispatch } from "./dispatch.ts";
import { Enrolment } from "./enrolment.ts";
import type { FanOut } from "./fan-out.ts";
import { FanOuts } from "./fan-outs.ts";
import { HeldTails } from "./held-tails.ts";
import { InputSpools } from "./input-spool.ts";
import type { Job } from "./job.ts";
import { Launch } from "./launch.ts";
import { Presence } from "./presence.ts";
import { Sessions } from "./sessions.ts";
import type { ControllerSettings } from "./settings.ts";

export interface Services {
  readonly catalogue: Catalogue;
  readonly authorisation: Authorisation;
  readonly enrolment: Enrolment;
  readonly presence: Presence;
  /** The same as `presence`, for those who only reach hosts. */
  readonly bus: Presence;
  readonly fanOuts: FanOuts;
  readonly sessions: Sessions;
  readonly tails: HeldTails;
  readonly dispatch: Dispatch;
  readonly launch: Launch;
  readonly store: CollectedStore;
  readonly inputs: InputSpools;
  readonly clock: Clock;
  readonly settings: ControllerSettings;
  readonly log: Logger;
}

export interface ComposeOptions {
  readonly catalogue: Catalogue;
  readonly authority: Authority;
  readonly authorisation: Authorisation;
  readonly store: CollectedStore;
  readonly inputsDirectory: string;
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
  const { catalogue, authority, authorisation, store, inputsDirectory, clock, settings, log } = options;
  const presence = new Presence(catalogue, clock, log);
  const bus = presence;
  const inputs = new InputSpools(inputsDirectory, settings.maxInputBytes);
  const forgotten = (id: JobId): void => {
    Promise.all([store.remove(id), inputs.remove(id)]).catch((error: unknown) => {
      log.warn({ job: id, err: error }, "files of a removed job could not be removed");
    });
  };
  const fanOuts = new FanOuts({ catalogue, bus, clock, settings, log, forgotten });
  const sessions = new Sessions({ catalogue, bus, clock, settings, log });
  const tails = new HeldTails(clock, settings);
  const dispatch = new Dispatch({ bus, fanOuts, tails, clock, settings, log });
  const collector = new Collector({ bus, fanOuts, dispatch, store, clock, settings, log });
  const launch = new Launch({ bus, fanOuts, dispatch, tails, collector, inputs, clock, settings, log });
  const enrolment = new Enrolment({ catalogue, authority, clock, enrolled: (host) => presence.add(host) });
  return {
    services: {
      catalogue,
      authorisation,
      enrolment,
      presence,
      bus,
      fanOuts,
      sessions,
      tails,
      dispatch,
      launch,
      store,
      inputs,
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
