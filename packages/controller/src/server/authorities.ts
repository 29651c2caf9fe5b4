/**
 * Whom the controller believes: its CA, beside it another one while the CA is changed, and the operators' authority. Owns
 * their files, and the order in which these are written: whenever we are killed, the directory holds a controller that
 * starts.
 *
 *     current ──begin──▶ current + incoming ──finish──▶ current (the incoming one), former
 *        ▲                       │
 *        │                       └─abandon──▶ current + abandoned
 *        └────────────forget─────────────────────────┘
 *
 * While there is an incoming CA, hosts get their certificates from it, and the server's is still the current one's: every
 * host knows that one, and learns of the incoming with its next certificate. An abandoned one has no key any more, and is
 * trusted as long as hosts have certificates of it.
 */
import type { X509Certificate } from "node:crypto";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { Authority, AuthorityCertificate } from "./authority.ts";
import type { ControllerPaths } from "./directory.ts";
import { readIfThere, removeFile, writeWhole } from "./whole-file.ts";

export class Authorities {
  readonly #paths: ControllerPaths;
  /** It makes operators; whoever has its key. */
  readonly operators: AuthorityCertificate;
  #current: Authority;
  #incoming: Authority | undefined;
  #abandoned: AuthorityCertificate | undefined;
  #former: AuthorityCertificate | undefined;

  private constructor(paths: ControllerPaths, current: Authority, operators: AuthorityCertificate) {
    this.#paths = paths;
    this.#current = current;
    this.operators = operators;
  }

  /** Reads a controller's directory, and completes what an earlier process was killed in.
   * @throws OutpostError `version_mismatch` for a directory of version 0.1 */
  static async open(paths: ControllerPaths): Promise<Authorities> {
    const operators = await readIfThere(paths.operatorsCertificate);
    if (operators === undefined) throw withoutOperators(paths.root);
    await completeChange(paths);
    const current = await readAuthority(paths.authorityCertificate, paths.authorityKey);
    if (current === undefined) {
      throw new OutpostError(
        ErrorCode.notFound,
        `${paths.root} lacks the key of its CA (ca.key); restore it from your backup`,
      );
    }
    const authorities = new Authorities(paths, current, new AuthorityCertificate(operators));
    authorities.#incoming = await readAuthority(paths.incomingCertificate, paths.incomingKey);
    authorities.#abandoned = await readCertificate(paths.abandonedCertificate);
    authorities.#former = await readCertificate(paths.formerCertificate);
    return authorities;
  }

  /** For controllers that have no directory: tests. Changing the CA needs one. */
  static inMemory(current: Authority, operators: string, paths: ControllerPaths): Authorities {
    return new Authorities(paths, current, new AuthorityCertificate(operators));
  }

  /** It signs the server's certificate, and tokens carry its fingerprint. */
  get current(): Authority {
    return this.#current;
  }

  get incoming(): Authority | undefined {
    return this.#incoming;
  }

  get abandoned(): AuthorityCertificate | undefined {
    return this.#abandoned;
  }

  /** It signs the certificates of hosts. */
  get signing(): Authority {
    return this.#incoming ?? this.#current;
  }

  /** From which the controller's own certificate may come, now and after the change: what hosts and operators believe. PEM. */
  get bundle(): string {
    return this.#current.certificate + (this.#incoming?.certificate ?? "");
  }

  /** The CAs from which a host's certificate may come. */
  get ofHosts(): AuthorityCertificate[] {
    return [this.#current, this.#incoming, this.#abandoned].filter((each) => each !== undefined);
  }

  /** Which of our CAs has signed a host's certificate. `former`: one that is trusted no more. */
  signerOf(certificate: X509Certificate): AuthorityCertificate | "former" | undefined {
    const found = this.ofHosts.find((authority) => authority.hasSigned(certificate));
    if (found !== undefined) return found;
    return this.#former?.hasSigned(certificate) === true ? "former" : undefined;
  }

  /** A new CA signs the certificates of hosts from now on. @throws OutpostError `conflict` */
  async begin(): Promise<void> {
    if (this.#incoming !== undefined) {
      throw new OutpostError(
        ErrorCode.conflict,
        "the CA is being changed already; `outpost authority rotate finish` or `abandon` ends that",
      );
    }
    await this.forgetAbandoned();
    const { authority, credentials } = await Authority.create();
    // A certificate without its key would be one CA too few; a key without its certificate is nothing.
    await writeWhole(this.#paths.incomingKey, credentials.key, 0o600);
    await writeWhole(this.#paths.incomingCertificate, credentials.certificate, 0o644);
    this.#incoming = authority;
  }

  /** The incoming CA is the only one from now on. The key of the one before it is destroyed. @throws OutpostError `conflict` */
  async finish(): Promise<void> {
    const incoming = this.#changing();
    await writeWhole(this.#paths.formerCertificate, this.#current.certificate, 0o644);
    await finishFiles(this.#paths);
    this.#former = new AuthorityCertificate(this.#current.certificate);
    this.#current = incoming;
    this.#incoming = undefined;
  }

  /** The current CA stays. The key of the incoming one is destroyed; certificates that it has signed are good until they
   * are replaced. @throws OutpostError `conflict` */
  async abandon(): Promise<void> {
    const { certificate } = this.#changing();
    await writeWhole(this.#paths.abandonedCertificate, certificate, 0o644);
    await removeIncoming(this.#paths);
    this.#abandoned = new AuthorityCertificate(certificate);
    this.#incoming = undefined;
  }

  /** Nothing that the abandoned CA has signed is good any more. */
  async forgetAbandoned(): Promise<void> {
    await removeFile(this.#paths.abandonedCertificate);
    this.#abandoned = undefined;
  }

  #changing(): Authority {
    if (this.#incoming !== undefined) return this.#incoming;
    throw new OutpostError(
      ErrorCode.conflict,
      "the CA is not being changed; begin with `outpost authority rotate begin`",
    );
  }
}

/**
 * What tells, of a directory in which both CAs are there, that the change was being finished: the current one's key is the
 * incoming one's already. That it was being abandoned: the incoming one's certificate is in both files.
 */
async function completeChange(paths: ControllerPaths): Promise<void> {
  const incoming = await readIfThere(paths.incomingCertificate);
  const key = await readIfThere(paths.incomingKey);
  if (incoming === undefined || key === undefined) {
    await removeIncoming(paths);
    return;
  }
  if (key === (await readIfThere(paths.authorityKey))) await finishFiles(paths);
  else if (incoming === (await readIfThere(paths.abandonedCertificate))) await removeIncoming(paths);
}

/** The key first: that it is the incoming one's is how an interrupted finish is recognised. */
async function finishFiles(paths: ControllerPaths): Promise<void> {
  const incoming = await readAuthorityText(paths.incomingCertificate, paths.incomingKey);
  if (incoming === undefined) return;
  await writeWhole(paths.authorityKey, incoming.key, 0o600);
  await writeWhole(paths.authorityCertificate, incoming.certificate, 0o644);
  await removeIncoming(paths);
}

/** The certificate first: a key that is alone is a leftover, and is removed at the next start. */
async function removeIncoming(paths: ControllerPaths): Promise<void> {
  await removeFile(paths.incomingCertificate);
  await removeFile(paths.incomingKey);
}

async function readAuthorityText(
  certificateFile: string,
  keyFile: string,
): Promise<{ certificate: string; key: string } | undefined> {
  const [certificate, key] = await Promise.all([readIfThere(certificateFile), readIfThere(keyFile)]);
  return certificate === undefined || key === undefined ? undefined : { certificate, key };
}

async function readAuthority(certificateFile: string, keyFile: string): Promise<Authority | undefined> {
  const text = await readAuthorityText(certificateFile, keyFile);
  return text === undefined ? undefined : Authority.load(text);
}

async function readCertificate(file: string): Promise<AuthorityCertificate | undefined> {
  const text = await readIfThere(file);
  return text === undefined ? undefined : new AuthorityCertificate(text);
}

function withoutOperators(directory: string): OutpostError {
  return new OutpostError(
    ErrorCode.versionMismatch,
    `the controller in ${directory} was set up by version 0.1, in which operators had no authority of their own. ` +
      "Run `outpost controller init` for this directory once more: it keeps the CA, hosts, jobs and sessions, and makes " +
      "the operators' authority and you an operator; other operators are added with `outpost operator add`",
    { data: { directory } },
  );
}
