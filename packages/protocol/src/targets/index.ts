/** Target expressions: which hosts a request is for. */
export { factNames, isFact, valuesOf } from "./comparison.ts";
export { evaluate, type EvaluateOptions, names, selects, sorted, type TargetHost } from "./evaluate.ts";
export { fits } from "./glob.ts";
export { groupsOf, withGroups } from "./groups.ts";
export { compareNames } from "./name-order.ts";
export { expand, fold, isPlainSet } from "./nodeset.ts";
export { parse, type ParseOptions } from "./parser.ts";
export { pointAt } from "./point-at.ts";
export { firstFact, isEverything, isReadableByVersion2, usesFacts } from "./questions.ts";
export type { Targets } from "./syntax.ts";
export { compareVersions } from "./version-order.ts";
