/** What a start would do: which hosts, in which order and stages. Made here, of what the controller says of its hosts now. */
import { ErrorCode, type HostInfo, type HostName, type HostState, OutpostError } from "@outpost/protocol";
import { concurrencyOf, failureLimitOf, orderOf, stagesOf } from "@outpost/protocol/rollout";
import type { Client } from "./client.ts";
import { checkPlace, type StartOptions } from "./start.ts";

export type PlanOptions = Pick<StartOptions, "targets" | "sessions" | "rollout" | "check">;

export interface PlannedHost {
  readonly host: HostName;
  readonly state: HostState;
  /** When its agent was connected last, in milliseconds since 1970; absent if never. */
  readonly lastSeen?: number;
}

export interface Plan {
  /** In the order in which they come to their turn. */
  readonly hosts: readonly PlannedHost[];
  /** One, of all hosts, without a roll-out. */
  readonly stages: readonly (readonly HostName[])[];
  /** How many run at a time. */
  readonly concurrency: number;
  /** With more failures than this nothing more begins. Absent: no limit. */
  readonly maxFailures?: number;
}

/** @see Client.plan */
export async function plan(
  client: Pick<Client, "hosts" | "sessions" | "session">,
  options: PlanOptions,
): Promise<Plan> {
  const { targets, rollout = {}, check } = options;
  checkPlace({ ...options, command: { kind: "exec", argv: ["true"] } });
  const infos = new Map((await selected(client, options)).map((info) => [info.name, info]));
  if (infos.size === 0) throw nothing(targets);
  const hosts = orderOf(infos.keys(), rollout.order).map((name) => plannedHost(infos.get(name)!));
  const stages: HostName[][] = [];
  let begin = 0;
  for (const size of stagesOf(hosts.length, rollout)) {
    stages.push(hosts.slice(begin, begin + size).map(({ host }) => host));
    begin += size;
  }
  const maxFailures = failureLimitOf(hosts.length, rollout, check !== undefined);
  return {
    hosts,
    stages,
    concurrency: concurrencyOf(hosts.length, rollout),
    ...(maxFailures === undefined ? {} : { maxFailures }),
  };
}

function plannedHost({ name, state, lastSeen }: HostInfo): PlannedHost {
  return { host: name, state, ...(lastSeen === undefined ? {} : { lastSeen }) };
}

async function selected(
  client: Pick<Client, "hosts" | "sessions" | "session">,
  { targets, sessions = [] }: PlanOptions,
): Promise<readonly HostInfo[]> {
  const infos = await client.hosts(targets);
  const approved = withoutQuarantined(infos);
  if (sessions.length === 0) return approved;
  const held = new Set<HostName>();
  for (const reference of sessions) {
    for (const host of (await client.session(reference)).hosts) held.add(host);
  }
  const missing = targets === undefined ? undefined : approved.find(({ name }) => !held.has(name));
  if (missing !== undefined) {
    throw new OutpostError(ErrorCode.notFound, `none of the sessions is on ${missing.name}`, {
      data: { host: missing.name },
    });
  }
  return approved.filter(({ name }) => held.has(name));
}

/** No pattern and no label selects a host in quarantine, as the controller has it; the start itself refuses one that is named. */
function withoutQuarantined(infos: readonly HostInfo[]): readonly HostInfo[] {
  return infos.filter(({ quarantinedSince }) => quarantinedSince === undefined);
}

function nothing(targets: string | undefined): OutpostError {
  return new OutpostError(ErrorCode.notFound, `no host is selected by ${targets ?? "the sessions"}`, {
    data: targets === undefined ? {} : { target: targets },
  });
}
