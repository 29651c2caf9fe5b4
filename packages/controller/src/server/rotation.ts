/**
 * The change of the controller's CA, step by step, and who is not through with it. The files are `authorities.ts`'s.
 *
 *     begin    the incoming CA signs the certificates of hosts; hosts are told to fetch one, each at another time. Those
 *              that are away are told when they come. Both CAs are trusted.
 *     finish   when no host waits (or by force): the incoming CA is the only one, and signs the server's certificate, too.
 *              Connections go on. Tokens made before name the former CA, so they are revoked.
 *     abandon  the CA stays; hosts with a certificate of the incoming one are told to fetch another, and it is trusted
 *              until they have
 */
import {
  type AuthorityInfo,
  type AuthorityRotateParams,
  type AuthorityShowResult,
  type Clock,
  ErrorCode,
  type HostName,
  OutpostError,
} from "@outpost/protocol";
import { sorted } from "@outpost/protocol/targets";
import type { Logger } from "pino";
import type { Authorities } from "./authorities.ts";
import type { Authority, AuthorityCertificate } from "./authority.ts";
import type { Host, Presence } from "./presence.ts";
import type { ControllerSettings } from "./settings.ts";
import type { Tokens } from "./tokens.ts";

export interface RotationOptions {
  readonly authorities: Authorities;
  /** The server's own certificate. */
  readonly certificate: { renew(authority: Authority): Promise<void> };
  readonly presence: Presence;
  readonly tokens: Tokens;
  readonly clock: Clock;
  readonly settings: Pick<ControllerSettings, "outdatedSpreadMs">;
  readonly log: Logger;
  /** Told when the server has another certificate, or believes in other CAs. */
  readonly changed: () => void;
}

/** How many hosts a refusal names. */
const maxNamed = 5;

/** The version of the protocol that brought renewal. */
const renewalVersion = 2;

export class Rotation {
  readonly #options: RotationOptions;
  #isBusy = false;

  constructor(options: RotationOptions) {
    this.#options = options;
  }

  show(): AuthorityShowResult {
    const { current, incoming, abandoned, operators } = this.#options.authorities;
    return {
      authorities: [
        authorityInfo(current, "current"),
        ...(incoming === undefined ? [] : [authorityInfo(incoming, "incoming")]),
        ...(abandoned === undefined ? [] : [authorityInfo(abandoned, "abandoned")]),
      ],
      operators: operators.id,
      waiting: this.#waiting().map(({ name }) => name),
    };
  }

  /** @throws OutpostError `conflict` when the step does not fit, or hosts wait (`data.hosts`); `busy` */
  async rotate({ step, force }: AuthorityRotateParams): Promise<AuthorityShowResult> {
    if (this.#isBusy) throw new OutpostError(ErrorCode.busy, "somebody else is changing the CA right now");
    this.#isBusy = true;
    try {
      await this.#steps[step](force);
      this.#options.changed();
      return this.show();
    } finally {
      this.#isBusy = false;
    }
  }

  /** A host has come: it is told when its certificate should be another one. */
  arrived(host: Host): void {
    if (this.#isOutdated(host)) this.#tell(host);
  }

  /** Ends the trust in an abandoned CA when no host has a certificate of it any more. */
  async tidy(): Promise<void> {
    const { authorities, changed, log } = this.#options;
    if (authorities.abandoned === undefined || this.#isBusy || this.#waiting().length > 0) return;
    this.#isBusy = true;
    try {
      await authorities.forgetAbandoned();
    } finally {
      this.#isBusy = false;
    }
    changed();
    log.info("no host has a certificate of the abandoned CA any more; it is trusted no longer");
  }

  readonly #steps: Record<AuthorityRotateParams["step"], (force: boolean) => Promise<void>> = {
    begin: async (force) => {
      const { authorities, log } = this.#options;
      const left = authorities.abandoned === undefined ? [] : this.#waiting();
      if (!force) refuseWhile(left, "have certificates of the CA that was abandoned before");
      await authorities.begin();
      this.#cutOff(left);
      log.info({ incoming: authorities.incoming?.id }, "the CA is being changed");
      this.#announce(this.#waiting());
    },
    finish: async (force) => {
      const { authorities, certificate, tokens, presence, log } = this.#options;
      const left = authorities.incoming === undefined ? [] : this.#waiting();
      if (!force) refuseWhile(left, "have no certificate of the incoming CA yet");
      await authorities.finish();
      await certificate.renew(authorities.current);
      const revoked = tokens.revokeAll("the change of the CA");
      this.#cutOff(left);
      log.info({ current: authorities.current.id, revokedTokens: revoked }, "the CA was changed");
      // With their next certificate they cease to believe in the former one.
      this.#announce([...presence.hosts()]);
    },
    abandon: async (force) => {
      const { authorities, log } = this.#options;
      await authorities.abandon();
      const left = this.#waiting();
      log.info({ current: authorities.current.id }, "the change of the CA was abandoned");
      if (!force) return this.#announce(left);
      await authorities.forgetAbandoned();
      this.#cutOff(left);
    },
  };

  /** The hosts whose certificate should be another one, by name. */
  #waiting(): Host[] {
    return sorted([...this.#options.presence.hosts()].filter((host) => this.#isOutdated(host)));
  }

  #isOutdated({ certificate }: Host): boolean {
    const { incoming, abandoned } = this.#options.authorities;
    if (incoming !== undefined) return certificate?.authority !== incoming.id;
    return abandoned !== undefined && certificate?.authority === abandoned.id;
  }

  /** Tells hosts to fetch another certificate, spread over time. */
  #announce(hosts: readonly Host[]): void {
    const { clock, settings } = this.#options;
    for (const host of hosts) {
      clock.after(Math.random() * settings.outdatedSpreadMs, () => this.#tell(host));
    }
  }

  /** One that is away, or too old to know how, is not told. */
  #tell({ id }: Host): void {
    const { presence } = this.#options;
    if ((presence.version(id) ?? 0) < renewalVersion) return;
    presence.link(id)?.notify("certificate.outdated", {});
  }

  /** Their certificates are worth nothing from now on. */
  #cutOff(hosts: readonly Host[]): void {
    for (const { id, name } of hosts) {
      const reason = `the certificate of ${name} is of a CA that is trusted no more; join again`;
      this.#options.presence.cut(id, new OutpostError(ErrorCode.denied, reason));
    }
  }
}

function authorityInfo(
  { id, expiresAt }: AuthorityCertificate,
  state: AuthorityInfo["state"],
): AuthorityInfo {
  return { fingerprint: id, state, expiresAt };
}

/** @throws OutpostError `conflict` when there are any */
function refuseWhile(hosts: readonly { readonly name: HostName }[], what: string): void {
  if (hosts.length === 0) return;
  const names = hosts.map(({ name }) => name);
  const more = names.length > maxNamed ? ` and ${String(names.length - maxNamed)} more` : "";
  throw new OutpostError(
    ErrorCode.conflict,
    `${names.slice(0, maxNamed).join(", ")}${more} ${what}; wait for them, or use force: then they have to join again`,
    { data: { hosts: names } },
  );
}
