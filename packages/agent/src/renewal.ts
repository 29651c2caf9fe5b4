/**
 * Keeps the host's certificate from expiring, and follows the controller when its CA changes. Asks over the connection
 * that is there; that one goes on with the old certificate, and the next is made with the new one.
 *
 *     resting ──two thirds of the certificate's life, or told that it is outdated, or something is missing──▶ due
 *        ▲                                                                                                     │
 *        │                                                       connected: new key, certificate.renew, checked, written
 *        └───────────────────────────────────────────────────────────────────────────────────────── done ◀─────┤
 *                                                                           failed: due again after a while ◀──┘
 */
import { X509Certificate } from "node:crypto";
import {
  type CertificateRenewResult,
  type Clock,
  ErrorCode,
  type HostId,
  OutpostError,
} from "@outpost/protocol";
import type { Logger } from "pino";
import { type Credentials, validityOf } from "./credentials.ts";
import type { NewIdentity } from "./identity.ts";
import { checkCertificate, fingerprintsOf, fingerprintText } from "./trust.ts";

/** Asks the controller, over the connection that is there. @throws OutpostError */
export type AskForCertificate = (request: string) => Promise<CertificateRenewResult>;

export interface RenewalOptions {
  readonly host: HostId;
  /** For the certificate request; the controller decides what the certificate says. */
  readonly name: string;
  readonly credentials: Credentials;
  /** Makes a key and a request for it. */
  readonly createIdentity: (name: string) => Promise<NewIdentity>;
  /** Replaces the identity on disk as a whole. */
  readonly write: (credentials: Credentials) => Promise<void>;
  /** What comes of it, as the audit log has it. The first: a certificate is in use for the next connection. */
  readonly renewed: (message: string) => void;
  /** Operators of this authority (PEM) are obeyed from now on: there was none before. */
  readonly trusted: (operators: string, message: string) => void;
  readonly clock: Clock;
  readonly log: Logger;
  /** Uniform in [0, 1), for the jitter. Default `Math.random`. */
  readonly random?: () => number;
}

const hourMs = 60 * 60 * 1000;
const weekMs = 7 * 24 * hourMs;

/** The hosts of a controller hear at once that their certificates are outdated; they ask spread over this time. */
const outdatedSpreadMs = 30_000;
const firstRetryMs = 30_000;
const longestRetryMs = hourMs;
/** How often to look at the time: it may have been set, and a host may have slept. */
const lookEveryMs = hourMs;

export class Renewal implements Disposable {
  readonly #options: RenewalOptions;
  #credentials: Credentials;
  #ask: AskForCertificate | undefined;
  /** The controller said so, whatever the certificate's age. */
  #outdated = false;
  #isAsking = false;
  #retryMs = firstRetryMs;
  #cancel: () => void = () => {};
  #disposed = false;

  constructor(options: RenewalOptions) {
    this.#options = options;
    this.#credentials = options.credentials;
    this.#restAtMost(lookEveryMs);
  }

  /** What the next connection is to be made with. */
  get credentials(): Credentials {
    return this.#credentials;
  }

  /** When it is to be renewed, in milliseconds since 1970. */
  get dueAt(): number {
    const { from, to } = validityOf(this.#credentials.certificate);
    return from + ((to - from) * 2) / 3;
  }

  /** There is a connection to ask over. Returns what says that there is none any more. */
  connected(ask: AskForCertificate): () => void {
    this.#ask = ask;
    this.#look();
    return () => {
      if (this.#ask === ask) this.#ask = undefined;
    };
  }

  /** The controller says that its CA changes. */
  outdated(): void {
    this.#outdated = true;
    const { random = Math.random } = this.#options;
    this.#restAtMost(random() * outdatedSpreadMs);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#cancel();
  }

  get #isDue(): boolean {
    return (
      this.#outdated || this.#credentials.operators === undefined || this.#options.clock.now() >= this.dueAt
    );
  }

  #restAtMost(delayMs: number): void {
    this.#cancel();
    if (this.#disposed) return;
    const untilDueMs = Math.max(0, this.dueAt - this.#options.clock.now());
    // What is due already waits for a connection, or for its next attempt.
    const nextMs = this.#isDue ? delayMs : Math.min(delayMs, untilDueMs);
    this.#cancel = this.#options.clock.after(nextMs, () => this.#look());
  }

  #look(): void {
    if (this.#isAsking) return;
    if (!this.#isDue) return this.#restAtMost(lookEveryMs);
    if (this.#ask === undefined) {
      this.#warnOfExpiry("there is no connection to the controller");
      return this.#restAtMost(lookEveryMs);
    }
    this.#isAsking = true;
    void this.#renew(this.#ask).then((restMs) => {
      this.#isAsking = false;
      this.#restAtMost(restMs);
    });
  }

  /** Never rejects. @returns how long to rest at most */
  async #renew(ask: AskForCertificate): Promise<number> {
    const { name, host, log } = this.#options;
    const wasOutdated = this.#outdated;
    try {
      this.#outdated = false;
      const { key, request } = await this.#options.createIdentity(name);
      const answer = await ask(request);
      checkCertificate(answer, key, host);
      await this.#take(answer, key);
      this.#retryMs = firstRetryMs;
      // It may have been said again meanwhile.
      return this.#outdated ? outdatedSpreadMs : lookEveryMs;
    } catch (reason) {
      this.#outdated ||= wasOutdated;
      const { message } = OutpostError.from(reason);
      log.warn({ err: reason, retryMs: this.#retryMs }, `the certificate was not renewed: ${message}`);
      this.#warnOfExpiry(message);
      const retryMs = this.#retryMs;
      this.#retryMs = Math.min(2 * retryMs, longestRetryMs);
      return retryMs;
    }
  }

  async #take(
    { certificate, authority, operators: shown }: CertificateRenewResult,
    key: string,
  ): Promise<void> {
    const { operators: ours } = this.#credentials;
    const operators = ours ?? onlyOne(shown);
    const credentials = { key, certificate, authority, operators };
    await this.#options.write(credentials);
    this.#credentials = credentials;
    this.#sayRenewed(certificate);
    if (ours === undefined) this.#sayTrusted(operators);
    else if (!isSame(ours, shown)) {
      this.#options.log.warn(
        "the controller shows other operators than this host knows; they are not believed",
      );
    }
  }

  #sayRenewed(certificate: string): void {
    const { serialNumber } = new X509Certificate(certificate);
    const until = new Date(validityOf(certificate).to).toISOString();
    this.#options.log.info({ serialNumber }, `the certificate was renewed and is valid until ${until}`);
    this.#options.renewed(`certificate ${serialNumber}, valid until ${until}`);
  }

  #sayTrusted(operators: string): void {
    const fingerprint = fingerprintText(fingerprintsOf(operators)[0]!);
    const message =
      `this host obeys operators of the authority ${fingerprint} from now on: the controller said so, and nothing else ` +
      `vouches for it. Compare it with \`outpost authority show\``;
    this.#options.log.warn(message);
    this.#options.trusted(operators, message);
  }

  #warnOfExpiry(why: string): void {
    const { clock, log } = this.#options;
    const leftMs = validityOf(this.#credentials.certificate).to - clock.now();
    if (leftMs > weekMs) return;
    const when = leftMs <= 0 ? "HAS EXPIRED" : `EXPIRES IN ${String(Math.ceil(leftMs / hourMs))} HOURS`;
    const what = leftMs <= 0 ? "join again with `outpost-agent join --force`" : "then the host is cut off";
    log.error(`this host's certificate ${when} and was not renewed (${why}); ${what}`);
  }
}

/** @throws OutpostError `protocol_error` unless it is exactly one certificate: each of them could make operators */
function onlyOne(operators: string): string {
  const [only, ...more] = fingerprintsOf(operators);
  if (only !== undefined && more.length === 0) return operators;
  throw new OutpostError(
    ErrorCode.protocolError,
    "the controller answered with several authorities of operators",
  );
}

function isSame(ours: string, theirs: string): boolean {
  try {
    const [a, b] = [ours, theirs].map((pem) => fingerprintsOf(pem).map(fingerprintText).join());
    return a === b;
  } catch {
    return false;
  }
}
