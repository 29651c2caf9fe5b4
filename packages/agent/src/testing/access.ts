/** A host's gate for tests, an operator who signs for it, and the audit log that it writes. */
import { type Bound, permissivePolicy, signRequest, type Signer } from "@outpost/access";
import { type TestOperators, testOperators } from "@outpost/access/testing";
import {
  type Action,
  type agentMethods,
  type AuditEntry,
  type Authorization,
  type Clock,
  HostName,
  type Labels,
  type Params,
  systemClock,
} from "@outpost/protocol";
import { pino } from "pino";
import * as v from "valibot";
import type { FakeSession } from "./session.ts";
import { Admission } from "../access/admission.ts";
import { type Asked, askedBy, type SignedMethod } from "../access/asked.ts";
import { Gate, type GateOptions } from "../access/gate.ts";

type SignedParams<M extends SignedMethod> = Params<typeof agentMethods, M>;

/** Lets everything through, and records nothing. For tests that are about something else. */
export const openGate: Pick<Gate, "admit" | "admitLocally" | "input"> = {
  admit: () => new Admission(1, () => {}),
  admitLocally: () => new Admission(1, () => {}),
  input: () => {},
};

export interface SignOptions {
  readonly targets?: string;
  readonly lifetimeMs?: number;
  readonly clock?: Pick<Clock, "now">;
  /** What is signed instead of what the params say. */
  readonly instead?: { readonly action?: Action; readonly subject?: string; readonly bound?: Bound };
}

/** The signature that these params need. */
function authorize<M extends SignedMethod>(
  signer: Signer,
  method: M,
  params: SignedParams<M>,
  { targets, lifetimeMs = 60_000, clock = systemClock, instead = {} }: SignOptions = {},
): Authorization {
  const asked = (askedBy[method] as (params: SignedParams<M>) => Asked)(params);
  const { action, subject, bound } = { ...asked, subject: asked.subject.id, ...instead };
  return signRequest(signer, { action, subject, bound, targets, lifetimeMs }, clock);
}

/** The same params, signed. */
export function signed<M extends SignedMethod>(
  signer: Signer,
  method: M,
  params: SignedParams<M>,
  options?: SignOptions,
): SignedParams<M> {
  return { ...params, authorization: authorize(signer, method, params, options) };
}

/** A controller's end of a connection on which whatever needs a signature is signed by this operator. */
export function signing(peer: FakeSession["peer"], signer: Signer): FakeSession["peer"] {
  const request = (method: SignedMethod, params: never, options?: never): unknown => {
    const needsIt = (askedBy[method] as unknown) !== "open";
    return peer.request(method, needsIt ? (signed(signer, method, params) as never) : params, options);
  };
  return new Proxy(peer, {
    get(target, key) {
      if (key === "request") return request;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Collects what is recorded. */
export class FakeAudit {
  readonly entries: Omit<AuditEntry, "sequence" | "time" | "previous">[] = [];
  /** Replaced by tests in which the disk is full. */
  check: () => void = () => {};

  append: GateOptions["audit"]["append"] = (entry) => {
    this.check();
    return this.entries.push(entry);
  };
}

/** A real gate that knows no operators, and records there. */
export function recordingGate(audit: FakeAudit): Gate {
  return new Gate({
    host: web1,
    operators: undefined,
    policy: permissivePolicy,
    audit,
    replay: { note: () => true },
    jobs: { known: () => undefined },
    sessions: { find: () => undefined },
    clock: systemClock,
    log: pino({ level: "silent" }),
  });
}

export interface TestHost {
  readonly name: HostName;
  readonly labels: Labels;
}

export const web1: TestHost = { name: v.parse(HostName, "web1"), labels: { role: "web" } };

export { type TestOperators, testOperators };
