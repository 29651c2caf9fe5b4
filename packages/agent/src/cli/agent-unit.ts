/** The agent's systemd unit, with a reason for each directive; and what is deliberately not set. */
import { commandLine, directiveIn, unitText } from "@outpost/service";

export const agentUnit = "outpost-agent.service";

export interface AgentUnitOptions {
  /** The launcher of the version in force. */
  readonly launcher: string;
  /** Where the program is installed. */
  readonly prefix: string;
  /** The agent's directory, absolute. */
  readonly directory: string;
}

const about =
  "Written by `outpost-agent install` and `outpost-agent upgrade`, which write it anew: put changes into a drop-in " +
  "(`systemctl edit outpost-agent`). Jobs and sessions are children of this service and inherit whatever restricts it. So " +
  "there is none of systemd's sandboxing here: NoNewPrivileges= would break sudo in every job, PrivateTmp= would give " +
  "jobs another /tmp than everybody's, ProtectSystem= and ProtectHome= would keep them from the files that they are run " +
  "for, CapabilityBoundingSet=, SystemCallFilter= and the Restrict…= family would fail them in ways that nobody " +
  "expects. What operators may do here is decided by the policies, and limits of jobs are set by configurations.";

export function agentUnitText({ launcher, prefix, directory }: AgentUnitOptions): string {
  return unitText(about, [
    {
      name: "Unit",
      directives: [
        {
          name: "Description",
          value: "Outpost agent: runs jobs and sessions for the operators of its controller",
        },
        { name: "Wants", value: "network-online.target" },
        {
          name: "After",
          value: "network-online.target nss-lookup.target",
          why: "Only so that the first attempt to connect succeeds; without a network it starts, too.",
        },
        {
          name: "StartLimitIntervalSec",
          value: "0",
          why: "Never give up: an agent that is not started again is a lost host.",
        },
      ],
    },
    {
      name: "Service",
      directives: [
        {
          name: "Type",
          value: "notify",
          why: "It is started when it has taken up its jobs; whether it is connected is in its status.",
        },
        {
          name: "NotifyAccess",
          value: "main",
          why: "Jobs run in this control group, and must not speak in the agent's name.",
        },
        { name: "ExecStart", value: commandLine([launcher, "start", "--dir", directory]) },
        {
          name: "KillMode",
          value: "process",
          why:
            "Stopping the agent ends the agent and nothing else: jobs and sessions run on, and the next start takes them " +
            "up. (systemd notes them as left-over processes.) At shutdown systemd ends them with everything else.",
        },
        { name: "Restart", value: "always" },
        { name: "RestartSec", value: "1" },
        {
          name: "WatchdogSec",
          value: "30",
          why: "The agent's event loop must report at least this often, or the agent is started anew.",
        },
        {
          name: "WatchdogSignal",
          value: "SIGKILL",
          why:
            "What hangs takes no other signal either, and the default, SIGABRT, leaves a core dump that holds the host's " +
            "private key. kill -9 costs no job and no output.",
        },
        {
          name: "TimeoutStartSec",
          value: "300",
          why: "Thousands of jobs to take up on a slow disk.",
        },
        {
          name: "TimeoutStopSec",
          value: "30",
          why: "It says goodbye in well under a second; after this SIGKILL ends it, and again it alone.",
        },
        {
          name: "OOMScoreAdjust",
          value: "-500",
          why: "When memory runs out the agent is not the first to go; jobs are started with 0.",
        },
        {
          name: "OOMPolicy",
          value: "continue",
          why: "A job that the kernel ends for its memory is no reason to stop the agent, which would be the default.",
        },
        {
          name: "LimitNOFILE",
          value: "524288",
          why: "Three descriptors for each running job, and jobs inherit it: as high as systemd's own default for services.",
        },
        {
          name: "TasksMax",
          value: "infinity",
          why: "Jobs count as tasks of this unit; the default would be 15 % of what the kernel has.",
        },
      ],
    },
    { name: "Install", directives: [{ name: "WantedBy", value: "multi-user.target" }] },
    {
      // systemd leaves sections alone whose names begin so.
      name: "X-Outpost",
      directives: [
        { name: "Prefix", value: prefix, why: "For `outpost-agent upgrade` and `uninstall`." },
        { name: "Directory", value: directory },
      ],
    },
  ]);
}

/** Where a unit of ours says that program and directory are; `undefined` when it is not ours. */
export function installedAs(text: string): Pick<AgentUnitOptions, "prefix" | "directory"> | undefined {
  const prefix = directiveIn(text, "Prefix");
  const directory = directiveIn(text, "Directory");
  return prefix === undefined || directory === undefined ? undefined : { prefix, directory };
}
