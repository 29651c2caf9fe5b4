/** Jobs: what to run, how it stands, how it is read, acknowledged, stopped and removed. */
import * as v from "valibot";
import { WireError } from "../errors.ts";
import { ConfigurationName, HostName, JobId, SessionId, UserName } from "../ids.ts";
import * as limits from "../limits.ts";
import { Authorization } from "./authorization.ts";
import { HostState } from "./host.ts";
import { Offline, Rollout, RolloutInfo } from "./rollout.ts";
import {
  Bytes,
  DurationMs,
  Gap,
  Offset,
  OutputExtents,
  Positions,
  StreamName,
  StreamNumber,
  StreamOpened,
  Tail,
  Time,
} from "./stream.ts";

// ---------------------------------------------------------------------------------------------- what to run

/** Text that can be an argument or an environment value: anything but NUL, which the kernel cannot pass. */
export const Argument = v.pipe(
  v.string(),
  v.check((text) => !text.includes("\0"), "must not hold a NUL character"),
);

/** Environment variables by name. */
export const EnvironmentVariables = v.record(
  v.pipe(Argument, v.regex(/^[^=]+$/, "is not an environment name")),
  Argument,
);

/** What to run. `exec` runs an argument vector as it is, without a shell. `shell` runs text by `/bin/sh -c`.
 * `script` writes `body` to a file on the host and runs that by its own `#!` line. */
export type Command = v.InferOutput<typeof Command>;
export const Command = v.variant("kind", [
  v.object({ kind: v.literal("exec"), argv: v.pipe(v.array(Argument), v.minLength(1)) }),
  v.object({ kind: v.literal("shell"), text: Argument }),
  v.object({
    kind: v.literal("script"),
    /** The script's file name, for messages and `$0`; no directories. */
    name: v.pipe(v.string(), v.regex(/^(?!\.{1,2}$)[^/\0]{1,255}$/, "is not a file name")),
    body: Bytes(limits.maxScriptBytes),
    args: v.array(Argument),
  }),
  /** Writes files: standard input is a file stream (docs/protocol.md). Since version 3. */
  v.object({
    kind: v.literal("put"),
    /** Where: absolute, or relative to the working directory. */
    path: v.pipe(Argument, v.minLength(1)),
    /** True: `path` is a directory and the files go into it; it is made if need be. False: so only if it is one already, else the
     * one file or directory of the stream gets this name. */
    into: v.boolean(),
  }),
  /** Reads files: standard output is a file stream. Since version 3. */
  v.object({
    kind: v.literal("get"),
    /** Files and directories, absolute or relative to the working directory; each of them may be a pattern with `*`, `?` and `[…]`. */
    paths: v.pipe(v.array(v.pipe(Argument, v.minLength(1))), v.minLength(1), v.maxLength(1000)),
  }),
]);

/** Where a job's standard input comes from: `/dev/null`, bytes in the request, or a stream (`job.input`). */
export type Input = v.InferOutput<typeof Input>;
export const Input = v.variant("kind", [
  v.object({ kind: v.literal("none") }),
  v.object({ kind: v.literal("inline"), bytes: Bytes(limits.maxInlineInputBytes) }),
  v.object({ kind: v.literal("stream") }),
]);

/** A whole job as asked for. */
export type JobSpec = v.InferOutput<typeof JobSpec>;
export const JobSpec = v.object({
  command: Command,
  /** Added to the job's environment, over what the host gives every job. */
  env: EnvironmentVariables,
  /** Working directory on the host, absolute. Default: the home directory of the user that the job runs as. */
  cwd: v.optional(v.pipe(Argument, v.startsWith("/", "is not an absolute path"))),
  /** How long the job may run, in milliseconds; enforced on the host. Default: no limit. */
  timeoutMs: v.optional(v.pipe(DurationMs, v.minValue(1))),
  /** How long the job's processes have between SIGTERM and SIGKILL when it is stopped, in milliseconds. Default: the host's setting. */
  graceMs: v.optional(DurationMs),
  input: Input,
  /** Runs it again, on the host, when it ends with anything but exit code 0: up to `times` times more, `delayMs` after each end.
   * Its output goes on in the same streams, its exit is the last run's, `timeoutMs` holds for all of them together. Not with an
   * input, and not in a session. Since version 3. */
  retry: v.optional(
    v.object({
      times: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100)),
      delayMs: v.pipe(DurationMs, v.maxValue(24 * 60 * 60 * 1000)),
    }),
  ),
  /** The configuration of the host that it runs under. Default `default`. */
  configuration: v.optional(ConfigurationName),
  /** The user that it runs as. Default: the configuration's. */
  user: v.optional(UserName),
  /** Runs in the shell of a session instead of in processes of its own. `env` MUST be empty then and `cwd` absent: the
   * session has its own. */
  session: v.optional(
    v.object({
      /** Of these sessions the host has one; a request to several hosts names those of all of them. */
      ids: v.pipe(v.array(SessionId), v.minLength(1), v.maxLength(1000)),
      /** What to do while the session runs something else: wait for its end, or be refused (`busy`). */
      busy: v.picklist(["wait", "fail"]),
    }),
  ),
});

/** The name of a secret that reaches the job as a file. */
export const SecretName = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z_][A-Za-z0-9_]{0,63}$/,
    "is not a secret's name (1 to 64 of A-Z a-z 0-9 _, not beginning with a digit)",
  ),
);

/**
 * What reaches the job and is written down nowhere: no spec, no catalogue, no log, no statement. Whoever passes it on
 * keeps it in memory only, and no longer than until the host has answered.
 */
export type Secrets = v.InferOutput<typeof Secrets>;
export const Secrets = v.pipe(
  v.object({
    /** 32 random bytes, so that the digest in the statement tells nothing about short secrets. */
    salt: Bytes(32),
    /** Environment variables. */
    env: EnvironmentVariables,
    /** Each is given to the job as an open file; the environment variable of that name holds its path, `/dev/fd/N`. */
    files: v.record(SecretName, Bytes(limits.maxSecretBytes)),
  }),
  v.check(
    ({ env, files }) =>
      Object.values(env).reduce((sum, value) => sum + value.length, 0) +
        Object.values(files).reduce((sum, bytes) => sum + bytes.byteLength, 0) <=
      limits.maxSecretBytes,
    `are more than ${String(limits.maxSecretBytes)} bytes`,
  ),
);

/** A label for people, on fan-out jobs; need not be unique. */
export const JobName = v.pipe(v.string(), v.minLength(1), v.maxLength(128));

// ---------------------------------------------------------------------------------------------- how it stands

/**
 * The state of a job on its host.
 *
 *     pending ──▶ running ──▶ completed   the main process exited with 0
 *        │           ├──────▶ failed      other exit code, signal, timed out, a limit, could not be started
 *        │           ├──────▶ stopped     an operator stopped it
 *        └───────────┴──────▶ lost        its end was not seen: host rebooted, wrapper vanished, record damaged
 */
export const JobState = v.picklist(["pending", "running", "completed", "failed", "stopped", "lost"]);
export type JobState = v.InferOutput<typeof JobState>;

/** How the main process ended: its exit code, or the signal that ended it, e.g. `SIGKILL`. */
export type Exit = v.InferOutput<typeof Exit>;
export const Exit = v.union([
  v.object({ code: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255)) }),
  v.object({ signal: v.string() }),
]);

/** Why a job ended the way it did, where state and exit do not say it all. */
export const EndReasonCode = v.picklist([
  /** `timeoutMs` passed. State `failed`. */
  "timed_out",
  /** An operator stopped it; `by` says who. State `stopped`. */
  "stopped",
  /** It wrote more than the host's limit per job. State `failed`. */
  "output_limit",
  /** The host's disk ran short of its free minimum, or the quota of all jobs was reached. State `failed`. */
  "disk_full",
  /** The command could not be started; nothing ran. State `failed`. */
  "start_failed",
  /** The host had no connection, and the request was never delivered; nothing ran. State `failed`. */
  "host_unreachable",
  /** The request reached the host (again) after its expiry; nothing ran. State `failed`. */
  "expired",
  /** The host refused it: a limit, a policy; nothing ran. State `failed`. */
  "refused",
  /** The host's own policy, or the configuration that was asked for, does not allow it; nothing ran. State `failed`. */
  "denied",
  /** The host was restarted while the job ran. State `lost`. */
  "host_rebooted",
  /** The job's wrapper process disappeared without leaving an exit record. State `lost`. */
  "wrapper_vanished",
  /** The exit record is there but damaged. State `lost`. */
  "record_damaged",
  /** The agent died while starting it and found no trace of it afterwards; it may not have run. State `lost`. */
  "start_interrupted",
  /** The host no longer knows the job: its store was emptied or replaced. State `lost`. */
  "forgotten",
  /** The host had no connection, and the request left such hosts out; nothing ran. State `stopped`. Since version 3. */
  "skipped",
  /** The roll-out was stopped before this host had its turn; nothing ran. State `stopped`. Since version 3. */
  "not_begun",
]);
export type EndReasonCode = v.InferOutput<typeof EndReasonCode>;

export type EndReason = v.InferOutput<typeof EndReason>;
export const EndReason = v.object({
  code: EndReasonCode,
  /** A sentence for people. */
  message: v.string(),
  /** The operator whose doing it was, for `stopped`. */
  by: v.optional(v.string()),
});

/** A job that no operator asked for: who on the host did, and what it runs. */
export type JobOrigin = v.InferOutput<typeof JobOrigin>;
export const JobOrigin = v.object({
  /** The name of the user on the host. */
  user: v.pipe(v.string(), v.maxLength(256)),
  /** The command as a person would write it, shortened. */
  command: v.pipe(v.string(), v.maxLength(256)),
  name: v.optional(JobName),
  acceptedAt: Time,
});

/** A job as its host knows it. */
export type JobStatus = v.InferOutput<typeof JobStatus>;
export const JobStatus = v.object({
  job: JobId,
  state: JobState,
  startedAt: v.optional(Time),
  endedAt: v.optional(Time),
  /** Known once the main process has ended and left a record, also while the job still runs because other processes of it hold its output open. */
  exit: v.optional(Exit),
  reason: v.optional(EndReason),
  output: OutputExtents,
  /** Set for a job that was started on the host itself (`outpost-agent job start`). */
  origin: v.optional(JobOrigin),
  /** True once the host has forgotten the output (received, removed, evicted). */
  removed: v.optional(v.boolean()),
  /** How often it was run so far, of a job that is retried. Since version 3. */
  attempts: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
});

// ---------------------------------------------------------------------------------- controller → agent

export const JobStartParams = v.object({
  job: JobId,
  spec: JobSpec,
  /** True: the controller collects the output, so it may read this job without being asked to. Default false. */
  collect: v.optional(v.boolean()),
  secrets: v.optional(Secrets),
  /** By whom it was asked. A host MUST refuse a start without (since version 2). */
  authorization: v.optional(Authorization),
  /** The operator who asked, by name. */
  operator: v.string(),
  /** After this moment the host must not start it any more. */
  expiresAt: Time,
  /** How long the agent may hold its answer back so that a short job's end travels with it, in milliseconds; 0: answer at once. */
  inlineWaitMs: DurationMs,
});
export type JobStartParams = v.InferOutput<typeof JobStartParams>;

/** A start by somebody on the host itself. */
export const JobStartLocallyParams = v.object({
  job: JobId,
  spec: JobSpec,
  name: v.optional(JobName),
  /** As in `JobStartParams`. */
  inlineWaitMs: DurationMs,
});
export type JobStartLocallyParams = v.InferOutput<typeof JobStartLocallyParams>;

/** One page of the jobs that the host holds, in the order of their ids: `after` is the last id of the page before. */
export const JobListParams = v.object({ after: v.optional(JobId) });
export type JobListParams = v.InferOutput<typeof JobListParams>;
/** `last`: no page comes after this one. */
export const JobListResult = v.object({
  jobs: v.pipe(v.array(JobStatus), v.maxLength(1000)),
  last: v.boolean(),
});
export type JobListResult = v.InferOutput<typeof JobListResult>;

/** `tail` holds the whole output when the job has ended already and its output is short; else it is absent. */
export const JobStartResult = v.object({ status: JobStatus, tail: v.optional(Tail) });
export type JobStartResult = v.InferOutput<typeof JobStartResult>;

export const JobReadParams = v.object({
  job: JobId,
  /** Which streams, each from where. */
  from: Positions,
  /** True: go on until the job has ended. False: end at what is there now. */
  follow: v.boolean(),
  /** How many bytes may be sent on each stream beyond its start before the first credit. May be 0: a relay that reads
   * again after a cut has only what its own reader still has as credit, and nowhere to put more. */
  window: v.pipe(Offset, v.maxValue(limits.maxWindowBytes)),
  /** True: chunks may come packed (Zstandard). Default false. */
  packed: v.optional(v.boolean()),
  /** Not needed for a job that was started with `collect`. */
  authorization: v.optional(Authorization),
});
export type JobReadParams = v.InferOutput<typeof JobReadParams>;

/** Comes after the `end` of every stream, so the exit is the last thing that is heard of a job. */
export const JobReadResult = v.object({ status: JobStatus, tail: v.optional(Tail) });
export type JobReadResult = v.InferOutput<typeof JobReadResult>;

/** Bytes of `name` from `gap.from` to `gap.to` are gone; the stream goes on at `gap.to`. */
export const ReadGap = v.object({ name: StreamName, gap: Gap });
export type ReadGap = v.InferOutput<typeof ReadGap>;

export const JobAcknowledgeParams = v.object({ job: JobId, received: Positions });
export type JobAcknowledgeParams = v.InferOutput<typeof JobAcknowledgeParams>;

export const JobStatusParams = v.object({ jobs: v.pipe(v.array(JobId), v.maxLength(1000)) });
/** Jobs that the host does not know are left out. */
export const JobStatusResult = v.object({ jobs: v.array(JobStatus) });

export const JobStopParams = v.object({
  job: JobId,
  /** The operator who asked, by name. */
  operator: v.string(),
  graceMs: v.optional(DurationMs),
  authorization: v.optional(Authorization),
});
export type JobStopParams = v.InferOutput<typeof JobStopParams>;
/** The status right after SIGTERM was sent, or of the job that had ended already. */
export const JobStopResult = v.object({ status: JobStatus });

/** Removing a job that still runs is a `conflict`. Removing one that is not there succeeds. */
export const JobRemoveParams = v.object({ job: JobId, authorization: v.optional(Authorization) });
export type JobRemoveParams = v.InferOutput<typeof JobRemoveParams>;

export const JobInputParams = v.object({ job: JobId, stream: StreamNumber });
export type JobInputParams = v.InferOutput<typeof JobInputParams>;
/** Answered when the whole input is stored on the receiver's disk. */
export const JobInputResult = v.object({ size: Offset });

// ---------------------------------------------------------------------------------- agent → controller

/** One page of what the host holds, after `hello`. `last` marks the last page; only then may the controller conclude that a job is not there. */
export const InventoryParams = v.object({
  jobs: v.pipe(v.array(JobStatus), v.maxLength(1000)),
  last: v.boolean(),
});
export type InventoryParams = v.InferOutput<typeof InventoryParams>;

/** A job changed its state on the host. */
export const JobChanged = v.object({ status: JobStatus });

// ---------------------------------------------------------------------------------- operator ↔ controller

/** Who receives the output: `keep` leaves it on the hosts until a receive; `collect` has the controller receive it as it is produced. */
export const OutputMode = v.picklist(["keep", "collect"]);
export type OutputMode = v.InferOutput<typeof OutputMode>;

/** The controller's view of one job of a fan-out job. */
export type JobInfo = v.InferOutput<typeof JobInfo>;
export const JobInfo = v.object({
  host: HostName,
  status: JobStatus,
  /** Set while the host cannot be reached and still matters (the job has not ended, or has output left to receive):
   * since when. The status is then the last one known. */
  unreachableSince: v.optional(Time),
  /** A stop or removal that waits for the host to come back. */
  waiting: v.optional(v.picklist(["stop", "remove"])),
  /** Why the host did not do what was last asked of it: its own policy forbids to stop or remove this job. */
  refused: v.optional(WireError),
  /** A pending job that nothing was sent of: it waits for its turn, or for its host to come back. Since version 3. */
  queued: v.optional(v.picklist(["rollout", "host"])),
});

/** A fan-out job's state, derived from its jobs: the first of these that any job has, `completed` if all completed.
 * pending · running · lost · failed · stopped · completed; `disconnected` when all unfinished jobs' hosts are unreachable.
 * With jobs whose turn in a roll-out has not come it is `running` while others are unfinished, else `pending`. */
export const FanOutState = v.picklist([
  "pending",
  "running",
  "disconnected",
  "lost",
  "failed",
  "stopped",
  "completed",
]);
export type FanOutState = v.InferOutput<typeof FanOutState>;

/** A fan-out job in a list. */
export type FanOutInfo = v.InferOutput<typeof FanOutInfo>;
export const FanOutInfo = v.object({
  job: JobId,
  name: v.optional(JobName),
  operator: v.string(),
  /** The command as a person would write it, shortened. */
  command: v.string(),
  mode: OutputMode,
  createdAt: Time,
  endedAt: v.optional(Time),
  state: FanOutState,
  /** How many of its jobs are in each state. */
  counts: v.record(v.string(), v.number()),
  hosts: v.number(),
  /** Bytes of stdout and stderr on all hosts that nobody has received. For unreachable hosts: as last known. */
  unreadBytes: Offset,
  /** How its roll-out stands, if it has one. Since version 3. */
  rollout: v.optional(RolloutInfo),
});

export const FanOutStartParams = v.object({
  /** Made by the caller: asking twice with one id starts one fan-out job. */
  job: JobId,
  /** A target expression, e.g. `web1,web2` or `role=web`. Absent: the hosts of `spec.session`. With both, the hosts
   * that are in both; each must hold exactly one of the sessions. */
  targets: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(limits.maxExpressionLength))),
  spec: JobSpec,
  name: v.optional(JobName),
  mode: OutputMode,
  /** True when the caller sends `fanout.receive` right after this: short outputs then travel with the exits. */
  receiving: v.boolean(),
  secrets: v.optional(Secrets),
  /** For the hosts; the controller passes it on. */
  authorization: v.optional(Authorization),
  /** Default `fail`. Since version 3, as all below. */
  offline: v.optional(Offline),
  /** How long the job may still be started, in milliseconds: hosts in a roll-out have their turn late, and others come back
   * late. Default: the controller's settings, a minute, and a day with a roll-out or `offline: "queue"`. */
  expiresInMs: v.optional(v.pipe(DurationMs, v.minValue(1), v.maxValue(31 * 24 * 60 * 60 * 1000))),
  /** Default: all hosts at once. */
  rollout: v.optional(Rollout),
  /** A second fan-out job on the same hosts, which runs on the hosts of each stage of the roll-out that have completed the first,
   * when all of the stage have ended. Where it does not complete, the host has failed. */
  check: v.optional(v.object({ job: JobId, spec: JobSpec, authorization: v.optional(Authorization) })),
});
export type FanOutStartParams = v.InferOutput<typeof FanOutStartParams>;
/** The plan: every host that the targets select. */
export const FanOutStartResult = v.object({
  fanout: FanOutInfo,
  hosts: v.array(v.object({ host: HostName, state: HostState })),
});
export type FanOutStartResult = v.InferOutput<typeof FanOutStartResult>;

export const FanOutReceiveParams = v.object({
  job: JobId,
  /** Only these hosts; default all. */
  hosts: v.optional(v.array(HostName)),
  /** Which streams. */
  streams: v.pipe(v.array(StreamName), v.minLength(1)),
  /** Where to begin, by host. A host or stream that is left out begins where the last receive ended (what is acknowledged). */
  from: v.optional(v.record(HostName, Positions)),
  /** True: from the first byte, what is acknowledged included (as far as it is still there). */
  fromStart: v.optional(v.boolean()),
  follow: v.boolean(),
  window: v.pipe(Offset, v.minValue(limits.minWindowBytes), v.maxValue(limits.maxWindowBytes)),
  /** True: chunks may come packed (Zstandard). Default false. */
  packed: v.optional(v.boolean()),
  authorization: v.optional(Authorization),
  /** True: `receive.rollout` tells of each change of the roll-out's state and stage, first of how it stands; with `follow` the
   * receive of all hosts then ends when the roll-out is over, too. Default false. Since version 3. */
  rollout: v.optional(v.boolean()),
});
export type FanOutReceiveParams = v.InferOutput<typeof FanOutReceiveParams>;
/** Comes after the last host's exit (`follow`), or after everything that was there. */
export const FanOutReceiveResult = v.object({ fanout: FanOutInfo });

/** As `StreamOpened`, `ReadGap` and the end of a job, each with its host. */
export const FanOutStreamOpened = v.object({ host: HostName, ...StreamOpened.entries });
export type FanOutStreamOpened = v.InferOutput<typeof FanOutStreamOpened>;
export const FanOutGap = v.object({ host: HostName, ...ReadGap.entries });
export type FanOutGap = v.InferOutput<typeof FanOutGap>;
/** A job's state or its host's reachability changed, and the job has not ended. */
export const FanOutChanged = v.object({ info: JobInfo });
/** The last that is heard of one host: with `follow` the job's end, without it the status after everything that was there. */
export const FanOutDone = v.object({ info: JobInfo, tail: v.optional(Tail) });
export type FanOutDone = v.InferOutput<typeof FanOutDone>;

/** The roll-out has come to another state or stage, or its last host has had its turn. */
export const FanOutRollout = v.object({ rollout: RolloutInfo });
export type FanOutRollout = v.InferOutput<typeof FanOutRollout>;

/** Received offsets by host. */
export const FanOutAcknowledgeParams = v.object({ job: JobId, received: v.record(HostName, Positions) });
export type FanOutAcknowledgeParams = v.InferOutput<typeof FanOutAcknowledgeParams>;

export const FanOutListParams = v.object({
  /** Only these states. */
  states: v.optional(v.array(FanOutState)),
  name: v.optional(v.string()),
  /** Only with (true) or without (false) unread output. */
  unread: v.optional(v.boolean()),
  before: v.optional(Time),
  after: v.optional(Time),
  /** At most this many, the newest first. Default 100. */
  newest: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(10_000))),
});
export type FanOutListParams = v.InferOutput<typeof FanOutListParams>;
export const FanOutListResult = v.object({ fanouts: v.array(FanOutInfo) });

/** `job` may be the beginning of an id, if only one job's id begins so, or a job's name. */
export const FanOutShowParams = v.object({
  job: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
  /** Only the jobs behind the one of this host, in the order of the plan. Since version 3. */
  after: v.optional(HostName),
  /** At most so many jobs. Default all of them, which with thousands of hosts is more than a message holds. Since version 3. */
  limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000))),
});
/** `more`: there are jobs behind the last one. */
export const FanOutShowResult = v.object({
  fanout: FanOutInfo,
  jobs: v.array(JobInfo),
  more: v.optional(v.boolean()),
});
export type FanOutShowResult = v.InferOutput<typeof FanOutShowResult>;

/** True: the answer's `jobs` are left empty; `fanout.show` has them in pages. Default false. Since version 3. */
const Brief = v.optional(v.boolean());

export const FanOutWaitParams = v.object({
  job: JobId,
  /** True: until one of its jobs has ended; false: until all have. */
  any: v.boolean(),
  /** How long at most, in milliseconds. Default: no limit. */
  timeoutMs: v.optional(DurationMs),
  brief: Brief,
});
/** `ended` is false when the time ran out first. */
export const FanOutWaitResult = v.object({ ended: v.boolean(), fanout: FanOutInfo, jobs: v.array(JobInfo) });

export const FanOutStopParams = v.object({
  job: JobId,
  hosts: v.optional(v.array(HostName)),
  graceMs: v.optional(DurationMs),
  authorization: v.optional(Authorization),
  brief: Brief,
});
/** The jobs as they stand after the request went out. A host that cannot be reached stops its job when it is back (`waiting`). */
export const FanOutStopResult = v.object({ jobs: v.array(JobInfo) });

/** `force`: stop what still runs first. Without it a running job is a `conflict`. */
export const FanOutRemoveParams = v.object({
  job: JobId,
  force: v.boolean(),
  /** `job.remove`; with `force` a second one for `job.stop`. */
  authorization: v.optional(Authorization),
  stopAuthorization: v.optional(Authorization),
  brief: Brief,
});
export const FanOutRemoveResult = v.object({ jobs: v.array(JobInfo) });

/** By whoever may stop the job. */
export const FanOutPauseParams = v.object({ job: JobId });
export const FanOutResumeParams = v.object({
  job: JobId,
  /** Only if it is still in this stage: whoever confirms one stage does not confirm the next. Default: whichever it is in. */
  stage: v.optional(v.number()),
});
export const FanOutRolloutResult = v.object({ fanout: FanOutInfo });

/** By whoever started it. */
export const FanOutSpecParams = v.object({ job: JobId });
/** `not_found` once it is forgotten: specs of more than 64 KiB are when the job has ended. */
export const FanOutSpecResult = v.object({
  spec: JobSpec,
  mode: OutputMode,
  /** It was started with secrets. They are kept nowhere. */
  hadSecrets: v.boolean(),
});
export type FanOutSpecResult = v.InferOutput<typeof FanOutSpecResult>;
