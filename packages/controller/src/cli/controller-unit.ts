/** The controller's systemd unit, with a reason for each directive. It runs nothing for anybody, so it may do next to nothing. */
import { commandLine, type Directive, directiveIn, unitText } from "@outpost/service";

export const controllerUnit = "outpost-controller.service";
/** The system user and group as whom it runs. */
export const controllerUser = "outpost";

export interface ControllerUnitOptions {
  /** The launcher of the version in force. */
  readonly launcher: string;
  readonly prefix: string;
  /** The controller's directory, absolute. */
  readonly directory: string;
  readonly port: number;
}

const about =
  "Written by `outpost controller install`, which writes it anew: put changes into a drop-in " +
  "(`systemctl edit outpost-controller`).";

export function controllerUnitText(options: ControllerUnitOptions): string {
  const { launcher, prefix, directory } = options;
  return unitText(about, [
    {
      name: "Unit",
      directives: [
        { name: "Description", value: "Outpost controller" },
        { name: "Wants", value: "network-online.target" },
        {
          name: "After",
          value: "network-online.target",
          why: "An address that it listens at has to be there.",
        },
        { name: "StartLimitIntervalSec", value: "0", why: "Never give up." },
      ],
    },
    {
      name: "Service",
      directives: [
        { name: "Type", value: "notify", why: "It is started when it listens." },
        {
          name: "NotifyAccess",
          value: "all",
          why:
            "systemd-notify speaks for the controller, and only root may do that in another process's name. Nothing else " +
            "runs in this control group.",
        },
        { name: "User", value: controllerUser },
        { name: "Group", value: controllerUser },
        { name: "ExecStart", value: commandLine([launcher, "controller", "start", "--dir", directory]) },
        { name: "Restart", value: "always" },
        { name: "RestartSec", value: "1" },
        {
          name: "WatchdogSec",
          value: "30",
          why: "Its event loop must report at least this often, or it is started anew.",
        },
        {
          name: "WatchdogSignal",
          value: "SIGKILL",
          why: "What hangs takes no other signal either; its catalogue is made for that.",
        },
        { name: "TimeoutStartSec", value: "300", why: "A large catalogue on a slow disk." },
        { name: "TimeoutStopSec", value: "30" },
        { name: "LimitNOFILE", value: "524288", why: "A descriptor for each host and each operator." },
        { name: "LimitCORE", value: "0", why: "The CA's key is in its memory." },
        { name: "OOMScoreAdjust", value: "-500", why: "When memory runs out it is not the first to go." },
        {
          name: "CacheDirectory",
          value: "outpost-controller",
          why: "Where Node keeps compiled code: not in the directory, which is backed up.",
        },
        { name: "CacheDirectoryMode", value: "0700" },
        { name: "Environment", value: "NODE_COMPILE_CACHE=%C/outpost-controller" },
        ...confinement(options),
      ],
    },
    { name: "Install", directives: [{ name: "WantedBy", value: "multi-user.target" }] },
    {
      // systemd leaves sections alone whose names begin so.
      name: "X-Outpost",
      directives: [
        { name: "Prefix", value: prefix, why: "For a later `outpost controller install` and `uninstall`." },
        { name: "Directory", value: directory },
      ],
    },
  ]);
}

/** Whoever takes the controller over gets its directory and the network, and nothing else of this machine. */
function confinement({ directory, port }: ControllerUnitOptions): readonly Directive[] {
  const capability = port < 1024 ? "CAP_NET_BIND_SERVICE" : "";
  const on = (name: string): Directive => ({ name, value: "yes" });
  return [
    {
      name: "CapabilityBoundingSet",
      value: capability,
      ...(capability === "" ? {} : { why: "To listen at a port below 1024." }),
    },
    { name: "AmbientCapabilities", value: capability },
    on("NoNewPrivileges"),
    { name: "ProtectSystem", value: "strict", why: "It reads everything and writes to one directory." },
    { name: "ReadWritePaths", value: `"${directory.replaceAll("%", "%%")}"` },
    ...(/^\/(home|root|run\/user)(\/|$)/.test(directory) ? [] : [on("ProtectHome")]),
    on("PrivateTmp"),
    on("PrivateDevices"),
    { name: "DevicePolicy", value: "closed" },
    // No PrivateUsers: where the kernel has no user namespaces, or allows none, the unit would not start.
    on("ProtectClock"),
    on("ProtectControlGroups"),
    on("ProtectHostname"),
    on("ProtectKernelLogs"),
    on("ProtectKernelModules"),
    on("ProtectKernelTunables"),
    { name: "ProtectProc", value: "invisible" },
    { name: "ProcSubset", value: "pid" },
    { name: "RestrictAddressFamilies", value: "AF_INET AF_INET6 AF_UNIX" },
    on("RestrictNamespaces"),
    on("RestrictRealtime"),
    on("RestrictSUIDSGID"),
    on("LockPersonality"),
    on("RemoveIPC"),
    {
      name: "MemoryDenyWriteExecute",
      value: "no",
      why: "V8 compiles to memory that it then runs; without that there is no Node.",
    },
    { name: "SystemCallArchitectures", value: "native" },
    {
      name: "SystemCallFilter",
      value: "@system-service @pkey",
      why: "What services need, and what V8 guards its compiled code with.",
    },
    { name: "SystemCallFilter", value: "~@privileged @resources" },
    {
      name: "SystemCallErrorNumber",
      value: "EPERM",
      why: "What is not allowed fails, rather than ending the controller.",
    },
    { name: "UMask", value: "0077" },
  ];
}

/** Where a unit of ours says that program and directory are; `undefined` when it is not ours. */
export function installedAs(text: string): Pick<ControllerUnitOptions, "prefix" | "directory"> | undefined {
  const prefix = directiveIn(text, "Prefix");
  const directory = directiveIn(text, "Directory");
  return prefix === undefined || directory === undefined ? undefined : { prefix, directory };
}
