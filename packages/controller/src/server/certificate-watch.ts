/** Looks at certificates now and then: connections do not outlive theirs, and the server's own is issued anew in time. */
import type { Clock } from "@outpost/protocol";
import type { Logger } from "pino";
import type { Authorities } from "./authorities.ts";
import type { Connections } from "./connections.ts";
import type { Presence } from "./presence.ts";
import type { Rotation } from "./rotation.ts";
import type { ServerCertificate } from "./server-certificate.ts";
import type { ControllerSettings } from "./settings.ts";

export interface CertificateWatchOptions {
  readonly authorities: Authorities;
  readonly certificate: ServerCertificate;
  readonly connections: Connections;
  readonly presence: Presence;
  readonly rotation: Rotation;
  readonly clock: Clock;
  readonly settings: Pick<ControllerSettings, "certificateCheckMs">;
  readonly log: Logger;
  /** Told when the server has another certificate. */
  readonly changed: () => void;
}

export class CertificateWatch implements Disposable {
  readonly #options: CertificateWatchOptions;
  #cancel = (): void => {};
  #isDisposed = false;

  /** Begins at once. */
  constructor(options: CertificateWatchOptions) {
    this.#options = options;
    this.#schedule();
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#cancel();
  }

  #schedule(): void {
    const { clock, settings, log } = this.#options;
    if (this.#isDisposed) return;
    this.#cancel = clock.after(settings.certificateCheckMs, () => {
      this.#look()
        .catch((error: unknown) =>
          log.error({ err: error }, "certificates could not be looked after; trying again"),
        )
        .finally(() => this.#schedule());
    });
  }

  async #look(): Promise<void> {
    const { authorities, certificate, connections, presence, rotation, clock, changed } = this.#options;
    const now = clock.now();
    presence.endExpired(now);
    connections.endExpired(now);
    await rotation.tidy();
    if (await certificate.renewIfDue(authorities.current, now)) changed();
  }
}
