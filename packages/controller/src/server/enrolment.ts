/**
 * How hosts become known, and how they get their certificates. A token's use is counted in the same transaction that
 * enters the host, so that two hosts can never share one.
 */
import { createHash, X509Certificate } from "node:crypto";
import {
  type CertificateRenewParams,
  type CertificateRenewResult,
  type Clock,
  type EnrolParams,
  type EnrolResult,
  ErrorCode,
  type HostId,
  type HostName,
  Labels,
  newHostId,
  OutpostError,
} from "@outpost/protocol";
import * as v from "valibot";
import type { Authorities } from "./authorities.ts";
import type { Catalogue } from "./catalogue/catalogue.ts";
import type { CertificateRecord, HostRecord, NewHost } from "./catalogue/hosts.ts";
import type { TokenRecord } from "./catalogue/tokens.ts";
import { Pace } from "./pace.ts";
import type { ControllerSettings } from "./settings.ts";
import { hashSecret } from "./token.ts";
import type { Tokens } from "./tokens.ts";

/** What the audit log takes of it. */
export interface EnrolmentEvents {
  event(entry: {
    readonly action: "host.enrolled" | "certificate.renewed";
    readonly hosts: string[];
    readonly subject: string;
    readonly what: string;
  }): void;
  refusal(entry: {
    readonly action: "enrolment.refused";
    readonly hosts: string[];
    readonly message: string;
  }): void;
}

export interface EnrolmentOptions {
  readonly catalogue: Catalogue;
  readonly authorities: Authorities;
  readonly tokens: Tokens;
  readonly audit: EnrolmentEvents;
  readonly clock: Clock;
  readonly settings: Pick<ControllerSettings, "hostCertificateDays">;
  /** Told of each new host, before it is answered. */
  readonly enrolled: (host: HostRecord) => void;
  /** Told of each certificate, before it is answered. */
  readonly certified: (host: HostId, certificate: CertificateRecord) => void;
}

/** How often a host may renew its certificate: each is a signature and a line in the audit log, and a host that asked all
 * day MUST NOT push everything else out of it. A change of the CA that is taken back takes two. */
const renewals = { most: 10, withinMs: 10 * 60_000 };

interface Issued {
  readonly pem: string;
  readonly record: CertificateRecord;
}

export class Enrolment {
  readonly #options: EnrolmentOptions;
  readonly #renewals: Pace;

  constructor(options: EnrolmentOptions) {
    this.#options = options;
    this.#renewals = new Pace({ ...renewals, clock: options.clock });
  }

  /**
   * Enters a host and signs its certificate. The same request with the same token and name again (its answer was lost)
   * gets another certificate for the same host, and uses nothing up.
   * @throws OutpostError `denied`: the token is unknown, revoked, expired or used up (`data.reason`), or for another name
   * or other labels · `conflict`: the name is taken · `invalid_argument`: the certificate request is not one
   */
  async enrol(params: EnrolParams): Promise<EnrolResult> {
    try {
      return await this.#enrol(params);
    } catch (error) {
      if (error instanceof OutpostError && error.code === ErrorCode.denied) {
        const { message } = error;
        this.#options.audit.refusal({ action: "enrolment.refused", hosts: [params.name], message });
      }
      throw error;
    }
  }

  /** A new certificate for a host that has one. @throws OutpostError `busy` when it has had many; `invalid_argument`;
   * `disk_full` */
  async renew(
    host: { readonly id: HostId; readonly name: HostName },
    { request }: CertificateRenewParams,
  ): Promise<CertificateRenewResult> {
    const { audit, certified } = this.#options;
    const { id, name } = host;
    if (!this.#renewals.take(host)) {
      throw new OutpostError(
        ErrorCode.busy,
        `${name} has had ${String(renewals.most)} certificates within minutes; ask later`,
      );
    }
    const { pem, record } = await this.#issue(id, name, request);
    audit.event({ action: "certificate.renewed", hosts: [name], subject: id, what: untilText(record) });
    certified(id, record);
    return { certificate: pem, ...this.#trust };
  }

  async #enrol(asked: EnrolParams): Promise<EnrolResult> {
    const { tokens, catalogue } = this.#options;
    const tokenHash = hashSecret(asked.secret);
    const fixed = catalogue.tokens.byHash(tokenHash)?.name;
    const params = asked.isDefaultName === true && fixed !== undefined ? { ...asked, name: fixed } : asked;
    const { name, request } = params;
    const keyHash = createHash("sha256").update(request).digest();
    const again = this.#known(params, tokenHash, keyHash);
    // Before anything is signed; the transaction below decides.
    if (again === undefined) this.#check(params, tokens.usable(tokenHash));
    const id = again?.id ?? newHostId();
    const issued = await this.#issue(id, name, request);
    const host = again ?? this.#enter(params, id, { tokenHash, keyHash, issued });
    if (again !== undefined) {
      const what = `${untilText(issued.record)}, for the request that it has enrolled with`;
      this.#options.audit.event({ action: "certificate.renewed", hosts: [name], subject: id, what });
      this.#options.certified(id, issued.record);
    }
    return {
      host: id,
      name,
      labels: host.labels,
      quarantined: host.quarantinedSince !== undefined,
      certificate: issued.pem,
      ...this.#trust,
    };
  }

  #enter(
    params: EnrolParams,
    id: HostId,
    { tokenHash, keyHash, issued }: { tokenHash: Uint8Array; keyHash: Uint8Array; issued: Issued },
  ): HostRecord {
    const { catalogue, tokens, audit, clock, enrolled } = this.#options;
    const { name, facts } = params;
    const host = catalogue.transaction("synced", () => {
      const now = clock.now();
      const token = tokens.usable(tokenHash);
      this.#check(params, token);
      if (!catalogue.tokens.use(tokenHash, now)) throw new Error("a usable token could not be used");
      const entered: NewHost = {
        id,
        name,
        labels: { ...params.labels, ...token.labels },
        facts,
        enrolledAt: now,
        quarantinedSince: token.quarantine ? now : undefined,
        certificate: issued.record,
        keyHash,
        tokenHash,
      };
      catalogue.hosts.insert(entered);
      const quarantine = token.quarantine ? ", in quarantine" : "";
      // Within the transaction: what cannot be written down is not done.
      const what = `with the token ${token.id} of ${token.createdBy}${quarantine}`;
      audit.event({ action: "host.enrolled", hosts: [name], subject: id, what });
      return { ...entered, lastSeen: undefined };
    });
    enrolled(host);
    return host;
  }

  get #trust(): { authority: string; operators: string } {
    const { authorities } = this.#options;
    return { authority: authorities.bundle, operators: authorities.operators.certificate };
  }

  async #issue(id: HostId, name: HostName, request: string): Promise<Issued> {
    const { authorities, settings } = this.#options;
    const { signing } = authorities;
    const pem = await signing.issueHost({ kind: "host", id }, name, request, settings.hostCertificateDays);
    const expiresAt = Date.parse(new X509Certificate(pem).validTo);
    return { pem, record: { expiresAt, authority: signing.id } };
  }

  #known({ name }: EnrolParams, tokenHash: Uint8Array, keyHash: Uint8Array): HostRecord | undefined {
    const host = this.#options.catalogue.hosts.byName(name);
    if (host === undefined) return undefined;
    return equal(host.tokenHash, tokenHash) && equal(host.keyHash, keyHash) ? host : undefined;
  }

  /** Only somebody with a token learns what it is for, and which names are taken. */
  #check({ name, labels }: EnrolParams, token: TokenRecord): void {
    if (token.name !== undefined && token.name !== name) {
      throw new OutpostError(
        ErrorCode.denied,
        `the token is for the host ${token.name}, not for ${name}; join as ${token.name}, or make a token for ${name}`,
        { data: { reason: "name", name: token.name } },
      );
    }
    const other = conflictingLabel(labels, token.labels);
    if (other !== undefined) {
      throw new OutpostError(
        ErrorCode.denied,
        `the token gives its hosts the label ${other}=${token.labels[other]!}, and ${name} asks for ${other}=${labels[other]!}; leave it out`,
        { data: { reason: "label", label: other } },
      );
    }
    const together = v.safeParse(Labels, { ...labels, ...token.labels });
    if (!together.success) {
      const what = together.issues[0].message;
      throw new OutpostError(ErrorCode.invalidArgument, `with the labels of its token ${name} ${what}`);
    }
    if (this.#options.catalogue.hosts.byName(name) !== undefined) {
      throw new OutpostError(ErrorCode.conflict, `the name ${name} is taken`, { data: { host: name } });
    }
  }
}

function conflictingLabel(asked: Labels, fixed: Labels): string | undefined {
  return Object.keys(fixed).find((key) => Object.hasOwn(asked, key) && asked[key] !== fixed[key]);
}

function untilText({ expiresAt }: CertificateRecord): string {
  return `until ${new Date(expiresAt).toISOString()}`;
}

function equal(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.from(left).equals(right);
}
