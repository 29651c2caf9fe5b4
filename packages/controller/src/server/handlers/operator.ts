/**
 * What the controller answers to an operator: its hello, the list of hosts, and the operations of each topic's own file.
 * Up to the first `await` of a `run` all of this is synchronous, so that requests which an operator sends behind each
 * other find what the earlier ones made.
 */
import type { Handlers } from "@outpost/protocol";
import { evaluate, parse, sorted } from "@outpost/protocol/targets";
import { greet } from "../greeting.ts";
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

    "host.list": guard<"host.list", Host[]>("host.list", {
      action: "host.list",
      select({ targets }, asker) {
        // First what one may see: that a pattern fits nothing there MUST NOT tell of the others.
        const visible = [...presence.hosts()].filter((host) => asker.may("host.list", host));
        return {
          // All of no hosts is no mistake, as `*` would be.
          subject: targets === undefined ? sorted(visible) : evaluate(parse(targets), visible),
          hosts: "filtered",
          what: targets,
        };
      },
      run: (hosts) => ({ hosts: hosts.map((host) => presence.info(host)) }),
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
