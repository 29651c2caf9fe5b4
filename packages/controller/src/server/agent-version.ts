/**
 * What an agent of an older protocol version must not be asked: it would leave out what it does not know, and run a command
 * as another user, or without its secrets.
 */
import {
  type ConfigurationName,
  ErrorCode,
  type HostId,
  type HostName,
  OutpostError,
  type Secrets,
  type UserName,
} from "@outpost/protocol";
import type { Bus } from "./bus.ts";

/** What came with version 2, of a job's or a session's spec and beside it. */
export interface SinceVersion2 {
  readonly configuration?: ConfigurationName | undefined;
  readonly user?: UserName | undefined;
  readonly secrets?: Secrets | undefined;
}

/** @returns the error `denied` when the host's agent does not know what is asked */
export function agentTooOld(
  bus: Pick<Bus, "version">,
  host: { readonly id: HostId; readonly name: HostName },
  { configuration, user, secrets }: SinceVersion2,
): OutpostError | undefined {
  const version = bus.version(host.id);
  if (version === undefined || version >= 2) return undefined;
  const wanted = [
    ...(configuration === undefined ? [] : ["a configuration"]),
    ...(user === undefined ? [] : ["a user"]),
    ...(secrets === undefined ? [] : ["secrets"]),
  ];
  if (wanted.length === 0) return undefined;
  return new OutpostError(
    ErrorCode.denied,
    `the agent of ${host.name} speaks protocol version ${String(version)} and knows nothing of ${wanted.join(" or ")}; upgrade it`,
    { data: { host: host.name, version } },
  );
}
