/** Target expressions: which hosts a request is for. */
export { evaluate, selects, sorted, type TargetHost } from "./evaluate.ts";
export { fits } from "./glob.ts";
export { parse, type Targets } from "./terms.ts";
