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
  "token create": {
    summary: "Make a token with which hosts enrol",
    load: async () => (await import("./token-create.ts")).tokenCreate,
  },
  "controller init": {
    summary: "Set up a controller on this machine",
    load: async () => (await import("./controller-init.ts")).controllerInit,
  },
  "controller start": {
    summary: "Run the controller in the foreground",
    load: async () => (await import("./controller-start.ts")).controllerStart,
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
  token: "Tokens with which hosts enrol.",
  host: "The hosts of the controller.",
  session: "Sessions: shells on hosts that keep their state and outlive their terminals.",
  job: "Jobs: commands that run on hosts and keep their output until it is received.",
};
