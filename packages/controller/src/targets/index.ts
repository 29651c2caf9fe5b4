/** Target expressions: which hosts a request is for. */
export { evaluate, sorted, type TargetHost } from "./evaluate.ts";
export { parse } from "./terms.ts";
