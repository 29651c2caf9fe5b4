/** A service of the machine: its program, its unit, and what it tells the service manager. The same for agent and controller. */
export { deploy, type Deployment, replace } from "./deployment.ts";
export { launchDaemons, launchdText, type LaunchdService } from "./launchd.ts";
export { Program, type ProgramOptions, type ProgramVersion } from "./program.ts";
export { quoted, Systemd, type SystemdOptions, type UnitState } from "./systemd.ts";
export {
  commandLine,
  type Directive,
  directiveIn,
  escapeSpecifiers,
  type UnitSection,
  unitText,
} from "./unit.ts";
export { waitFor, type WaitOptions } from "./waiting.ts";
