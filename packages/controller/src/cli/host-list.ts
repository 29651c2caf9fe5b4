/** The hosts, once or as they come and go. */
import { ErrorCode, type HostInfo, OutpostError } from "@outpost/protocol";
import { factNames } from "@outpost/protocol/targets";
import type { Client } from "../client/index.ts";
import { ExitCode } from "../client/exit-code.ts";
import type { OutputFormat } from "./command.ts";
import { factValue, isFactKey } from "./render/fact-value.ts";
import { hostCounts, shownState, type ShownState } from "./render/host-state.ts";
import { hostTable } from "./render/host-table.ts";
import { print } from "./render/records.ts";

export interface HostListing {
  readonly targets: string | undefined;
  /** Only these. None: all. */
  readonly states: readonly ShownState[];
  /** Labels and facts that have a column. */
  readonly keys: readonly string[];
}

/** @returns the exit code. @throws OutpostError `not_found`; `invalid_argument` for a key that means nothing */
export async function listHosts(client: Client, listing: HostListing, format: OutputFormat): Promise<number> {
  const hosts = await found(client, listing);
  const text = (): string => asText(hosts, listing, undefined);
  await print(format, { json: { hosts }, records: hosts, text });
  return ExitCode.succeeded;
}

/** Until somebody leaves. @returns the exit code */
export async function watchHosts(
  client: Client,
  listing: HostListing,
  format: OutputFormat,
  intervalMs: number,
): Promise<number> {
  if (format === "ndjson") {
    const { watchChanges } = await import("./watch-changes.ts");
    await watchChanges({
      intervalMs,
      load: async () => new Map((await found(client, listing)).map((host) => [host.name, host] as const)),
      // Of a host that is there it is always now.
      compared: ({ lastSeen, ...host }: HostInfo) =>
        host.state === "connected" ? host : { ...host, lastSeen },
      gone: (name) => ({ name, gone: true }),
    });
    return ExitCode.succeeded;
  }
  const { fitHeight, watch } = await import("./terminal/watch.ts");
  await watch({
    intervalMs,
    render: async (columns, rows) => {
      const hosts = await found(client, listing);
      const time = new Date().toTimeString().slice(0, 8);
      return fitHeight(asText(hosts, listing, columns).split("\n"), `${time}  ${hostCounts(hosts)}`, rows);
    },
  });
  return ExitCode.succeeded;
}

async function found(client: Client, { targets, states, keys }: HostListing): Promise<readonly HostInfo[]> {
  const all = await client.hosts(targets);
  checkKeys(keys, all);
  return states.length === 0 ? all : all.filter((host) => states.includes(shownState(host)));
}

/** A typo would be a column of dashes. */
function checkKeys(keys: readonly string[], hosts: readonly HostInfo[]): void {
  const unknown = keys.find(
    (key) => !isFactKey(key) && !hosts.some((host) => factValue(host, key) !== undefined),
  );
  if (unknown === undefined || hosts.length === 0) return;
  throw new OutpostError(
    ErrorCode.invalidArgument,
    `--facts: ${unknown} is no fact, and none of these hosts has a label of that name; facts are ${factNames.join(", ")}, ` +
      "and fact.NAME what a host's own programs say",
    { data: { key: unknown } },
  );
}

function asText(
  hosts: readonly HostInfo[],
  { states, keys }: HostListing,
  width: number | undefined,
): string {
  if (hosts.length > 0) return hostTable(hosts, { keys, width });
  if (states.length > 0) return `no host whose state is ${states.join(" or ")}`;
  return (
    "no hosts that you may see. Is there one? `outpost token create` makes a token, `outpost-agent join` on a host " +
    "uses it; `outpost policy explain YOUR-NAME host.list` says what you may see"
  );
}
