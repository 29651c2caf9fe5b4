/**
 * From what an operator names to hosts on which something may run. A host in quarantine is not one of them: no pattern, label
 * or fact selects it, and naming it is refused. Only `host.*` operations look at the hosts of presence as they are.
 */
import { ErrorCode, type HostId, type HostName, type Labels, OutpostError } from "@outpost/protocol";
import { evaluate, names, parse, type TargetHost } from "@outpost/protocol/targets";
import type { Touched } from "./authorisation.ts";

/** A host that may be in quarantine. */
export interface Approvable extends TargetHost {
  /** Since when it waits for somebody to approve it. */
  readonly quarantinedSince?: number | undefined;
}

/**
 * @param expression targets, e.g. `web*,db1`
 * @throws OutpostError as `parse` and `evaluate`; `denied` when it names a host that is in quarantine
 */
export function selectHosts<H extends Approvable>(expression: string, hosts: Iterable<H>): H[] {
  const targets = parse(expression);
  const selectable: H[] = [];
  const known = new Set<string>();
  for (const host of hosts) {
    known.add(host.name);
    if (host.quarantinedSince === undefined || names(targets, host.name)) selectable.push(host);
  }
  const selected = evaluate(targets, selectable, { known });
  for (const host of selected) refuseQuarantined(host);
  return selected;
}

/** @throws OutpostError `not_found`; `denied` when it is in quarantine */
export function hostNamed<H extends Approvable>(
  name: HostName,
  presence: { hostNamed(name: HostName): H | undefined },
): H {
  const host = presence.hostNamed(name);
  if (host === undefined) {
    throw new OutpostError(
      ErrorCode.notFound,
      `there is no host called ${name}; \`outpost host list\` shows the hosts`,
      { data: { host: name } },
    );
  }
  refuseQuarantined(host);
  return host;
}

function refuseQuarantined({ name, quarantinedSince }: Approvable): void {
  if (quarantinedSince === undefined) return;
  throw new OutpostError(
    ErrorCode.denied,
    `${name} is in quarantine since ${new Date(quarantinedSince).toISOString()}, and nothing runs there; \`outpost host approve ${name}\` lets it out`,
    { data: { host: name, rule: "quarantine" } },
  );
}

/** Of a host that was removed nobody knows the labels; rules that ask for one say nothing about it. */
const noLabels: Labels = {};

/** The host of a job or session as a decision sees it, whether it is still there or was removed. */
export function touchedHost(
  presence: { host(id: HostId): TargetHost | undefined },
  { host: id, hostName: name }: { readonly host: HostId; readonly hostName: HostName },
  owner: string | undefined,
): Touched {
  const { labels } = presence.host(id) ?? { labels: noLabels };
  return { name, labels, owner };
}
