/** All commands by their words, each loaded when it is asked for. */
import type { Command } from "../command.ts";

export interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<Command>;
  /** Not for people. */
  readonly hidden?: boolean;
}

export const commands: Readonly<Record<string, CommandEntry>> = {
  invoke: {
    summary: "Run a command on hosts, and show what it prints",
    load: async () => (await import("./invoke.ts")).invoke,
  },
  copy: {
    summary: "Copy files to hosts, or from hosts",
    load: async () => (await import("./copy.ts")).copy,
  },
  enter: {
    summary: "A terminal on a host, or in a session that is there",
    load: async () => (await import("./enter.ts")).enter,
  },
  "job start": {
    summary: "Start a job whose output stays on the hosts",
    load: async () => (await import("./job-start.ts")).jobStart,
  },
  "job list": { summary: "List jobs", load: async () => (await import("./job-list.ts")).jobList },
  "job show": {
    summary: "Show how a job stands on each host",
    load: async () => (await import("./job-show.ts")).jobShow,
  },
  "job receive": {
    summary: "Receive a job's output: what is new since the last receive",
    load: async () => (await import("./job-receive.ts")).jobReceive,
  },
  "job wait": {
    summary: "Wait for the end of a job",
    load: async () => (await import("./job-wait.ts")).jobWait,
  },
  "job stop": {
    summary: "Stop a job's processes",
    load: async () => (await import("./job-stop.ts")).jobStop,
  },
  "job pause": {
    summary: "Pause a roll-out: nothing more begins",
    load: async () => (await import("./job-pause.ts")).jobPause,
  },
  "job resume": {
    summary: "Let a roll-out go on",
    load: async () => (await import("./job-resume.ts")).jobResume,
  },
  "job remove": {
    summary: "Forget a job and its output",
    load: async () => (await import("./job-remove.ts")).jobRemove,
  },
  "session new": {
    summary: "Open sessions: shells on hosts, with state, that outlive their terminals",
    load: async () => (await import("./session-new.ts")).sessionNew,
  },
  "session list": {
    summary: "List sessions: state, who is attached, what runs",
    load: async () => (await import("./session-list.ts")).sessionList,
  },
  "session connect": {
    summary: "Enter a session that is there",
    load: async () => (await import("./session-connect.ts")).sessionConnect,
  },
  "session disconnect": {
    summary: "Send everybody who is attached away; the session goes on",
    load: async () => (await import("./session-disconnect.ts")).sessionDisconnect,
  },
  "session receive": {
    summary: "Receive what a session printed while nobody looked",
    load: async () => (await import("./session-receive.ts")).sessionReceive,
  },
  "session wait": {
    summary: "Wait until a session is available, or has ended",
    load: async () => (await import("./session-wait.ts")).sessionWait,
  },
  "session replay": {
    summary: "Play a session's recording",
    load: async () => (await import("./session-replay.ts")).sessionReplay,
  },
  "session export": {
    summary: "Write a session's recording to a file (asciicast v2)",
    load: async () => (await import("./session-export.ts")).sessionExport,
  },
  "session remove": {
    summary: "End a session and forget it",
    load: async () => (await import("./session-remove.ts")).sessionRemove,
  },
  "host list": {
    summary: "List hosts: state, labels, system",
    load: async () => (await import("./host-list.ts")).hostList,
  },
  "host show": {
    summary: "Show one host: state, labels, facts, sessions",
    load: async () => (await import("./host-show.ts")).hostShow,
  },
  "host approve": {
    summary: "Let hosts out of quarantine",
    load: async () => (await import("./host-approve.ts")).hostApprove,
  },
  "host remove": {
    summary: "Revoke hosts",
    load: async () => (await import("./host-remove.ts")).hostRemove,
  },
  "targets expand": {
    summary: "Write target expressions out: one host a line",
    load: async () => (await import("./targets-expand.ts")).targetsExpand,
  },
  "targets fold": {
    summary: "Write lists of hosts shortly, as ranges",
    load: async () => (await import("./targets-fold.ts")).targetsFold,
  },
  "targets count": {
    summary: "Count the hosts of target expressions",
    load: async () => (await import("./targets-count.ts")).targetsCount,
  },
  "token create": {
    summary: "Make a token with which hosts enrol",
    load: async () => (await import("./token-create.ts")).tokenCreate,
  },
  "token list": {
    summary: "List tokens: how often they were used, until when they can be",
    load: async () => (await import("./token-list.ts")).tokenList,
  },
  "token revoke": {
    summary: "Take a token back",
    load: async () => (await import("./token-revoke.ts")).tokenRevoke,
  },
  "sign-in": {
    summary: "Become an operator, with a bundle that another one made",
    load: async () => (await import("./sign-in.ts")).signIn,
  },
  "operator add": {
    summary: "Make an operator, and the bundle that they sign in with",
    load: async () => (await import("./operator-add.ts")).operatorAdd,
  },
  "operator list": {
    summary: "List operators",
    load: async () => (await import("./operator-list.ts")).operatorList,
  },
  "operator remove": {
    summary: "Revoke an operator",
    load: async () => (await import("./operator-remove.ts")).operatorRemove,
  },
  "context list": {
    summary: "List contexts: which controllers, as whom",
    load: async () => (await import("./context-list.ts")).contextList,
  },
  "context use": {
    summary: "Use another context from now on",
    load: async () => (await import("./context-use.ts")).contextUse,
  },
  "context show": {
    summary: "Show a context: controller, operator, authorities",
    load: async () => (await import("./context-show.ts")).contextShow,
  },
  "context remove": {
    summary: "Forget a context and its key",
    load: async () => (await import("./context-remove.ts")).contextRemove,
  },
  "policy show": {
    summary: "Show the policy that is in force",
    load: async () => (await import("./policy-show.ts")).policyShow,
  },
  "policy check": {
    summary: "Check a policy file",
    load: async () => (await import("./policy-check.ts")).policyCheck,
  },
  "policy explain": {
    summary: "Say whether somebody may do something, and which rule decides",
    load: async () => (await import("./policy-explain.ts")).policyExplain,
  },
  "audit list": {
    summary: "List what was asked of the controller, and how it went",
    load: async () => (await import("./audit-list.ts")).auditList,
  },
  "audit verify": {
    summary: "Find lines of the audit log that were edited, taken out or put in",
    load: async () => (await import("./audit-verify.ts")).auditVerify,
  },
  "authority show": {
    summary: "Show the certificate authorities",
    load: async () => (await import("./authority-show.ts")).authorityShow,
  },
  "authority rotate": {
    summary: "Change the controller's certificate authority",
    load: async () => (await import("./authority-rotate.ts")).authorityRotate,
  },
  "controller init": {
    summary: "Set up a controller on this machine",
    load: async () => (await import("./controller-init.ts")).controllerInit,
  },
  "controller install": {
    summary: "Make the controller a service of this machine, or upgrade it",
    load: async () => (await import("./controller-install.ts")).controllerInstall,
  },
  "controller uninstall": {
    summary: "Take that service away",
    load: async () => (await import("./controller-uninstall.ts")).controllerUninstall,
  },
  "controller start": {
    summary: "Run the controller in the foreground",
    load: async () => (await import("./controller-start.ts")).controllerStart,
  },
  doctor: {
    summary: "Check the set-up from end to end, and say what is wrong",
    load: async () => (await import("./doctor.ts")).doctor,
  },
  completion: {
    summary: "Print a completion script for a shell",
    load: async () => (await import("./completion.ts")).completion,
  },
  __complete: {
    summary: "What a word could become; asked by the completion scripts",
    load: async () => (await import("./complete.ts")).complete,
    hidden: true,
  },
};

/** The first words of commands of two. */
export const groups: Readonly<Record<string, string>> = {
  controller: "Set up and run a controller.",
  targets: "Target expressions: which hosts they mean.",
  token: "Tokens with which hosts enrol.",
  host: "The hosts of the controller.",
  operator: "Operators: who may use the controller.",
  context: "Contexts of this machine: which controller, as whom.",
  policy: "The policy: what operators may do, on which hosts.",
  audit: "The audit log: what operators did.",
  authority: "The certificate authorities.",
  session: "Sessions: shells on hosts that keep their state and outlive their terminals.",
  job: "Jobs: commands that run on hosts and keep their output until it is received.",
};
