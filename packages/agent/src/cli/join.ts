/** `outpost-agent join`. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { hostname } from "node:os";
import { ErrorCode, HostName, Labels, OutpostError } from "@outpost/protocol";
import * as v from "valibot";
import { parseMetricsTextfile, readConfig, writeConfig, type WrittenConfig } from "../config.ts";
import { parseControllerUrl } from "../controller-url.ts";
import { writeCredentials } from "../credentials.ts";
import { agentPaths, type AgentPaths, defaultAgentDirectory } from "../directory.ts";
import { enrol } from "../enrolment.ts";
import { gatherOwnFacts } from "../facts/index.ts";
import { DirectoryLock } from "../lock.ts";
import { hostPlatform } from "../platform/index.ts";
import { parseToken } from "../token.ts";
import { fingerprintText } from "../trust.ts";

export interface JoinOptions {
  readonly url: string;
  readonly token?: string | undefined;
  readonly name?: string | undefined;
  readonly label: readonly string[];
  readonly dir: string;
  readonly force: boolean;
  /** Where the agent writes its metrics. Default: as before, else nowhere. */
  readonly metricsTextfile?: string | undefined;
}

/** @throws OutpostError as `enrolHost` */
export async function join(options: JoinOptions): Promise<void> {
  const { name, controller, identity, pinned, quarantined } = await enrolHost(options);
  const dir = options.dir === defaultAgentDirectory() ? "" : ` --dir ${options.dir}`;
  console.log(
    [
      `${name} is now a host of ${controller}. Its identity is in ${identity}.`,
      ...pinnedLines(pinned),
      ...(quarantined ? [quarantineNote(name)] : []),
      `Next: outpost-agent start${dir}`,
    ].join("\n"),
  );
}

/** What the token said, to be compared with `outpost authority show`. */
export function pinnedLines({ authority, operators }: Joined["pinned"]): string[] {
  return [
    "It believes, and nobody else (compare with `outpost authority show`):",
    `  the controller's CA       ${authority}`,
    `  the operators' authority  ${operators}`,
  ];
}

export function quarantineNote(name: string): string {
  return `It is in quarantine: nothing runs here until an operator says \`outpost host approve ${name}\`.`;
}

/** What has become of a directory. */
export interface Joined {
  readonly name: HostName;
  readonly controller: string;
  /** Where its key and certificate are. */
  readonly identity: string;
  /** Whom it believes from now on: fingerprints as people compare them. */
  readonly pinned: { readonly authority: string; readonly operators: string };
  /** Nothing runs there until an operator has approved the host. */
  readonly quarantined: boolean;
}

/** @throws OutpostError as `enrol`; `conflict` when the directory has an identity already; `busy` when its agent runs */
export async function enrolHost(options: JoinOptions): Promise<Joined> {
  const url = parseControllerUrl(options.url);
  if (options.token === undefined) {
    throw new OutpostError(
      ErrorCode.invalidArgument,
      "--token is missing: make one at the controller with `outpost token create`",
    );
  }
  const token = parseToken(options.token);
  const isDefaultName = options.name === undefined;
  const name = options.name === undefined ? defaultHostName() : parseHostName(options.name);
  const labels = parseLabels(options.label);
  const metricsTextfile =
    options.metricsTextfile === undefined ? undefined : parseMetricsTextfile(options.metricsTextfile);
  const paths = agentPaths(options.dir);
  await makeDirectory(paths.directory);
  // An agent that runs would go on under the old identity, and its jobs would be reported by two hosts.
  const platform = hostPlatform();
  using _lock = DirectoryLock.acquire(paths.lock, platform);
  const previous = await previousConfig(paths, options.force);
  const facts = await gatherOwnFacts(platform.bootId);
  const enrolment = await enrol({ url, token, name, isDefaultName, labels, facts });
  await writeCredentials(paths, enrolment.credentials);
  await writeConfig(paths, {
    ...(previous?.settings === undefined ? {} : { settings: previous.settings }),
    ...(previous?.sessions === undefined ? {} : { sessions: previous.sessions }),
    ...metricsTextfileOf(metricsTextfile ?? previous?.metricsTextfile),
    ...(previous?.factsIntervalMs === undefined ? {} : { factsIntervalMs: previous.factsIntervalMs }),
    controller: url,
    host: enrolment.host,
    name: enrolment.name,
    labels: enrolment.labels,
  });
  const { name: enrolled, quarantined } = enrolment;
  const pinned = {
    authority: fingerprintText(token.fingerprint),
    operators: fingerprintText(token.operators),
  };
  return { name: enrolled, controller: url, identity: paths.identity, pinned, quarantined };
}

function metricsTextfileOf(file: string | undefined): Pick<WrittenConfig, "metricsTextfile"> {
  return file === undefined ? {} : { metricsTextfile: file };
}

/** The first part of the host's name, with what host names may not hold replaced by `-`. */
export function defaultHostName(system: string = hostname()): HostName {
  const label = system
    .toLowerCase()
    .split(".")[0]!
    .replace(/[^a-z0-9_-]/g, "-")
    .replace(/^[-_]+/, "")
    .slice(0, 63);
  return v.parse(HostName, label === "" ? "host" : label);
}

function parseHostName(text: string): HostName {
  const parsed = v.safeParse(HostName, text);
  if (parsed.success) return parsed.output;
  throw new OutpostError(
    ErrorCode.invalidArgument,
    `--name: ${JSON.stringify(text)} ${parsed.issues[0].message}`,
  );
}

/** `KEY=VALUE`, where the value may hold `=` and may be empty. */
export function parseLabels(texts: readonly string[]): Labels {
  const labels: Record<string, string> = {};
  for (const text of texts) {
    const at = text.indexOf("=");
    const bad = (what: string): OutpostError =>
      new OutpostError(ErrorCode.invalidArgument, `--label: ${JSON.stringify(text)} ${what}`);
    if (at < 1) throw bad("is not KEY=VALUE, e.g. role=web");
    const key = text.slice(0, at);
    if (Object.hasOwn(labels, key)) throw bad("is given twice");
    const parsed = v.safeParse(Labels, { [key]: text.slice(at + 1) });
    if (!parsed.success) throw bad(parsed.issues[0].message);
    labels[key] = text.slice(at + 1);
  }
  return labels;
}

async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new OutpostError(
      ErrorCode.internal,
      `cannot make the directory ${directory}: ${String(code)}; name one that you may write to with --dir`,
      { cause: error },
    );
  }
}

/** What the directory was joined to before, whose settings stay. @throws OutpostError `conflict` unless forced */
async function previousConfig(
  paths: AgentPaths,
  force: boolean,
): Promise<Partial<WrittenConfig> | undefined> {
  if (!existsSync(paths.config) && !existsSync(paths.key)) return undefined;
  const previous = await readConfig(paths).catch((error: unknown) => OutpostError.from(error));
  const isConfig = !(previous instanceof OutpostError);
  if (force) return isConfig ? previous : undefined;
  const who = isConfig
    ? `is ${previous.name}, a host of ${previous.controller}, already`
    : "holds an identity already";
  throw new OutpostError(
    ErrorCode.conflict,
    `${paths.directory} ${who}. Replace that identity with --force, or join in another directory with --dir`,
  );
}
