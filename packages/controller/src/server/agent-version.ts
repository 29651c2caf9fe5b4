/**
 * What an agent of an older protocol version must not be asked: it would leave out what it does not know, and run a command
 * as another user, without its secrets, or once where it was to be tried again.
 */
import {
  type Command,
  type ConfigurationName,
  ErrorCode,
  type HostId,
  type HostName,
  type JobSpec,
  OutpostError,
  type Secrets,
  type UserName,
} from "@outpost/protocol";
import { isReadableByVersion2, parse } from "@outpost/protocol/targets";
import type { Bus } from "./bus.ts";

/** What came after version 1, of a job's or a session's spec and beside it. */
export interface SinceVersion2 {
  readonly configuration?: ConfigurationName | undefined;
  readonly user?: UserName | undefined;
  readonly secrets?: Secrets | undefined;
  /** Of kind `put` or `get` since version 3. */
  readonly command?: Command | undefined;
  /** Since version 3. */
  readonly retry?: JobSpec["retry"];
  /** What the operator has signed: a host reads it, too, and before version 3 no ranges, operators and facts. */
  readonly targets?: string | undefined;
}

/** @returns the error `denied` when the host's agent does not know what is asked */
export function agentTooOld(
  bus: Pick<Bus, "version">,
  host: { readonly id: HostId; readonly name: HostName },
  asked: SinceVersion2,
): OutpostError | undefined {
  const version = bus.version(host.id);
  if (version === undefined || version >= 3) return undefined;
  const wanted = [...(version < 2 ? sinceVersion2(asked) : []), ...sinceVersion3(asked)];
  if (wanted.length === 0) return undefined;
  return new OutpostError(
    ErrorCode.denied,
    `the agent of ${host.name} speaks protocol version ${String(version)} and knows nothing of ${wanted.join(" or ")}; upgrade it`,
    { data: { host: host.name, version } },
  );
}

function sinceVersion2({ configuration, user, secrets }: SinceVersion2): string[] {
  return [
    ...(configuration === undefined ? [] : ["a configuration"]),
    ...(user === undefined ? [] : ["a user"]),
    ...(secrets === undefined ? [] : ["secrets"]),
  ];
}

function sinceVersion3({ command, retry, targets }: SinceVersion2): string[] {
  return [
    ...(command?.kind === "put" || command?.kind === "get" ? ["copying files"] : []),
    ...(retry === undefined ? [] : ["retries"]),
    ...(targets === undefined || isReadableByVersion2(parse(targets))
      ? []
      : [`targets such as ${shortened(targets)}`]),
  ];
}

function shortened(targets: string): string {
  return targets.length > 60 ? `${targets.slice(0, 60)}…` : targets;
}
