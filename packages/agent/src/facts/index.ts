/** What this host says of itself. */
export { gatherCustomFacts } from "./custom-facts.ts";
export { differ } from "./difference.ts";
export { HostFacts, type HostFactsOptions, type TellsFacts } from "./host-facts.ts";
export { gatherOwnFacts } from "./own-facts.ts";
