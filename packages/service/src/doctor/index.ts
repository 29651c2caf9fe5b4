/** What `outpost doctor` and `outpost-agent doctor` share. */
export {
  type Answer,
  type Check,
  conclusion,
  examine,
  exitCodeOf,
  type Finding,
  findingText,
  isShown,
  ok,
  problem,
  skipped,
  styleOf,
  type Verdict,
  warning,
} from "./examination.ts";
export { lookAtDisk, lookAtModes } from "./files.ts";
export { clockAnswer, lookAtHandshake, lookAtName, lookAtPort } from "./reach.ts";
