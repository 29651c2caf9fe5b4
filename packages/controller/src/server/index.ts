/** The controller's server: setting one up, and starting it. */
import { access, chmod, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { X509Certificate } from "node:crypto";
import { ErrorCode, newOperatorId, type OperatorId, OutpostError } from "@outpost/protocol";
import type { Logger } from "pino";
import { Authority, type Credentials } from "./authority.ts";
import { Catalogue } from "./catalogue/catalogue.ts";
import { Controller } from "./controller.ts";
import { type ControllerPaths, controllerPaths } from "./directory.ts";
import { type ControllerSettings, defaultControllerSettings } from "./settings.ts";

export type { Controller } from "./controller.ts";
export { type ControllerSettings, defaultControllerSettings } from "./settings.ts";

/** The server's certificate is issued anew at a start when it has less than this left, in milliseconds. */
const renewServerBeforeMs = 30 * 24 * 60 * 60 * 1000;

export interface InitControllerOptions {
  /** The controller's directory; made (0700) when it is not there. */
  readonly directory: string;
  /** The DNS names and IP addresses under which agents and operators will reach the controller. */
  readonly names: readonly string[];
  readonly operatorName: string;
}

export interface InitControllerResult {
  /** The CA's certificate, PEM. */
  readonly authority: string;
  /** Its SHA-256 in hexadecimal, as `openssl x509 -fingerprint -sha256` shows it, without colons. */
  readonly fingerprint: string;
  /** The first operator. The key is not kept: it is the caller's to store. */
  readonly operator: {
    readonly id: OperatorId;
    readonly name: string;
    readonly certificate: string;
    readonly key: string;
  };
}

/**
 * Sets a new controller up: CA, server certificate, catalogue, first operator.
 * @throws OutpostError `conflict` when the directory holds a controller already; it is not touched then
 */
export async function initController(options: InitControllerOptions): Promise<InitControllerResult> {
  const { directory, names, operatorName } = options;
  if (names.length === 0)
    throw new OutpostError(ErrorCode.invalidArgument, "a controller needs a name or address");
  const paths = controllerPaths(directory);
  if (await exists(paths.authorityCertificate)) {
    throw new OutpostError(
      ErrorCode.conflict,
      `${directory} holds a controller already; start it, or remove the directory to begin anew (every host must join again then)`,
      { data: { directory } },
    );
  }
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  // What an earlier attempt left that did not come to its end.
  await Promise.all(["", "-wal", "-shm"].map((suffix) => rm(paths.catalogue + suffix, { force: true })));
  const { authority, credentials } = await Authority.create();
  const id = newOperatorId();
  const operator = await authority.issueOperator({ kind: "operator", id }, operatorName);
  {
    using catalogue = new Catalogue(paths.catalogue);
    catalogue.transaction("synced", () => catalogue.operators.insert({ id, name: operatorName }, Date.now()));
  }
  await writeServer(paths, await authority.issueServer(names));
  await writeWhole(paths.authorityKey, credentials.key, 0o600);
  // Last: its presence says that everything is there.
  await writeWhole(paths.authorityCertificate, credentials.certificate, 0o644);
  return {
    authority: credentials.certificate,
    fingerprint: Buffer.from(authority.fingerprint).toString("hex"),
    operator: { id, name: operatorName, ...operator },
  };
}

export interface StartControllerOptions {
  readonly directory: string;
  /** The address to listen at, e.g. `0.0.0.0` or `::`. */
  readonly host: string;
  /** 0: any free one; `Controller.port` says which. */
  readonly port: number;
  readonly log: Logger;
  /** What differs from `defaultControllerSettings`. */
  readonly settings?: Partial<ControllerSettings>;
}

/**
 * Starts the controller of a directory: takes up what is unfinished, and serves.
 * @throws OutpostError `not_found` when there is no controller in the directory; `conflict` when the port is in use;
 * `version_mismatch` when a newer controller has written the catalogue
 */
export async function startController(options: StartControllerOptions): Promise<Controller> {
  const { directory, host, port, log } = options;
  const paths = controllerPaths(directory);
  if (!(await exists(paths.authorityCertificate))) {
    throw new OutpostError(
      ErrorCode.notFound,
      `there is no controller in ${directory}; set one up with \`outpost controller init\``,
      { data: { directory } },
    );
  }
  const authority = Authority.load(await readCredentials(paths.authorityCertificate, paths.authorityKey));
  const credentials = await serverCredentials(paths, authority, log);
  const settings = { ...defaultControllerSettings, ...options.settings };
  return Controller.start({ paths, authority, credentials, settings, log }, host, port);
}

async function serverCredentials(
  paths: ControllerPaths,
  authority: Authority,
  log: Logger,
): Promise<Credentials> {
  const present = await readCredentials(paths.serverCertificate, paths.serverKey);
  const certificate = new X509Certificate(present.certificate);
  if (Date.parse(certificate.validTo) - Date.now() > renewServerBeforeMs) return present;
  const fresh = await authority.issueServer(alternativeNames(certificate));
  await writeServer(paths, fresh);
  log.info({ expired: certificate.validTo }, "the server's certificate was issued anew");
  return fresh;
}

function alternativeNames({ subjectAltName = "" }: X509Certificate): string[] {
  return subjectAltName.split(", ").map((name) => name.replace(/^(DNS|IP Address):/, ""));
}

async function writeServer(paths: ControllerPaths, { certificate, key }: Credentials): Promise<void> {
  await writeWhole(paths.serverKey, key, 0o600);
  await writeWhole(paths.serverCertificate, certificate, 0o644);
}

async function readCredentials(certificateFile: string, keyFile: string): Promise<Credentials> {
  const [certificate, key] = await Promise.all([
    readFile(certificateFile, "utf8"),
    readFile(keyFile, "utf8"),
  ]);
  return { certificate, key };
}

/** Whole or not at all, and never readable by others in between. */
async function writeWhole(file: string, text: string, mode: number): Promise<void> {
  const partial = `${file}.new`;
  await writeFile(partial, text, { mode, flush: true });
  await chmod(partial, mode);
  await rename(partial, file);
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
