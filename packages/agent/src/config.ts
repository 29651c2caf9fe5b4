/** `agent.json`: what this host was joined to, and what it allows. Written by `join`, edited by people. */
import { readFile, rename, writeFile } from "node:fs/promises";
import { ErrorCode, HostId, HostName, Labels, OutpostError } from "@outpost/protocol";
import * as v from "valibot";
import { parseControllerUrl } from "./controller-url.ts";
import type { AgentPaths } from "./directory.ts";
import { defaultJobSettings, type JobSettings } from "./jobs/index.ts";
import { defaultSessionSettings, type SessionSettings } from "./session-host/settings.ts";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const atLeastOne = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

/** One entry per setting of `JobSettings`, where each is explained. A setting without an entry does not compile. */
const settingsEntries = {
  maxRunningJobs: v.optional(atLeastOne, defaultJobSettings.maxRunningJobs),
  maxOutputBytesPerJob: v.optional(count, defaultJobSettings.maxOutputBytesPerJob),
  maxTotalBytes: v.optional(count, defaultJobSettings.maxTotalBytes),
  minFreeBytes: v.optional(count, defaultJobSettings.minFreeBytes),
  maxEndedJobs: v.optional(count, defaultJobSettings.maxEndedJobs),
  maxJobAgeMs: v.optional(count, defaultJobSettings.maxJobAgeMs),
  tombstoneAgeMs: v.optional(count, defaultJobSettings.tombstoneAgeMs),
  maxTombstones: v.optional(count, defaultJobSettings.maxTombstones),
  defaultGraceMs: v.optional(count, defaultJobSettings.defaultGraceMs),
} satisfies Record<keyof JobSettings, v.GenericSchema<number | undefined, number>>;

const Settings = v.strictObject(settingsEntries);

/** The same for `SessionSettings`. The session host reads them when it starts: changes reach the sessions once all of
 * them have ended, or the host was restarted. */
const sessionSettingsEntries = {
  maxSessions: v.optional(atLeastOne, defaultSessionSettings.maxSessions),
  defaultIdleTimeoutMs: v.optional(atLeastOne, defaultSessionSettings.defaultIdleTimeoutMs),
  maxIdleTimeoutMs: v.optional(atLeastOne, defaultSessionSettings.maxIdleTimeoutMs),
  maxUnreadBytes: v.optional(atLeastOne, defaultSessionSettings.maxUnreadBytes),
  dropOldestBytes: v.optional(atLeastOne, defaultSessionSettings.dropOldestBytes),
  blockBytes: v.optional(atLeastOne, defaultSessionSettings.blockBytes),
  scrollbackLines: v.optional(count, defaultSessionSettings.scrollbackLines),
  maxRecordingBytes: v.optional(count, defaultSessionSettings.maxRecordingBytes),
  endedRetentionMs: v.optional(count, defaultSessionSettings.endedRetentionMs),
  maxEndedSessions: v.optional(count, defaultSessionSettings.maxEndedSessions),
  killGraceMs: v.optional(count, defaultSessionSettings.killGraceMs),
} satisfies Record<keyof SessionSettings, v.GenericSchema<number | undefined, number>>;

const Sessions = v.strictObject(sessionSettingsEntries);

/** The collector reads files of that name only. */
const MetricsTextfile = v.pipe(
  v.string(),
  v.regex(/^\/[^\0]*\.prom$/, "is not an absolute path that ends in .prom"),
);

const Config = v.strictObject({
  /** `wss://host:port`. */
  controller: v.pipe(
    v.string(),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      try {
        return parseControllerUrl(dataset.value);
      } catch (error) {
        addIssue({ message: OutpostError.from(error).message });
        return NEVER;
      }
    }),
  ),
  /** This host's id at the controller, as in its certificate. */
  host: HostId,
  name: HostName,
  /** As enrolled. The controller has its own copy; changing these changes nothing there. What an operator asks of hosts
   * by their labels is done here only if these fit, too. */
  labels: v.optional(Labels, {}),
  /** What it allows its jobs. */
  settings: v.optional(Settings, {}),
  /** What it allows its sessions. */
  sessions: v.optional(Sessions, {}),
  /** Where it writes its metrics, for node_exporter's textfile collector. Default: nowhere. */
  metricsTextfile: v.optional(MetricsTextfile),
  /** How often it looks what has become of its facts, in milliseconds; the programs of facts.d run each time. */
  factsIntervalMs: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1_000)), 600_000),
});

/** Settings that are left out have their defaults. */
export type AgentConfig = v.InferOutput<typeof Config>;

/** What `join` writes: settings only where they differ from the defaults. */
export type WrittenConfig = v.InferInput<typeof Config>;

/** @throws OutpostError `not_found` when the host has not joined; `invalid_argument` naming the file and the key */
export async function readConfig(paths: AgentPaths): Promise<AgentConfig> {
  const value = parseJson(paths.config, await readText(paths.config));
  const parsed = v.safeParse(Config, value);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const key = v.getDotPath(issue);
  throw new OutpostError(
    ErrorCode.invalidArgument,
    `${paths.config}: ${key === null ? "" : `${key}: `}${describe(issue)}`,
    { data: { file: paths.config, ...(key === null ? {} : { key }) } },
  );
}

/** Replaces the file as a whole. */
export async function writeConfig(paths: AgentPaths, config: WrittenConfig): Promise<void> {
  const fresh = `${paths.config}.new`;
  await writeFile(fresh, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o644, flush: true });
  await rename(fresh, paths.config);
}

/** Changes that one key of `agent.json`. @throws OutpostError as `readConfig`, `parseMetricsTextfile` */
export async function writeMetricsTextfile(paths: AgentPaths, text: string): Promise<void> {
  const metricsTextfile = parseMetricsTextfile(text);
  await readConfig(paths);
  // Not what `readConfig` has made of it: that has every default in it.
  const written = parseJson(paths.config, await readText(paths.config)) as WrittenConfig;
  await writeConfig(paths, { ...written, metricsTextfile });
}

/** @param text as it was given on the command line. @throws OutpostError `invalid_argument` */
export function parseMetricsTextfile(text: string): string {
  const parsed = v.safeParse(MetricsTextfile, text);
  if (parsed.success) return parsed.output;
  throw new OutpostError(
    ErrorCode.invalidArgument,
    `--metrics-textfile: ${JSON.stringify(text)} ${parsed.issues[0].message}`,
  );
}

/** valibot says "Expected never" of a key that does not belong. */
function describe(issue: v.BaseIssue<unknown>): string {
  if (issue.expected === "never") {
    const [top, nested] = issue.path!;
    const group = top.key === "sessions" ? Sessions.entries : Settings.entries;
    const entries = nested === undefined ? Config.entries : group;
    return `there is no such key; there are ${Object.keys(entries).join(", ")}`;
  }
  return issue.message;
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") {
      throw new OutpostError(
        ErrorCode.notFound,
        `${file} is not there: this host has not joined a controller; run \`outpost-agent join\` first, ` +
          `or name another directory with --dir`,
        { cause: error },
      );
    }
    throw new OutpostError(ErrorCode.internal, `cannot read ${file}: ${String(code)}`, { cause: error });
  }
}

function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new OutpostError(ErrorCode.invalidArgument, `${file} is not JSON: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
