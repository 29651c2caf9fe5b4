/**
 * Who comes in by which of the server's paths. The certificate decides, and the kind is checked against its own root:
 *
 *     /enrol      no certificate; a token decides later
 *     /agent      a certificate of one of the controller's CAs, for a host that is in the catalogue
 *     /operator   a certificate of the operators' authority, for an operator who is in the catalogue, with their key
 *
 * So whoever has the key of the one root makes nothing of the other kind. Every refusal says why.
 */
import type { X509Certificate } from "node:crypto";
import {
  type Identity,
  identityOf,
  keyFingerprint,
  type OperatorIdentity,
  verifyOperatorChain,
} from "@outpost/access";
import { chainOfHeader, type Clock, ErrorCode, type HostId, OutpostError } from "@outpost/protocol";
import type { Authorities } from "./authorities.ts";
import type { Catalogue } from "./catalogue/catalogue.ts";
import type { CertificateRecord } from "./catalogue/hosts.ts";
import type { OperatorRecord } from "./catalogue/operators.ts";
import type { Operators } from "./operators.ts";
import type { Host } from "./presence.ts";
import type { Refusals } from "./refusals.ts";

/** What a connection shows of itself. The handshake has shown that it has the certificate's key, and nothing else. */
export interface Caller {
  /** Of the request, without its query. */
  readonly path: string;
  readonly certificate: X509Certificate | undefined;
  /** The header that tells who issued the certificate. */
  readonly chain: string | string[] | undefined;
  /** OpenSSL has led the certificate back to one of the authorities that we believe, by what was shown in the handshake. To which
   * of them, Node does not tell. Default false. */
  readonly isVerified?: boolean;
}

export type Visitor =
  | { readonly kind: "newcomer" }
  | { readonly kind: "host"; readonly host: Host; readonly certificate: CertificateRecord }
  | {
      readonly kind: "operator";
      readonly operator: OperatorRecord;
      /** When the first of the certificates ends. */
      readonly expiresAt: number;
    };

export interface DoorsOptions {
  readonly authorities: Authorities;
  readonly catalogue: Catalogue;
  readonly operators: Operators;
  readonly presence: { host(id: HostId): Host | undefined };
  readonly refusals: Refusals;
  readonly clock: Pick<Clock, "now">;
}

/** id-kp-clientAuth, RFC 5280, section 4.2.1.12. */
const clientAuth = "1.3.6.1.5.5.7.3.2";

export class Doors {
  readonly #options: DoorsOptions;

  constructor(options: DoorsOptions) {
    this.#options = options;
  }

  /** @throws OutpostError `denied`; `not_found` for a path that there is not; `disk_full` */
  admit({ path, certificate, chain }: Caller): Visitor {
    switch (path) {
      case "/enrol":
        return { kind: "newcomer" };
      case "/agent":
        return this.#host(shown(certificate));
      case "/operator":
        return this.#operator(shown(certificate), chain);
      default:
        throw new OutpostError(
          ErrorCode.notFound,
          "there is nothing at this path; the controller has /agent, /operator and /enrol",
        );
    }
  }

  /**
   * The operator who asks for a page. A program that is not ours shows who issued its certificate in the handshake only, where Node
   * keeps it to itself; so an operator who has signed in before is known by their key, of which the handshake has shown that
   * they have it. Whoever has the key of another of our authorities has not.
   * @throws OutpostError as `admit`
   */
  operator(caller: Caller): Pick<OperatorRecord, "id" | "name"> {
    const certificate = shown(caller.certificate);
    const identity = identityOf(certificate);
    if (caller.chain === undefined && caller.isVerified === true && identity?.kind === "operator") {
      const known = this.#options.catalogue.operators.byId(identity.id);
      if (known?.key !== undefined && known.key === keyFingerprint(certificate)) return known;
    }
    const visitor = this.admit({ ...caller, path: "/operator" });
    if (visitor.kind === "operator") return visitor.operator;
    throw refused("operators only");
  }

  #host(certificate: X509Certificate): Visitor {
    const { authorities, catalogue, presence, clock } = this.#options;
    const authority = authorities.signerOf(certificate);
    if (authority === undefined) throw refused(strangerReason(certificate));
    const identity = identityOf(certificate);
    if (identity === undefined) throw refused(namelessReason(certificate));
    return this.#orRefuse(identity, () => {
      if (authority === "former") {
        throw refused("the certificate comes from this controller's former CA; join again with a new token");
      }
      if (identity.kind !== "host") {
        throw refused("the certificate names an operator, and comes from the CA of hosts");
      }
      checkValidity(certificate, clock.now());
      const host = presence.host(identity.id);
      if (host !== undefined) {
        const expiresAt = Date.parse(certificate.validTo);
        return { kind: "host", host, certificate: { authority: authority.id, expiresAt } };
      }
      const removal = catalogue.removals.byId(identity.id);
      if (removal === undefined) {
        throw refused(
          `the host ${identity.id} is not in this controller's catalogue; was it restored from a backup? Join again with a new token`,
        );
      }
      const when = new Date(removal.removedAt).toISOString();
      throw refused(
        `the host ${removal.name} was removed by ${removal.removedBy} on ${when}; join again with a new token`,
      );
    });
  }

  #operator(certificate: X509Certificate, header: Caller["chain"]): Visitor {
    const { authorities, operators, clock } = this.#options;
    const identity = identityOf(certificate);
    if (authorities.signerOf(certificate) !== undefined) {
      return this.#orRefuse(identity, () => {
        throw refused(
          identity?.kind === "host"
            ? "the certificate is a host's; an operator's is needed here"
            : "the certificate does not come from the operators' authority; is it of version 0.1? Then sign in anew",
        );
      });
    }
    const certificates = [certificate.raw, ...chainOfHeader(header)];
    const chain: OperatorIdentity = verifyOperatorChain(
      certificates,
      [authorities.operators.x509],
      clock.now(),
    );
    return this.#orRefuse({ kind: "operator", id: chain.id }, () => ({
      kind: "operator",
      operator: operators.admit(chain),
      expiresAt: chain.expiresAt,
    }));
  }

  /** Who was let in before, or was meant to be: that they are refused is of interest. */
  #orRefuse(identity: Identity | undefined, admit: () => Visitor): Visitor {
    try {
      return admit();
    } catch (error) {
      if (identity !== undefined && error instanceof OutpostError) {
        this.#options.refusals.note(identity, error.message);
      }
      throw error;
    }
  }
}

function shown(certificate: X509Certificate | undefined): X509Certificate {
  if (certificate !== undefined) return certificate;
  throw refused("a client certificate is needed here, and none was shown");
}

function strangerReason(certificate: X509Certificate): string {
  return identityOf(certificate)?.kind === "operator"
    ? "the certificate is an operator's; a host's is needed here"
    : "the certificate was not signed by this controller's CA; was it made for another controller, or this one set up anew?";
}

function namelessReason({ keyUsage }: X509Certificate): string {
  return keyUsage?.includes(clientAuth) === true
    ? "the certificate names no host and no operator"
    : "the certificate is not one for clients";
}

function checkValidity({ validFrom, validTo }: X509Certificate, now: number): void {
  if (now > Date.parse(validTo)) {
    throw refused(
      `the certificate has expired on ${new Date(validTo).toISOString()}; the agent did not renew it in time, join again with a new token`,
    );
  }
  if (now < Date.parse(validFrom)) {
    throw refused(`the certificate is valid from ${validFrom} on; is a clock wrong?`);
  }
}

function refused(message: string): OutpostError {
  return new OutpostError(ErrorCode.denied, message);
}
