export { type Account, findAccount, findGroup, ownAccount } from "./account.ts";
export { strayDescriptors } from "./descriptors.ts";
export { oomReset } from "./oom-score.ts";
export { groupExists, hostPlatform, type Platform, type ProcessInfo } from "./platform.ts";
export {
  type EnforcedLimit,
  explainEnforcement,
  hostEnforcement,
  limitsPrefix,
  type ResourceLimits,
} from "./resource-limits.ts";
export { type RunAs, runAsPrefix } from "./run-as.ts";
export { findTool, isExecutable } from "./tool.ts";
