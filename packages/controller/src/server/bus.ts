/**
 * How the rest of the controller reaches hosts: the seam at which several controller processes can become one. Nothing
 * above it may assume that an agent is connected to *this* process; today `Presence` implements it with the peers at hand.
 */
import type { agentMethods, controllerAgentMethods, HostId, Peer } from "@outpost/protocol";

/** One connection of a host. It ends and never comes back; the host's next connection is another link. */
export type HostLink = Pick<
  Peer<typeof controllerAgentMethods, typeof agentMethods>,
  "request" | "requestPacked" | "openStream" | "acceptStream" | "isOpen"
>;

export interface Bus {
  /** Whether there is such a host: it may have been removed. */
  has(host: HostId): boolean;
  /** The host's live connection, if it has one. */
  link(host: HostId): HostLink | undefined;
  /** The protocol version that the host's agent speaks; `undefined` when the host has no connection. */
  version(host: HostId): number | undefined;
  /** Whether the host has connected since we were started. */
  hasConnected(host: HostId): boolean;
  /** When the host was last connected; `undefined` when never. */
  lastSeen(host: HostId): number | undefined;
  /** Calls back when the host's connection comes or goes. Returns what takes the listener away. */
  watch(host: HostId, listener: () => void): () => void;
}
