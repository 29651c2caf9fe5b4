/** The server's own certificate: read, issued anew before it ends or when the CA has changed, written. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Credentials } from "@outpost/access";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import type { Logger } from "pino";
import { type Authority, serverCertificateDays } from "./authority.ts";
import type { ControllerPaths } from "./directory.ts";
import { readIfThere, writeWhole } from "./whole-file.ts";

/** How much of its life is left when it is issued anew, in milliseconds: a third. */
const renewBeforeMs = (serverCertificateDays / 3) * 24 * 60 * 60 * 1000;

type ServerPaths = Pick<ControllerPaths, "serverCertificate" | "serverKey">;

export class ServerCertificate {
  readonly #paths: ServerPaths;
  readonly #log: Logger;
  #credentials: Credentials;
  /** The last issue that was begun: they go one after another, because they write the same files. */
  #issuing: Promise<void> = Promise.resolve();

  private constructor(paths: ServerPaths, log: Logger, credentials: Credentials) {
    this.#paths = paths;
    this.#log = log;
    this.#credentials = credentials;
  }

  /** Takes it up from its files. Issues it anew when it is due, not this CA's, or does not fit its key (we were killed
   * between the two files). @throws OutpostError `not_found` */
  static async open(paths: ServerPaths, authority: Authority, log: Logger): Promise<ServerCertificate> {
    const certificate = await readIfThere(paths.serverCertificate);
    if (certificate === undefined) {
      throw new OutpostError(
        ErrorCode.notFound,
        `${paths.serverCertificate} is missing; it says under which names the controller is reached. Restore it from your backup`,
      );
    }
    const key = (await readIfThere(paths.serverKey)) ?? "";
    const server = new ServerCertificate(paths, log, { certificate, key });
    if (!isPair(certificate, key)) await server.renew(authority);
    else await server.renewIfDue(authority, Date.now());
    return server;
  }

  get credentials(): Credentials {
    return this.#credentials;
  }

  /** Issues it anew, with another key and for the same names, and writes it. */
  renew(authority: Authority): Promise<void> {
    return this.#inTurn(() => this.#issue(authority));
  }

  /** The same when a third of its life is left, or it is not of this CA. Resolves with whether it was done. */
  async renewIfDue(authority: Authority, now: number): Promise<boolean> {
    let isDue = false;
    await this.#inTurn(async () => {
      const certificate = new X509Certificate(this.#credentials.certificate);
      isDue = Date.parse(certificate.validTo) - now < renewBeforeMs || !authority.hasSigned(certificate);
      if (isDue) await this.#issue(authority);
    });
    return isDue;
  }

  #inTurn(issue: () => Promise<void>): Promise<void> {
    const turn = this.#issuing.then(issue);
    this.#issuing = turn.catch(() => {});
    return turn;
  }

  async #issue(authority: Authority): Promise<void> {
    const before = new X509Certificate(this.#credentials.certificate);
    const fresh = await authority.issueServer(alternativeNames(before));
    await writeServer(this.#paths, fresh);
    this.#credentials = fresh;
    this.#log.info({ before: before.validTo }, "the server's certificate was issued anew");
  }
}

/** The certificate last: one without its key has the names, which is all that is needed to make both anew. */
export async function writeServer(paths: ServerPaths, { certificate, key }: Credentials): Promise<void> {
  await writeWhole(paths.serverKey, key, 0o600);
  await writeWhole(paths.serverCertificate, certificate, 0o644);
}

function isPair(certificate: string, key: string): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

function alternativeNames({ subjectAltName = "" }: X509Certificate): string[] {
  return subjectAltName.split(", ").map((name) => name.replace(/^(DNS|IP Address):/, ""));
}
