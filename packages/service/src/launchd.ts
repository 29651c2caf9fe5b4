/** Property lists for launchd, macOS's service manager. See launchd.plist(5). Written by a library, checked by parsers; no
 * test of ours has run one on macOS. */
import { build } from "plist";

export interface LaunchdService {
  /** E.g. `com.example.agent`. */
  readonly label: string;
  /** The program and its arguments, absolute. */
  readonly command: readonly string[];
  /** Where what it prints goes. */
  readonly log: string;
}

/** As `LimitNOFILE=` of the unit; macOS's default is 256. */
const openFiles = 65_536;

/** Where services of the machine are. */
export const launchDaemons = "/Library/LaunchDaemons";

export function launchdText({ label, command, log }: LaunchdService): string {
  return `${build({
    Label: label,
    ProgramArguments: [...command],
    RunAtLoad: true,
    // Started again whenever and however it ends; at most once in the interval (seconds; launchd's default is 10).
    KeepAlive: true,
    ThrottleInterval: 1,
    // Jobs and sessions are children: they outlive a restart.
    AbandonProcessGroup: true,
    ExitTimeOut: 30,
    ProcessType: "Standard",
    SoftResourceLimits: { NumberOfFiles: openFiles },
    HardResourceLimits: { NumberOfFiles: openFiles },
    StandardOutPath: log,
    StandardErrorPath: log,
  })}\n`;
}
