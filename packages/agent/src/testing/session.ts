/** The controller's end of one agent's connection, as tests see it. Works on any socket. */
import type { X509Certificate } from "node:crypto";
import {
  agentMethods,
  type CertificateRenewParams,
  type CertificateRenewResult,
  type Clock,
  controllerAgentMethods,
  ErrorCode,
  type Facts,
  type HelloParams,
  type HelloResult,
  type JobStatus,
  limits,
  type MessageSocket,
  OutpostError,
  Peer,
  type SessionId,
  type SessionStatus,
  supportedVersions,
  systemClock,
} from "@outpost/protocol";

export function helloResult(name: string): HelloResult {
  return {
    version: supportedVersions.max,
    software: "fake-controller 0",
    maxMessageBytes: limits.maxMessageBytes,
    name,
    time: Date.now(),
  };
}

export class FakeSession {
  readonly peer: Peer<typeof controllerAgentMethods, typeof agentMethods>;
  readonly pages: (readonly JobStatus[])[] = [];
  readonly changes: JobStatus[] = [];
  readonly facts: Facts[] = [];
  /** Every `session.inventory`, and what was told of sessions after it. */
  readonly sessionInventories: (readonly SessionStatus[])[] = [];
  readonly sessionChanges: (SessionStatus | { readonly gone: SessionId })[] = [];
  hello: HelloParams | undefined;
  /** The protocol version that it chooses. */
  version: number = supportedVersions.max;
  /** With which the agent came. */
  certificate: X509Certificate | undefined;
  /** What `certificate.renew` answers. */
  renew: (params: CertificateRenewParams) => Promise<CertificateRenewResult> = () => {
    throw new OutpostError(ErrorCode.internal, "the test did not expect a renewal");
  };
  /** Resolves when the last page of the inventory is here. */
  readonly inventory: Promise<JobStatus[]>;

  /** @param refusal when given, `hello` is denied with it */
  constructor(socket: MessageSocket, refusal?: OutpostError | string, clock: Clock = systemClock) {
    const inventory = Promise.withResolvers<JobStatus[]>();
    this.inventory = inventory.promise;
    this.peer = new Peer(socket, {
      local: controllerAgentMethods,
      remote: agentMethods,
      clock,
      handlers: {
        hello: (params) => {
          this.hello = params;
          if (typeof refusal === "string") throw new OutpostError(ErrorCode.denied, refusal);
          if (refusal !== undefined) throw refusal;
          return { ...helloResult("web1"), version: this.version };
        },
        inventory: ({ jobs, last }) => {
          this.pages.push(jobs);
          if (last) inventory.resolve(this.pages.flat());
          return {};
        },
        "facts.changed": ({ facts }) => void this.facts.push(facts),
        "job.changed": ({ status }) => void this.changes.push(status),
        "session.inventory": ({ sessions }) => {
          this.sessionInventories.push(sessions);
          return {};
        },
        "session.changed": ({ status }) => void this.sessionChanges.push(status),
        "certificate.renew": (params) => this.renew(params),
        "session.gone": ({ session }) => void this.sessionChanges.push({ gone: session }),
      },
    });
  }
}
