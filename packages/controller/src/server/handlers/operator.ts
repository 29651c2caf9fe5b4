/**
 * What the controller answers to an operator: its hello, the list of hosts, and the operations of each topic's own file.
 * Up to the first `await` of a `run` all of this is synchronous, so that requests which an operator sends behind each
 * other find what the earlier ones made.
 */
import type { Handlers, HostName } from "@outpost/protocol";
import { compareNames, evaluate, parse } from "@outpost/protocol/targets";
import { greet } from "../greeting.ts";
import { firstPage } from "../page.ts";
import type { Host } from "../presence.ts";
import type { Services } from "../services.ts";
import { auditOperations } from "./audit-operations.ts";
import { authorityOperations } from "./authority-operations.ts";
import { guardOf, type OperatorConnection, type OperatorMethods } from "./guard.ts";
import { hostOperations } from "./host-operations.ts";
import { jobOperations } from "./job-operations.ts";
import { operatorOperations } from "./operator-operations.ts";
import { policyOperations } from "./policy-operations.ts";
import { sessionOperations } from "./session-operations.ts";
import { tokenOperations } from "./token-operations.ts";

export function operatorHandlers(
  services: Services,
  connection: OperatorConnection,
  greeted: () => void,
): Handlers<OperatorMethods> {
  const { presence, authorities, clock } = services;
  const guard = guardOf(services, connection);
  return {
    hello(params) {
      const answer = greet(params, connection.operator.name, clock.now());
      const authority = authorities.bundle;
      greeted();
      return { ...answer, authority };
    },

    "host.list": guard<"host.list", Iterable<Host>>("host.list", {
      action: "host.list",
      // The pages of one list are one request of a person; the first is written each time.
      audit: ({ after }) => (after === undefined ? undefined : "once"),
      select({ targets, after }, asker) {
        // First what one may see: that a pattern fits nothing there MUST NOT tell of the others.
        const visible = (hosts: readonly Host[]): Iterable<Host> =>
          chosen(hosts, (host) => asker.may("host.list", host));
        const sorted = presence.sortedHosts();
        // By name, always: a page is found by the last host of the one before. All of no hosts is no mistake, as `*` would be.
        const subject =
          targets === undefined
            ? visible(behind(sorted, after))
            : behind(evaluate(parse(targets), visible(sorted)), after);
        return { subject, hosts: "filtered", what: targets };
      },
      run(hosts, { limit }) {
        const { entries, more } = firstPage(hosts, limit, (host) => presence.info(host));
        return { hosts: entries, ...(more ? { more } : {}) };
      },
    }),

    ...hostOperations(services, guard),
    ...tokenOperations(services, guard),
    ...operatorOperations(services, guard),
    ...authorityOperations(services, guard),
    ...policyOperations(services, guard),
    ...auditOperations(services, guard),
    ...jobOperations(services, guard),
    ...sessionOperations(services, guard),
  };
}

/** Looked at one by one, as far as anybody asks. */
function* chosen(hosts: readonly Host[], isWanted: (host: Host) => boolean): Generator<Host> {
  for (const host of hosts) if (isWanted(host)) yield host;
}

/** Those behind a host that need not be there any more. @param hosts by name */
function behind(hosts: readonly Host[], after: HostName | undefined): readonly Host[] {
  if (after === undefined) return hosts;
  const first = hosts.findIndex(({ name }) => compareNames(name, after) > 0);
  return first === -1 ? [] : hosts.slice(first);
}
