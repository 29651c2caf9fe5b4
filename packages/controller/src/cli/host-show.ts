/** One host: everything that is known of it. */
import { ErrorCode, type Facts, type HostInfo, OutpostError, type SessionInfo } from "@outpost/protocol";
import type { Client } from "../client/index.ts";
import { ExitCode } from "../client/exit-code.ts";
import type { OutputFormat } from "./command.ts";
import { ageText, durationText } from "./duration.ts";
import { endingCertificateText } from "./render/certificate-text.ts";
import { clockText } from "./render/ending.ts";
import { sizeText } from "./render/fact-value.ts";
import { shownState } from "./render/host-state.ts";
import { labelsText } from "./render/labels-text.ts";
import { foldedNames } from "./render/names.ts";
import { printable } from "./render/printable.ts";
import { print } from "./render/records.ts";

/** @returns the exit code. @throws OutpostError `not_found`; `invalid_argument` when it means several hosts */
export async function showHost(client: Client, name: string, format: OutputFormat): Promise<number> {
  const hosts = await client.hosts(name);
  const [host, ...others] = hosts;
  if (host === undefined || others.length > 0) {
    const names = await foldedNames(hosts.map((each) => each.name));
    throw new OutpostError(
      ErrorCode.invalidArgument,
      `${name} means ${String(hosts.length)} hosts (${names}); say which, or list them: outpost host list`,
    );
  }
  const sessions = await openSessions(client, host);
  await print(format, {
    json: { host, ...(sessions === undefined ? {} : { sessions }) },
    records: [host],
    text: () => asText(host, sessions, Date.now()),
  });
  return ExitCode.succeeded;
}

const ended: ReadonlySet<string> = new Set(["closed", "broken"]);

/** `undefined`: nobody knows, or somebody may not see them. */
async function openSessions(
  client: Client,
  { name, quarantinedSince }: HostInfo,
): Promise<readonly SessionInfo[] | undefined> {
  if (quarantinedSince !== undefined) return undefined;
  try {
    const sessions = await client.sessions({ targets: name });
    return sessions.filter(({ status }) => !ended.has(status.state));
  } catch (error) {
    if (OutpostError.from(error).code === ErrorCode.denied) return undefined;
    throw error;
  }
}

type Row = readonly [key: string, text: string | undefined];

function asText(host: HostInfo, sessions: readonly SessionInfo[] | undefined, now: number): string {
  const { id, name, labels, facts, enrolledAt } = host;
  const rows: readonly Row[] = [
    ["host", `${name} (${id})`],
    ["state", stateText(host, now)],
    ["labels", labelsText(labels)],
    ["enrolled", `${clockText(enrolledAt, now)} (${ageText(enrolledAt, now)})`],
    ["certificate", certificateText(host, now)],
    ...(facts === undefined ? [] : factRows(facts)),
    ["sessions", sessions === undefined ? undefined : countText(sessions.length)],
  ];
  const all = rows.flatMap(([key, text]) => (text === undefined ? [] : [[key, text] as const]));
  const width = Math.max(...all.map(([key]) => key.length)) + 2;
  return [
    ...all.map(([key, text]) => `${key.padEnd(width)}${printable(text)}`),
    ...(sessions ?? []).map((info) => `  ${printable(sessionText(info, now))}`),
  ].join("\n");
}

function stateText(host: HostInfo, now: number): string {
  const { state, lastSeen, quarantinedSince } = host;
  if (quarantinedSince !== undefined) {
    const since = durationText(now - quarantinedSince);
    return `in quarantine, ${state}; waits since ${since} for: outpost host approve ${host.name}`;
  }
  if (state === "connected" || lastSeen === undefined) {
    return state === "never" ? "never: it has enrolled and not connected yet" : state;
  }
  return `${shownState(host)}, last seen ${clockText(lastSeen, now)} (${ageText(lastSeen, now)})`;
}

function certificateText({ certificateExpiresAt }: HostInfo, now: number): string | undefined {
  if (certificateExpiresAt === undefined) return undefined;
  const soon = endingCertificateText(certificateExpiresAt, now);
  return (
    soon?.replace("certificate ", "") ??
    `valid until ${new Date(certificateExpiresAt).toISOString().slice(0, 10)}`
  );
}

/** By the keys that target expressions know, where they know them. */
function factRows(facts: Facts): readonly Row[] {
  const { os, osId, osVersion, osLike = [], kernel, arch, platform, hostname } = facts;
  const { cpus, memoryBytes, disks = [], addresses = [], cloud, agentVersion, bootId, custom = {} } = facts;
  return [
    ["os", osId === undefined ? os : `${osId} (${os})`],
    ["os.version", osVersion],
    ["os.like", osLike.length === 0 ? undefined : osLike.join(" ")],
    ["kernel", kernel],
    ["arch", arch],
    ["platform", platform],
    ["cpus", String(cpus)],
    ["mem", sizeText(memoryBytes)],
    ...disks.map(({ path, sizeBytes, freeBytes }, index): Row => [
      index === 0 ? "disk" : "",
      `${sizeText(sizeBytes)}, ${sizeText(freeBytes)} free: ${path}`,
    ]),
    ["address", addresses.length === 0 ? undefined : addresses.join(" ")],
    ["cloud", cloud],
    ["hostname", hostname],
    ["version", agentVersion],
    ["boot", bootId],
    ...Object.keys(custom)
      .sort()
      .map((name): Row => [`fact.${name}`, String(custom[name])]),
  ];
}

function countText(count: number): string {
  return count === 0 ? "none open" : `${String(count)} open`;
}

function sessionText({ status }: SessionInfo, now: number): string {
  const { session, name, state, operator, createdAt, shell } = status;
  const called = name === undefined ? session : `${session} (${name})`;
  return `${called}  ${state}, ${shell} of ${operator}, opened ${ageText(createdAt, now)}`;
}
