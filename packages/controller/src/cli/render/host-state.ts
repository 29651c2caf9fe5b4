/** How hosts stand, in words. */
import type { HostInfo } from "@outpost/protocol";

/** How a host stands, in one word: one that waits to be approved is that, and nothing else. */
export const shownStates = ["connected", "disconnected", "never", "quarantine"] as const;
export type ShownState = (typeof shownStates)[number];

export function shownState({ state, quarantinedSince }: HostInfo): ShownState {
  return quarantinedSince === undefined ? state : "quarantine";
}

/** `12 hosts: 9 connected, 2 disconnected, 1 in quarantine`. */
export function hostCounts(hosts: readonly HostInfo[]): string {
  const words = {
    connected: "connected",
    disconnected: "disconnected",
    never: "never seen",
    quarantine: "in quarantine",
  };
  const counts = new Map<ShownState, number>();
  for (const host of hosts) counts.set(shownState(host), (counts.get(shownState(host)) ?? 0) + 1);
  const parts = shownStates.flatMap((state) => {
    const count = counts.get(state);
    return count === undefined ? [] : [`${String(count)} ${words[state]}`];
  });
  const all = hosts.length === 1 ? "1 host" : `${String(hosts.length)} hosts`;
  return parts.length === 0 ? all : `${all}: ${parts.join(", ")}`;
}
