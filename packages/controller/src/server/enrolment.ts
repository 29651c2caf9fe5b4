/**
 * How hosts become known: tokens are made here and used up here. A token's use is counted in the same transaction that
 * enters the host, so that two hosts can never share one.
 */
import { createHash } from "node:crypto";
import {
  type Clock,
  type EnrolParams,
  type EnrolResult,
  ErrorCode,
  newHostId,
  OutpostError,
  type TokenCreateParams,
  type TokenCreateResult,
} from "@outpost/protocol";
import type { Authority } from "./authority.ts";
import type { Catalogue } from "./catalogue/catalogue.ts";
import type { HostRecord, NewHost } from "./catalogue/hosts.ts";
import { createToken, hashSecret } from "./token.ts";

/** Tokens that expired longer ago than this are forgotten: until then an attempt is told `expired`, not `unknown`. */
const keepExpiredMs = 7 * 24 * 60 * 60 * 1000;

export interface EnrolmentOptions {
  readonly catalogue: Catalogue;
  readonly authority: Authority;
  readonly clock: Clock;
  /** Told of each new host, before it is answered. */
  readonly enrolled: (host: HostRecord) => void;
}

export class Enrolment {
  readonly #options: EnrolmentOptions;

  constructor(options: EnrolmentOptions) {
    this.#options = options;
  }

  createToken({ ttlMs, uses }: TokenCreateParams, createdBy: string): TokenCreateResult {
    const { catalogue, authority, clock } = this.#options;
    const { text, hash } = createToken(authority.fingerprint);
    const createdAt = clock.now();
    const expiresAt = createdAt + ttlMs;
    catalogue.transaction("synced", () => {
      catalogue.tokens.purge(createdAt - keepExpiredMs);
      catalogue.tokens.insert({ hash, createdAt, createdBy, expiresAt, uses });
    });
    return { token: text, expiresAt, uses };
  }

  /**
   * Enters a host and signs its certificate. The same request with the same token and name again (its answer was lost)
   * gets another certificate for the same host, and uses nothing up.
   * @throws OutpostError `denied`: the token is unknown, expired or used up · `conflict`: the name is taken ·
   * `invalid_argument`: the certificate request is not one
   */
  async enrol(params: EnrolParams): Promise<EnrolResult> {
    const { catalogue, authority, clock, enrolled } = this.#options;
    const { name, labels, facts, request } = params;
    const tokenHash = hashSecret(params.secret);
    const keyHash = createHash("sha256").update(request).digest();
    const again = this.#known(params, tokenHash, keyHash);
    // Before anything is signed; the transaction below decides.
    if (again === undefined) this.#check(params, tokenHash);
    const id = again?.id ?? newHostId();
    const certificate = await authority.issueHost({ kind: "host", id }, name, request);
    if (again === undefined) {
      const host: NewHost = { id, name, labels, facts, enrolledAt: clock.now(), keyHash, tokenHash };
      catalogue.transaction("synced", () => {
        this.#check(params, tokenHash);
        if (!catalogue.tokens.use(tokenHash, clock.now())) throw this.#refusal(tokenHash);
        catalogue.hosts.insert(host);
      });
      enrolled({ id, name, labels, facts, enrolledAt: host.enrolledAt, lastSeen: undefined });
    }
    return { host: id, name, certificate, authority: authority.certificate };
  }

  #known({ name }: EnrolParams, tokenHash: Uint8Array, keyHash: Uint8Array): HostRecord | undefined {
    const host = this.#options.catalogue.hosts.byName(name);
    if (host === undefined) return undefined;
    return equal(host.tokenHash, tokenHash) && equal(host.keyHash, keyHash) ? host : undefined;
  }

  #check({ name }: EnrolParams, tokenHash: Uint8Array): void {
    const { catalogue, clock } = this.#options;
    const token = catalogue.tokens.byHash(tokenHash);
    if (token === undefined || token.expiresAt <= clock.now() || token.used >= token.uses) {
      throw this.#refusal(tokenHash);
    }
    // Only somebody with a token learns which names are taken.
    if (catalogue.hosts.byName(name) !== undefined) {
      throw new OutpostError(ErrorCode.conflict, `the name ${name} is taken`, { data: { host: name } });
    }
  }

  #refusal(tokenHash: Uint8Array): OutpostError {
    const { catalogue, clock } = this.#options;
    const token = catalogue.tokens.byHash(tokenHash);
    const why = (reason: string, text: string): OutpostError =>
      new OutpostError(ErrorCode.denied, text, { data: { reason } });
    if (token === undefined) return why("unknown", "this controller has made no such token");
    if (token.expiresAt <= clock.now()) {
      return why("expired", `the token has expired at ${new Date(token.expiresAt).toISOString()}`);
    }
    const uses = token.uses === 1 ? "its one use" : `all of its ${String(token.uses)} uses`;
    return why("used_up", `the token has had ${uses}`);
  }
}

function equal(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.from(left).equals(right);
}
