/**
 * What the controller tells whoever watches it (`metrics/`, `tracing/`). The parts that work know this interface and nothing
 * behind it; without anybody who watches it is `noObserver`, and a call that does nothing is all that it costs.
 */
import type { JobState } from "@outpost/protocol";
import type { Visitor } from "./doors.ts";
import type { FanOut } from "./fan-out.ts";

export type VisitorKind = Visitor["kind"];

/** Why a connection was not let in. `handshakes`, `greetings`, `enrolments`: so many were arriving that there was no place. `timeout`,
 * `tls`: it did not come to its upgrade. `denied`, `unknown_path`: the doors. */
export type RefusedFor =
  | "handshakes"
  | "greetings"
  | "enrolments"
  | "timeout"
  | "tls"
  | "denied"
  | "unknown_path"
  | "fault";

/** Output to operators, output into the controller's own store, standard input, terminals of sessions. */
export type RelayedKind = "output" | "collected" | "input" | "session";

export interface RequestAbout {
  readonly method: string;
  /** The operator's name. */
  readonly operator: string;
  readonly params: object;
}

/** A request that is being answered. */
export interface ObservedRequest {
  /** It has been. @param code `ok`, or the error's */
  ended(code: string): void;
}

export interface Observer {
  accepted(kind: VisitorKind): void;
  refused(reason: RefusedFor): void;
  /** A host's connection has come, or is gone. */
  presence(state: "connected" | "disconnected"): void;
  /** An operator asks. `undefined`: nobody wants to know how it ends. */
  request(about: RequestAbout): ObservedRequest | undefined;
  /** A fan-out job was recorded; nothing of it was sent yet. */
  fanOutBegun(fanOut: FanOut): void;
  /** A start goes to a host; it is answered, or the connection has ended. */
  startSent(fanOut: FanOut): void;
  startAnswered(fanOut: FanOut): void;
  jobEnded(state: JobState): void;
  /** All of its jobs have ended. */
  fanOutEnded(fanOut: FanOut): void;
  relayed(kind: RelayedKind, direction: "from_hosts" | "to_hosts", bytes: number): void;
  /** The output of so many more (or fewer) jobs is on its way to operators. */
  reading(jobs: number): void;
}

const nothing = (): void => {};

export const noObserver: Observer = {
  accepted: nothing,
  refused: nothing,
  presence: nothing,
  request: () => undefined,
  fanOutBegun: nothing,
  startSent: nothing,
  startAnswered: nothing,
  jobEnded: nothing,
  fanOutEnded: nothing,
  relayed: nothing,
  reading: nothing,
};

/** Tells several. */
export function observers(all: readonly Observer[]): Observer {
  const [first = noObserver, ...others] = all;
  if (others.length === 0) return first;
  const each = (tell: (observer: Observer) => void): void => {
    for (const observer of all) tell(observer);
  };
  return {
    accepted: (kind) => each((one) => one.accepted(kind)),
    refused: (reason) => each((one) => one.refused(reason)),
    presence: (state) => each((one) => one.presence(state)),
    request(about) {
      const requests = all.flatMap((one) => one.request(about) ?? []);
      return requests.length === 0
        ? undefined
        : {
            ended: (code) => {
              for (const request of requests) request.ended(code);
            },
          };
    },
    fanOutBegun: (fanOut) => each((one) => one.fanOutBegun(fanOut)),
    startSent: (fanOut) => each((one) => one.startSent(fanOut)),
    startAnswered: (fanOut) => each((one) => one.startAnswered(fanOut)),
    jobEnded: (state) => each((one) => one.jobEnded(state)),
    fanOutEnded: (fanOut) => each((one) => one.fanOutEnded(fanOut)),
    relayed: (kind, direction, bytes) => each((one) => one.relayed(kind, direction, bytes)),
    reading: (jobs) => each((one) => one.reading(jobs)),
  };
}
