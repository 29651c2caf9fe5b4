/** One request to each of some hosts, none waiting for another, and what became of it on each. */
import { type HostName, OutpostError, type SessionInfo, type SessionOutcome } from "@outpost/protocol";
import { cutError } from "./cut-status.ts";

/**
 * Never throws: one host's failure is that host's outcome.
 * @param ask what is asked of a host; resolves with how the session stands there, or nothing when it is gone
 */
export function outcomes<H extends { readonly name: HostName }>(
  hosts: readonly H[],
  ask: (host: H) => Promise<SessionInfo | undefined>,
): Promise<SessionOutcome[]> {
  return Promise.all(
    hosts.map(async (host): Promise<SessionOutcome> => {
      try {
        const info = await ask(host);
        return { host: host.name, ...(info === undefined ? {} : { info }) };
      } catch (error) {
        return { host: host.name, error: cutError(OutpostError.from(error).toWire()) };
      }
    }),
  );
}
