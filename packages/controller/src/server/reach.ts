/** Reaching a host for a request that is about this host alone: its connection now, its next one, or why not. */
import { type Clock, ErrorCode, OutpostError } from "@outpost/protocol";
import type { Bus, HostLink } from "./bus.ts";
import type { SessionHost } from "./session.ts";

/**
 * Asks the host over the connection that it has now.
 * @throws OutpostError the host's; `host_unreachable` with `data` `{host, since}` when it has none, or is cut before it
 * answers: then it may have done what was asked
 */
export async function askHost<T>(
  bus: Bus,
  host: SessionHost,
  request: (link: HostLink) => Promise<T>,
): Promise<T> {
  const link = bus.link(host.id);
  if (link === undefined) throw hostUnreachable(bus, host);
  try {
    return await request(link);
  } catch (error) {
    throw link.isOpen ? error : hostCut(bus, host, error);
  }
}

export function hostCut(bus: Bus, host: SessionHost, cause: unknown): OutpostError {
  const what = `the connection of ${host.name} to the controller was cut before it answered`;
  return hostUnreachable(bus, host, what, cause);
}

/** @param what what came of the request; default: that the host has no connection */
export function hostUnreachable(
  bus: Bus,
  { id, name }: SessionHost,
  what?: string,
  cause?: unknown,
): OutpostError {
  if (!bus.has(id)) return hostRemoved({ name }, cause);
  const since = bus.lastSeen(id);
  const seen = since === undefined ? "it has never connected" : `last seen ${new Date(since).toISOString()}`;
  return new OutpostError(
    ErrorCode.hostUnreachable,
    what ?? `${name} has no connection to the controller (${seen})`,
    { data: { host: name, ...(since === undefined ? {} : { since }) }, cause },
  );
}

function hostRemoved({ name }: Pick<SessionHost, "name">, cause?: unknown): OutpostError {
  return new OutpostError(ErrorCode.notFound, `the host ${name} was removed`, {
    data: { host: name },
    cause,
  });
}

export interface NextLinkOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long to wait, in milliseconds. Default: as long as it takes. */
  readonly timeoutMs?: number | undefined;
}

/**
 * The host's connection, as soon as it has one.
 * @throws OutpostError `host_unreachable` when the time ran out; `not_found` when the host was removed; the signal's reason
 */
export async function nextLink(
  bus: Bus,
  clock: Clock,
  host: SessionHost,
  { signal, timeoutMs }: NextLinkOptions = {},
): Promise<HostLink> {
  signal?.throwIfAborted();
  const now = bus.link(host.id);
  if (now !== undefined) return now;
  if (!bus.has(host.id)) throw hostRemoved(host);
  const { promise, resolve, reject } = Promise.withResolvers<HostLink>();
  const unwatch = bus.watch(host.id, () => {
    const link = bus.link(host.id);
    if (link !== undefined) resolve(link);
    else if (!bus.has(host.id)) reject(hostRemoved(host));
  });
  const onAbort = (): void => reject(OutpostError.from(signal?.reason, ErrorCode.cancelled));
  signal?.addEventListener("abort", onAbort);
  const cancel =
    timeoutMs === undefined ? () => {} : clock.after(timeoutMs, () => reject(hostUnreachable(bus, host)));
  try {
    return await promise;
  } finally {
    cancel();
    unwatch();
    signal?.removeEventListener("abort", onAbort);
  }
}
