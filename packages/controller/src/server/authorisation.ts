/**
 * The one place where an operator's request is allowed or not: by the policy that is in force, on every host that the
 * request touches, or not at all. Knowing the id of a job or session is never a right.
 */
import type { Decision, Policy } from "@outpost/access";
import { type Action, ErrorCode, type HostName, OutpostError } from "@outpost/protocol";
import type { TargetHost } from "@outpost/protocol/targets";
import { namedHosts } from "./named-hosts.ts";

/** A host that a request touches, and what the decision depends on there. */
export interface Touched extends TargetHost {
  /** Who started the job or opened the session that is there; absent: nobody who is an operator. */
  readonly owner?: string | undefined;
  /** Of `invoke` and `session.open`. */
  readonly configuration?: string | undefined;
  /** The user of the host that was asked for. */
  readonly user?: string | undefined;
}

/** One thing that has to be allowed on some hosts; without hosts, of the controller itself. */
export interface Need {
  readonly action: Action;
  readonly hosts: readonly Touched[];
}

export interface OperatorRequest {
  /** Who asks, by name. */
  readonly operator: string;
  /** All of them have to be allowed. */
  readonly needs: readonly Need[];
  /** What it is about, for the refusal: `the job x of ada`. */
  readonly title?: string | undefined;
}

/** Which policy is in force. It may be another one at each question. */
export interface PolicySource {
  readonly policy: Policy;
}

/** How many hosts a refusal names, and an audit line names rules. */
const maxNamed = 5;

export class Authorisation {
  readonly #source: PolicySource;

  constructor(source: PolicySource) {
    this.#source = source;
  }

  /** What the policy says to one action on one host, or to one that is about no host. */
  decide(operator: string, action: Action, host?: Touched): Decision {
    const { owner, configuration, user } = host ?? {};
    return this.#source.policy.decide({ operator, action, host, owner, configuration, user });
  }

  /**
   * Decides on all hosts.
   * @returns the rules that allow it, for the audit: over many hosts there may be more than one
   * @throws OutpostError `denied` when one of the hosts is refused, saying who may not do what where, and why; `data` is
   * `{operator, action, rule, hosts}`
   */
  authorise({ operator, needs, title }: OperatorRequest): string {
    const rules = new Set<string>();
    for (const { action, hosts } of needs) {
      const refused: { readonly host: TargetHost | undefined; readonly decision: Decision }[] = [];
      for (const host of hosts.length === 0 ? [undefined] : hosts) {
        const decision = this.decide(operator, action, host);
        if (decision.allowed) rules.add(decision.rule);
        else refused.push({ host, decision });
      }
      const [first] = refused;
      if (first === undefined) continue;
      const names = refused.flatMap(({ host }) => (host === undefined ? [] : [host.name]));
      throw notAllowed({ operator, action, title, hosts: names, ...first.decision });
    }
    return [...rules].slice(0, maxNamed).join(", ");
  }
}

export interface Refusal extends Pick<Decision, "rule" | "reason"> {
  readonly operator: string;
  readonly action: Action;
  readonly title?: string | undefined;
  readonly hosts: readonly HostName[];
}

/** The error of a request that is refused. */
export function notAllowed({ operator, action, title, hosts, rule, reason }: Refusal): OutpostError {
  const about = title === undefined ? "" : ` (${title})`;
  const where = hosts.length === 0 ? "" : ` on ${namedHosts(hosts, maxNamed)}`;
  const ask = ["outpost policy explain", operator, action, ...hosts.slice(0, 1)].join(" ");
  return new OutpostError(
    ErrorCode.denied,
    `${operator} is not allowed ${action}${about}${where}: ${reason}; \`${ask}\` shows how that is decided`,
    { data: { operator, action, rule, hosts: hosts.slice(0, maxNamed) } },
  );
}
