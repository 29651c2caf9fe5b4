/** What the controller answers to an operator about the policy: what is in force, and what it says to a request. */
import { isAboutHosts } from "@outpost/access";
import type { Handlers, PolicyDecision, PolicyExplainParams } from "@outpost/protocol";
import { evaluate, names, parse, sorted } from "@outpost/protocol/targets";
import type { Touched } from "../authorisation.ts";
import type { Host } from "../presence.ts";
import type { Services } from "../services.ts";
import type { Asker, Guard, OperatorMethods } from "./guard.ts";

type PolicyOperation = Extract<keyof OperatorMethods, `policy.${string}`>;

export function policyOperations(
  services: Services,
  guard: Guard,
): Pick<Handlers<OperatorMethods>, PolicyOperation> {
  const { authorisation, policy, presence } = services;

  /** Who may not see all hosts is told of those only that they may see, or have named. */
  const hostsOf = ({ action, targets }: PolicyExplainParams, asker: Asker): Host[] | undefined => {
    if (!isAboutHosts(action)) return undefined;
    const maySee = (host: Host): boolean => asker.may("policy.read") || asker.may("host.list", host);
    if (targets === undefined) return sorted(presence.hosts()).filter(maySee);
    const read = parse(targets);
    return evaluate(
      read,
      [...presence.hosts()].filter((host) => names(read, host.name) || maySee(host)),
    );
  };

  return {
    "policy.show": guard<"policy.show", undefined>("policy.show", {
      action: "policy.read",
      select: () => ({ subject: undefined }),
      run: () => policy.shown,
    }),

    "policy.explain": guard<"policy.explain", { operator: string; hosts: Host[] | undefined }>(
      "policy.explain",
      {
        action: ({ operator }, { as }) => (as === undefined || as === operator ? undefined : "policy.read"),
        select(params, asker) {
          const { as, action, targets } = params;
          return {
            subject: { operator: asker.operator, hosts: hostsOf(params, asker) },
            what: [as ?? asker.operator, action, ...(targets === undefined ? [] : [targets])].join(" "),
          };
        },
        run({ operator: asking, hosts }, { as: operator = asking, action, ...rest }) {
          const { owner, configuration, user } = rest;
          const decide = (host: Touched | undefined): PolicyDecision => {
            const { allowed, rule, reason } = authorisation.decide(operator, action, host);
            return { ...(host === undefined ? {} : { host: host.name }), allowed, rule, reason };
          };
          const touched = hosts?.map(({ name, labels }) => ({ name, labels, owner, configuration, user }));
          const [first] = touched ?? [];
          return {
            decisions: touched === undefined ? [decide(undefined)] : touched.map(decide),
            rules: policy.policy.explain({ operator, action, host: first, owner, configuration, user }),
          };
        },
      },
    ),
  };
}
