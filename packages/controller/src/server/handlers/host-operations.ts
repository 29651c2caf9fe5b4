/** What the controller answers to an operator about hosts as such: letting them out of quarantine, and revoking them. */
import { ErrorCode, type Handlers, type HostName, OutpostError } from "@outpost/protocol";
import { removeHost } from "../host-removal.ts";
import type { Host } from "../presence.ts";
import type { Services } from "../services.ts";
import type { Guard, OperatorMethods, Selection } from "./guard.ts";

export function hostOperations(
  services: Services,
  guard: Guard,
): Pick<Handlers<OperatorMethods>, "host.approve" | "host.remove"> {
  const { presence, log } = services;

  const named = ({ hosts: names }: { readonly hosts: readonly HostName[] }): Selection<Host[]> => {
    const hosts = [...new Set(names)].map((name) => {
      const host = presence.hostNamed(name);
      if (host !== undefined) return host;
      throw new OutpostError(
        ErrorCode.notFound,
        `there is no host called ${name}; \`outpost host list\` shows the hosts`,
        { data: { host: name } },
      );
    });
    return { subject: hosts, hosts, about: hosts.map(({ id }) => id).join(",") };
  };

  return {
    "host.approve": guard<"host.approve", Host[]>("host.approve", {
      action: "host.approve",
      select: named,
      run(hosts, _params, { operator }) {
        for (const { id, name } of hosts) {
          presence.approve(id);
          log.info({ host: name, operator: operator.name }, "a host was approved");
        }
        return { hosts: hosts.map((host) => presence.info(host)) };
      },
    }),

    "host.remove": guard<"host.remove", Host[]>("host.remove", {
      action: "host.remove",
      select: named,
      run(hosts, _params, { operator }) {
        const removed = hosts.map((host) => presence.info(host));
        for (const host of hosts) {
          removeHost(services, host, operator.name);
          log.info({ host: host.name, operator: operator.name }, "a host was removed");
        }
        return { hosts: removed };
      },
    }),
  };
}
