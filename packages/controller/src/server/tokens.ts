/** Enrolment tokens: made, listed, revoked, and whether one is good. Their use is counted by `enrolment.ts`. */
import {
  type Clock,
  ErrorCode,
  newTokenId,
  OutpostError,
  type TokenCreateParams,
  type TokenCreateResult,
  type TokenId,
  type TokenInfo,
} from "@outpost/protocol";
import type { Authorities } from "./authorities.ts";
import type { Catalogue } from "./catalogue/catalogue.ts";
import type { TokenRecord } from "./catalogue/tokens.ts";
import { createToken } from "./token.ts";

/** Tokens that expired longer ago than this are forgotten: until then an attempt is told `expired`, not `unknown`. */
const keepExpiredMs = 7 * 24 * 60 * 60 * 1000;

export interface TokensOptions {
  readonly catalogue: Catalogue;
  readonly authorities: Authorities;
  readonly clock: Clock;
}

export class Tokens {
  readonly #options: TokensOptions;

  constructor(options: TokensOptions) {
    this.#options = options;
  }

  /** @throws OutpostError `invalid_argument` for a name with more than one use */
  create(params: TokenCreateParams, createdBy: string): TokenCreateResult {
    const { catalogue, authorities, clock } = this.#options;
    const { ttlMs, uses, name, labels = {}, quarantine = false } = params;
    if (name !== undefined && uses > 1) {
      throw new OutpostError(
        ErrorCode.invalidArgument,
        `only one host can be called ${name}; make the token for one use, or without a name`,
      );
    }
    const { text, hash } = createToken(authorities.current.fingerprint, authorities.operators.fingerprint);
    const createdAt = clock.now();
    const expiresAt = createdAt + ttlMs;
    const id = newTokenId();
    catalogue.transaction("synced", () => {
      catalogue.tokens.purge(createdAt - keepExpiredMs);
      catalogue.tokens.insert({ id, hash, createdAt, createdBy, expiresAt, uses, name, labels, quarantine });
    });
    return { id, token: text, expiresAt, uses };
  }

  /** The newest first. Those that expired a week ago are not there any more. */
  list(): TokenInfo[] {
    return this.#options.catalogue.tokens.all().map(tokenInfo);
  }

  /** @throws OutpostError `not_found` */
  get(id: TokenId): TokenRecord {
    const token = this.#options.catalogue.tokens.byId(id);
    if (token !== undefined) return token;
    throw new OutpostError(
      ErrorCode.notFound,
      `there is no token ${id}; \`outpost token list\` shows the tokens`,
      { data: { token: id } },
    );
  }

  /** It enrols nobody any more. Revoking twice is revoking once. @throws OutpostError `not_found` */
  revoke(id: TokenId, by: string): TokenInfo {
    const { catalogue, clock } = this.#options;
    this.get(id);
    catalogue.transaction("synced", () => catalogue.tokens.revoke(id, clock.now(), by));
    return tokenInfo(this.get(id));
  }

  /** The CA that they name is not ours any more. Returns how many could still have been used. */
  revokeAll(by: string): number {
    const { catalogue, clock } = this.#options;
    return catalogue.transaction("synced", () => catalogue.tokens.revokeAll(clock.now(), by));
  }

  /** A token that can be used now. @throws OutpostError `denied`; `data.reason` is `unknown`, `revoked`, `expired` or
   * `used_up` */
  usable(hash: Uint8Array): TokenRecord {
    const { catalogue, clock } = this.#options;
    const token = catalogue.tokens.byHash(hash);
    if (token === undefined) throw refusal("unknown", "this controller has made no such token");
    if (token.revokedAt !== undefined) {
      const by = token.revokedBy === undefined ? "" : ` by ${token.revokedBy}`;
      throw refusal("revoked", `the token was revoked${by} at ${timeText(token.revokedAt)}`);
    }
    if (token.expiresAt <= clock.now()) {
      throw refusal("expired", `the token has expired at ${timeText(token.expiresAt)}`);
    }
    if (token.used >= token.uses) {
      const uses = token.uses === 1 ? "its one use" : `all of its ${String(token.uses)} uses`;
      throw refusal("used_up", `the token has had ${uses}`);
    }
    return token;
  }
}

function refusal(reason: string, text: string): OutpostError {
  return new OutpostError(ErrorCode.denied, text, { data: { reason } });
}

function timeText(time: number): string {
  return new Date(time).toISOString();
}

function tokenInfo(token: TokenRecord): TokenInfo {
  const { id, createdAt, createdBy, expiresAt, uses, used, name, labels, quarantine, revokedAt } = token;
  return {
    id,
    createdAt,
    createdBy,
    expiresAt,
    uses,
    used,
    labels,
    quarantine,
    ...(name === undefined ? {} : { name }),
    ...(revokedAt === undefined ? {} : { revokedAt }),
  };
}
