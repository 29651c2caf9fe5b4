/** From targets to the hosts that they select. */
import { ErrorCode, OutpostError } from "../errors.ts";
import type { HostName, Labels } from "../ids.ts";
import { fits } from "./glob.ts";
import type { Targets, Term } from "./terms.ts";

/** What evaluation needs to know of a host. */
export interface TargetHost {
  readonly name: HostName;
  readonly labels: Labels;
}

const byName = new Intl.Collator("en", { numeric: true });

/**
 * The selected hosts, each once, in the order of the terms and by name within one.
 * @throws OutpostError `not_found` naming the term that no host fits: a typo must not shrink a fan-out silently
 */
export function evaluate<H extends TargetHost>(targets: Targets, hosts: Iterable<H>): H[] {
  const all = [...hosts];
  const byNames = new Map<string, H>(all.map((host) => [host.name, host]));
  const selected = new Set<H>();
  for (const term of targets) {
    const fitting = select(term, all, byNames);
    if (fitting.length === 0) throw nothingFits(term);
    for (const host of fitting) selected.add(host);
  }
  return [...selected];
}

function select<H extends TargetHost>(term: Term, all: readonly H[], byNames: ReadonlyMap<string, H>): H[] {
  switch (term.kind) {
    case "name": {
      const host = byNames.get(term.text);
      return host === undefined ? [] : [host];
    }
    case "glob":
      return sorted(all.filter((host) => fits(term.text, host.name)));
    case "label":
      return sorted(all.filter((host) => hasLabel(host, term.key, term.value)));
    default:
      return term satisfies never;
  }
}

/** Whether the expression selects this host: what a host can say of itself alone. */
export function selects(targets: Targets, host: TargetHost): boolean {
  return targets.some((term) => {
    switch (term.kind) {
      case "name":
        return term.text === host.name;
      case "glob":
        return fits(term.text, host.name);
      case "label":
        return hasLabel(host, term.key, term.value);
      default:
        return term satisfies never;
    }
  });
}

function hasLabel(host: TargetHost, key: string, value: string): boolean {
  return Object.hasOwn(host.labels, key) && fits(value, host.labels[key]!);
}

/** By name, `web9` before `web10`. */
export function sorted<H extends TargetHost>(hosts: Iterable<H>): H[] {
  return [...hosts].sort((left, right) => byName.compare(left.name, right.name));
}

function nothingFits(term: Term): OutpostError {
  const what = {
    name: `there is no host called ${term.text}`,
    glob: `no host's name fits ${term.text}`,
    label: `no host has the label ${term.text}`,
  }[term.kind];
  return new OutpostError(ErrorCode.notFound, `${what}; \`outpost host list\` shows the hosts`, {
    data: { target: term.text },
  });
}
