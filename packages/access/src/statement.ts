/**
 * Signed requests: what an operator's client signs, and what a host verifies before it does anything.
 *
 *     statement  who asks for what, about which job or session, on which hosts, from when to when, a nonce, and a digest
 *                of everything else that matters (`bound.ts`)
 *     signature  of exactly these bytes, with the key of the operator's certificate
 *
 * Neither side makes anything cryptographic of its own: ECDSA, SHA-256 and X.509 are Node's.
 */
import { createHash, type KeyObject, verify, X509Certificate } from "node:crypto";
import {
  type Authorization,
  type Clock,
  decodeValue,
  ErrorCode,
  type Facts,
  type HostName,
  type Labels,
  OutpostError,
  Statement,
} from "@outpost/protocol";
import { parse, selects, usesFacts } from "@outpost/protocol/targets";
import * as v from "valibot";
import { boundBytes } from "./bound.ts";
import { type OperatorIdentity, verifyOperatorChain } from "./operator-chain.ts";
import { splitPem } from "./pem.ts";
import { digestOf, type Request, signatureFormat } from "./signing.ts";

/** How far the clocks of operator and host may be apart, in milliseconds. A certificate's validity tolerates no less. */
export const clockSkewMs = 5 * 60 * 1000;

/** The longest that a request may be valid, in milliseconds: a removal waits so long for its host, as output is kept. */
export const maxLifetimeMs = 31 * 24 * 60 * 60 * 1000;

/** A request that an operator has certainly made. */
export interface VerifiedRequest extends OperatorIdentity {
  readonly nonce: Uint8Array;
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/** The host that verifies, which knows best what it is. */
export interface VerifyingHost {
  readonly name: HostName;
  readonly labels: Labels;
  /** As they are now. Absent: no fact is what a signed expression asks for. */
  readonly facts?: (() => Facts | undefined) | undefined;
}

/** What costs most in verifying, and says the same to everybody who asks it about the same bytes. */
export interface SignatureChecks {
  /** Whom these certificates show. @throws as `verifyOperatorChain` */
  readonly chain: typeof verifyOperatorChain;
  /** Whether the owner of the key has signed exactly these bytes. */
  readonly signature: (bytes: Uint8Array, key: KeyObject, signature: Uint8Array) => boolean;
}

export const signatureChecks: SignatureChecks = {
  chain: verifyOperatorChain,
  signature: (bytes, key, signature) =>
    verify(signatureFormat.hash, bytes, { key, dsaEncoding: signatureFormat.encoding }, signature),
};

export interface VerifierOptions {
  /** The operators' authority, PEM; more than one behind each other. */
  readonly operators: string;
  /** The host that verifies. */
  readonly host: VerifyingHost;
  readonly clock: Pick<Clock, "now">;
  /** Default `signatureChecks`. Many hosts in one process may share the results of one. */
  readonly checks?: SignatureChecks | undefined;
}

/** How many operators' certificates are remembered as verified. Each costs 0.3 ms anew. */
const rememberedChains = 256;

export class RequestVerifier {
  readonly #host: VerifierOptions["host"];
  readonly #clock: Pick<Clock, "now">;
  readonly #operators: readonly X509Certificate[];
  readonly #checks: SignatureChecks;
  readonly #verified = new Map<string, OperatorIdentity>();

  constructor({ operators, host, clock, checks = signatureChecks }: VerifierOptions) {
    this.#checks = checks;
    this.#operators = splitPem(operators).map((pem) => new X509Certificate(pem));
    this.#host = host;
    this.#clock = clock;
  }

  /**
   * Makes sure that an operator has asked for exactly this, here, and that it still means something. That it is asked for
   * once only is the caller's to see to (`nonce`).
   * @throws OutpostError `denied`; `data.reason` is one of `unsigned`, `certificate`, `signature`, `altered`, `host`,
   * `expired`, `clock`
   * @param late true: also when it has expired; for asking again how something stands that it has started
   */
  verify(authorization: Authorization | undefined, request: Request, { late = false } = {}): VerifiedRequest {
    if (authorization === undefined) {
      throw refused(
        "unsigned",
        "the request came without an operator's signature; is the controller older than this agent?",
      );
    }
    const identity = this.#identity(authorization.certificates);
    const { statement: bytes } = authorization;
    if (!this.#checks.signature(bytes, identity.publicKey, authorization.signature)) {
      throw refused("signature", `the request was not signed with the key of ${identity.name}'s certificate`);
    }
    const statement = readStatement(bytes);
    this.#checkTimes(statement, late);
    this.#checkRequest(statement, identity, request);
    const { nonce, issuedAt, expiresAt } = statement;
    return { ...identity, nonce, issuedAt, expiresAt };
  }

  #identity(certificates: readonly Uint8Array[]): OperatorIdentity {
    const hash = createHash("sha256");
    for (const der of certificates) hash.update(der);
    const known = hash.digest("base64");
    const now = this.#clock.now();
    const remembered = this.#verified.get(known);
    if (remembered !== undefined && remembered.expiresAt > now) return remembered;
    const identity = this.#checks.chain(certificates, this.#operators, now);
    if (this.#verified.size >= rememberedChains) this.#verified.clear();
    this.#verified.set(known, identity);
    return identity;
  }

  #checkTimes({ issuedAt, expiresAt }: Statement, late: boolean): void {
    const now = this.#clock.now();
    if (!late && expiresAt <= now - clockSkewMs) {
      throw refused(
        "expired",
        `the request has expired at ${new Date(expiresAt).toISOString()}; by this host's clock it is ${new Date(now).toISOString()}`,
      );
    }
    if (issuedAt > now + clockSkewMs) {
      throw refused(
        "clock",
        `the request was signed at ${new Date(issuedAt).toISOString()}, which is still to come by this host's clock (${new Date(now).toISOString()}); one of the clocks is wrong`,
      );
    }
    if (expiresAt - issuedAt > maxLifetimeMs)
      throw refused("altered", "the request is to be valid for too long");
  }

  #checkRequest(statement: Statement, { name }: OperatorIdentity, { action, subject, bound }: Request): void {
    const isSame =
      statement.operator === name &&
      statement.action === action &&
      statement.subject === subject &&
      Buffer.from(statement.digest).equals(digestOf(boundBytes(bound)));
    if (!isSame) throw refused("altered", `the request is not what ${name} has signed`);
    const { targets } = statement;
    if (targets !== undefined && !this.#isMeant(targets)) {
      throw refused("host", `${name} has not asked this of ${this.#host.name}`);
    }
  }

  #isMeant(expression: string): boolean {
    const targets = parse(expression);
    const { name, labels, facts } = this.#host;
    return selects(targets, { name, labels, facts: usesFacts(targets) ? facts?.() : undefined });
  }
}

function readStatement(bytes: Uint8Array): Statement {
  const parsed = v.safeParse(Statement, decodeValue(bytes));
  if (parsed.success) return parsed.output;
  throw refused("altered", `the signed statement is not one: ${parsed.issues[0].message}`);
}

function refused(reason: string, message: string): OutpostError {
  return new OutpostError(ErrorCode.denied, message, { data: { reason } });
}
