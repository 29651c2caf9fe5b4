/**
 * Whether a host's label or fact is what a comparison asks for.
 *
 * `key` is the host's label of that name, if it has one, and else the fact; `label.KEY` is the label, whatever facts there are.
 * Programs of the host name facts of their own, and those are `fact.NAME` only: no host can talk itself into `role=db`.
 */
import type { Labels } from "../ids.ts";
import type { Facts } from "../messages/host.ts";
import type { Operand } from "./operand.ts";
import { quantityOf } from "./quantity.ts";
import type { Comparator, ComparisonNode } from "./syntax.ts";
import { compareVersionParts, versionParts } from "./version-order.ts";

/**
 * What a value is, and with it what equals it and what is less:
 *
 *     label    equal as text; less as numbers or sizes if both are, else as versions
 *     text     the same
 *     version  equal and less as versions: 1.4 is 1.4.0, and less than 1.10
 *     number   as numbers; a size's unit may stand behind what it is compared with
 */
type Value =
  | { readonly kind: "label" | "text" | "version"; readonly value: string }
  | { readonly kind: "number"; readonly value: number };

type Read = (facts: Facts) => readonly (string | number | undefined)[];

/** The facts that have names of their own. */
const knownFacts: Readonly<Record<string, readonly [kind: Value["kind"], read: Read]>> = {
  os: ["text", ({ osId, os }) => [osId ?? os]],
  "os.version": ["version", ({ osVersion }) => [osVersion]],
  "os.like": ["text", ({ osId, osLike = [] }) => [osId, ...osLike]],
  kernel: ["version", ({ kernel }) => [kernel]],
  arch: ["text", ({ arch }) => [arch]],
  platform: ["text", ({ platform }) => [platform]],
  cpus: ["number", ({ cpus }) => [cpus]],
  mem: ["number", ({ memoryBytes }) => [memoryBytes]],
  disk: ["number", ({ disks }) => [disks?.[0]?.sizeBytes]],
  "disk.free": ["number", ({ disks }) => [disks?.[0]?.freeBytes]],
  address: ["text", ({ addresses = [] }) => addresses],
  cloud: ["text", ({ cloud }) => [cloud]],
  hostname: ["text", ({ hostname }) => [hostname]],
  version: ["version", ({ agentVersion }) => [agentVersion]],
};

const customPrefix = "fact.";
/** Always the label, also of a key that is a fact's. */
const labelPrefix = "label.";

/** The names of the facts that have names of their own. */
export const factNames: readonly string[] = Object.keys(knownFacts);

/** Whether a key means a fact on a host that has no label of that name. */
export function isFact(key: string): boolean {
  return Object.hasOwn(knownFacts, key) || key.startsWith(customPrefix);
}

export function isTrueOf(
  { key, comparator, operand }: Pick<ComparisonNode, "key" | "comparator" | "operand">,
  labels: Labels,
  facts: Facts | undefined,
): boolean {
  const values = typedValuesOf(key, labels, facts);
  // All hosts but those that `key=value` selects, also those that have no such thing.
  if (comparator === "!=") return !values.some((value) => equals(value, operand));
  if (comparator === "=") return values.some((value) => equals(value, operand));
  return values.some((value) => isOrdered(comparator, order(value, operand)));
}

/** What a host is by a key, as comparisons see it: one value, several where it has several, or none. */
export function valuesOf(
  key: string,
  { labels, facts }: { readonly labels: Labels; readonly facts?: Facts | undefined },
): readonly (string | number)[] {
  return typedValuesOf(key, labels, facts).map(({ value }) => value);
}

function typedValuesOf(key: string, labels: Labels, facts: Facts | undefined): readonly Value[] {
  if (Object.hasOwn(labels, key)) return [{ kind: "label", value: labels[key]! }];
  if (key.startsWith(labelPrefix)) {
    const label = key.slice(labelPrefix.length);
    return Object.hasOwn(labels, label) ? [{ kind: "label", value: labels[label]! }] : [];
  }
  if (facts === undefined) return [];
  if (key.startsWith(customPrefix)) return customValue(facts.custom ?? {}, key.slice(customPrefix.length));
  if (!Object.hasOwn(knownFacts, key)) return [];
  const [kind, read] = knownFacts[key]!;
  return read(facts).flatMap((value) => (value === undefined ? [] : [{ kind, value } as Value]));
}

function customValue(custom: NonNullable<Facts["custom"]>, name: string): readonly Value[] {
  if (!Object.hasOwn(custom, name)) return [];
  const value = custom[name]!;
  return [typeof value === "number" ? { kind: "number", value } : { kind: "text", value: String(value) }];
}

function equals(value: Value, operand: Operand): boolean {
  if (operand.isGlob || value.kind === "label" || value.kind === "text")
    return operand.fits(String(value.value));
  if (value.kind === "number") return operand.number === value.value;
  return compareVersionParts(versionParts(value.value), operand.version) === 0;
}

/** Less than 0: the value is less; `undefined`: they cannot be compared. */
function order(value: Value, operand: Operand): number | undefined {
  if (value.kind === "number") {
    return operand.number === undefined ? undefined : value.value - operand.number;
  }
  if (value.kind !== "version") {
    const quantity = operand.quantity === undefined ? undefined : quantityOf(value.value);
    if (quantity !== undefined) return quantity - operand.quantity!;
  }
  return compareVersionParts(versionParts(value.value), operand.version);
}

function isOrdered(comparator: Exclude<Comparator, "=" | "!=">, difference: number | undefined): boolean {
  if (difference === undefined) return false;
  switch (comparator) {
    case "<":
      return difference < 0;
    case "<=":
      return difference <= 0;
    case ">":
      return difference > 0;
    case ">=":
      return difference >= 0;
    default:
      return comparator satisfies never;
  }
}

/** Why a comparison can be true of no host whatever its labels and facts are, as the end of a sentence. */
export function pointless({
  key,
  comparator,
  operand,
}: Pick<ComparisonNode, "key" | "comparator" | "operand">): string | undefined {
  if (comparator === "=" || comparator === "!=") return undefined;
  if (operand.isGlob) return `patterns can be compared with = and != only, not with ${comparator}`;
  const isNumber = Object.hasOwn(knownFacts, key) && knownFacts[key]![0] === "number";
  if (!isNumber || operand.number !== undefined) return undefined;
  return `${key} is a number, and "${operand.text}" is none (8, 8GiB, 512M)`;
}
