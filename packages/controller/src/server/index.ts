/** The controller's server: setting one up, and starting it. */
import { chmod, mkdir } from "node:fs/promises";
import { X509Certificate } from "node:crypto";
import { type Credentials, initialPolicy, keyFingerprint, OperatorsAuthority } from "@outpost/access";
import { ErrorCode, newOperatorId, type OperatorId, OperatorName, OutpostError } from "@outpost/protocol";
import type { Logger } from "pino";
import * as v from "valibot";
import { Authorities } from "./authorities.ts";
import { Authority, AuthorityCertificate } from "./authority.ts";
import { Catalogue } from "./catalogue/catalogue.ts";
import { Controller } from "./controller.ts";
import { type ControllerPaths, controllerPaths } from "./directory.ts";
import type { MetricsAddress } from "./metrics/listener.ts";
import { ServerCertificate, writeServer } from "./server-certificate.ts";
import { type ControllerSettings, defaultControllerSettings } from "./settings.ts";
import { isTracingAsked } from "./tracing/environment.ts";
import type { Tracing } from "./tracing/tracing.ts";
import { readIfThere, removeFile, writeWhole } from "./whole-file.ts";

export type { Controller } from "./controller.ts";
export { type ControllerSettings, defaultControllerSettings } from "./settings.ts";

export interface InitControllerOptions {
  /** The controller's directory; made (0700) when it is not there. */
  readonly directory: string;
  /** The DNS names and IP addresses under which agents and operators will reach the controller. */
  readonly names: readonly string[];
  /** The first operator's, an `OperatorName`. */
  readonly operatorName: string;
  /** Stores the keys that exist nowhere else. Called before the controller counts as set up: when it fails, or we die
   * before it is done, setting up begins anew. */
  readonly keep?: (made: InitControllerResult) => Promise<void>;
}

export interface InitControllerResult {
  /** The CA's certificate, PEM. */
  readonly authority: string;
  /** Its SHA-256 in hexadecimal, as `openssl x509 -fingerprint -sha256` shows it, without colons. */
  readonly fingerprint: string;
  /** The operators' authority. Its key is kept nowhere else: it is the caller's to store, and whoever has it makes operators. */
  readonly operators: Credentials;
  /** The first operator. The key is not kept: it is the caller's to store. */
  readonly operator: {
    readonly id: OperatorId;
    readonly name: OperatorName;
    readonly certificate: string;
    readonly key: string;
  };
  /** True: there was a controller of version 0.1, and its CA, hosts, jobs and sessions are still there. */
  readonly isUpgrade: boolean;
}

/**
 * Sets a new controller up: CA, server certificate, operators' authority, first operator, policy, catalogue. In a directory
 * of version 0.1 it adds what is missing there.
 * @throws OutpostError `conflict` when the directory holds a controller already, which is not touched then;
 * `invalid_argument` for a name that no operator can have
 */
export async function initController(options: InitControllerOptions): Promise<InitControllerResult> {
  const { directory, names } = options;
  const operatorName = firstOperator(options.operatorName);
  if (names.length === 0)
    throw new OutpostError(ErrorCode.invalidArgument, "a controller needs a name or address");
  const paths = controllerPaths(directory);
  const present = await readIfThere(paths.authorityCertificate);
  if (present !== undefined && (await readIfThere(paths.operatorsCertificate)) !== undefined) {
    throw new OutpostError(
      ErrorCode.conflict,
      `${directory} holds a controller already; start it, or remove the directory to begin anew (every host must join again then)`,
      { data: { directory } },
    );
  }
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  // What an earlier attempt left that did not come to its end.
  if (present === undefined) await removeCatalogue(paths);
  const authority = present ?? (await createAuthority(paths, names));
  const operators = await OperatorsAuthority.create();
  const operator = await addFirstOperator(paths, operators, operatorName);
  await writeWhole(paths.policy, initialPolicy(operatorName), 0o644);
  const made = {
    authority,
    fingerprint: new AuthorityCertificate(authority).id,
    operators: operators.credentials,
    operator,
    isUpgrade: present !== undefined,
  };
  await options.keep?.(made);
  // These two last, their presence says that everything is there.
  await writeWhole(paths.operatorsCertificate, operators.credentials.certificate, 0o644);
  if (present === undefined) await writeWhole(paths.authorityCertificate, authority, 0o644);
  return made;
}

function firstOperator(name: string): OperatorName {
  const parsed = v.safeParse(OperatorName, name);
  if (parsed.success) return parsed.output;
  throw new OutpostError(
    ErrorCode.invalidArgument,
    `${JSON.stringify(name)} ${parsed.issues[0].message}; say another one with --operator NAME`,
  );
}

/** Everything but the certificate, whose presence says that there is a controller. @returns it, PEM */
async function createAuthority(paths: ControllerPaths, names: readonly string[]): Promise<string> {
  const { authority, credentials } = await Authority.create();
  await writeServer(paths, await authority.issueServer(names));
  await writeWhole(paths.authorityKey, credentials.key, 0o600);
  return credentials.certificate;
}

async function addFirstOperator(
  paths: ControllerPaths,
  operators: OperatorsAuthority,
  name: OperatorName,
): Promise<InitControllerResult["operator"]> {
  const now = Date.now();
  using catalogue = new Catalogue(paths.catalogue);
  // Of version 0.1, or of an attempt that did not come to its end: their certificates are nothing any more.
  const before = catalogue.operators.all();
  const id = before.find((operator) => operator.name === name)?.id ?? newOperatorId();
  const credentials = await operators.issueOperator({ id, name });
  const key = keyFingerprint(new X509Certificate(credentials.certificate));
  catalogue.transaction("synced", () => {
    for (const operator of before) catalogue.operators.delete(operator.id);
    catalogue.operators.insert({ id, name, createdAt: now, invitedUntil: 0, key, signedInAt: now });
  });
  return { id, name, ...credentials };
}

async function removeCatalogue(paths: ControllerPaths): Promise<void> {
  await Promise.all(["", "-wal", "-shm"].map((suffix) => removeFile(paths.catalogue + suffix)));
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
  /** Metrics are offered: to operators alone at the controller's own port, or besides in the clear at this loopback address.
   * Default: nothing is measured. */
  readonly metrics?: "operators" | MetricsAddress | undefined;
  /** Where OpenTelemetry finds its settings (`OTEL_EXPORTER_OTLP_ENDPOINT`, …). Default: nothing is traced. */
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Starts the controller of a directory: takes up what is unfinished, and serves.
 * @throws OutpostError `not_found` when there is no controller in the directory, or no policy; `conflict` when the port is
 * in use; `version_mismatch` when a newer controller has written the catalogue, or version 0.1 the directory;
 * `invalid_argument` when the policy is wrong
 */
export async function startController(options: StartControllerOptions): Promise<Controller> {
  const { directory, host, port, log, metrics, env = {} } = options;
  const paths = controllerPaths(directory);
  if ((await readIfThere(paths.authorityCertificate)) === undefined) {
    throw new OutpostError(
      ErrorCode.notFound,
      `there is no controller in ${directory}; set one up with \`outpost controller init\``,
      { data: { directory } },
    );
  }
  const authorities = await Authorities.open(paths);
  const certificate = await ServerCertificate.open(paths, authorities.current, log);
  const settings = { ...defaultControllerSettings, ...options.settings };
  const tracing = await tracingOf(env, log);
  return Controller.start({ paths, authorities, certificate, settings, log, metrics, tracing }, host, port);
}

/** OpenTelemetry is loaded only where its settings ask for it. */
async function tracingOf(env: NodeJS.ProcessEnv, log: Logger): Promise<Tracing | undefined> {
  if (!isTracingAsked(env)) return undefined;
  const { startTracing } = await import("./tracing/tracing.ts");
  return startTracing(env, log);
}
