/** Whom this host believes and what its own policy says, for `outpost-agent status`. */
import { readPolicy } from "../access/policy-file.ts";
import type { AgentPaths } from "../directory.ts";
import { fingerprintsOf, fingerprintText } from "../trust.ts";

export interface AccessStatus {
  /** Fingerprint of the operators' authority; absent as long as the host knows none, and obeys nobody. */
  readonly operators?: string;
  /** `none`: it allows whatever the controller lets through. `bad`: it allows nothing. */
  readonly policy: { readonly state: "none" | "loaded" | "bad"; readonly problem?: string };
}

/** @param operators the operators' authority, PEM */
export function accessStatus({ policy: file }: Pick<AgentPaths, "policy">, operators?: string): AccessStatus {
  const state = readPolicy(file);
  const problem = state.kind === "bad" ? { problem: state.problem } : {};
  const [fingerprint] = operators === undefined ? [] : fingerprintsOf(operators);
  return {
    ...(fingerprint === undefined ? {} : { operators: fingerprintText(fingerprint) }),
    policy: { state: state.kind, ...problem },
  };
}

export function operatorsText({ operators }: AccessStatus): string {
  return (
    operators ??
    "not known, nobody is obeyed: the host joined with an agent of version 0.1; it takes them over once it is connected"
  );
}

export function policyText({ policy: { state, problem } }: AccessStatus): string {
  switch (state) {
    case "none":
      return "none: whatever the controller lets through is allowed";
    case "loaded":
      return "policy.yaml is in force";
    case "bad":
      return `NOTHING is allowed: ${problem ?? "policy.yaml is not valid"}; see \`outpost-agent policy check\``;
    default:
      return state satisfies never;
  }
}
