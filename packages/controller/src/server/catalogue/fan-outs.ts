/** The fan-out jobs of the catalogue, and their jobs. */
import type { StatementSync } from "node:sqlite";
import type { HostId, HostName, JobId, JobState, JobStatus, OutputMode, WireError } from "@outpost/protocol";
import type { RolloutRecord } from "../rollout-plan.ts";
import type { Database } from "./database.ts";

/** Received offsets of all three streams. */
export interface Received {
  readonly stdout: number;
  readonly stderr: number;
  readonly timeline: number;
}

/** A stop or removal that the host has not confirmed. */
export interface Waiting {
  readonly kind: "stop" | "remove";
  /** Who asked, by name. */
  readonly operator: string;
  readonly graceMs?: number;
  /** What the operator has signed for the host, as `authorization.ts` packs it, in base64; absent for old agents. */
  readonly authorization?: string;
  /** The same for the stop that comes before a removal with force. */
  readonly stopAuthorization?: string;
}

/** `rollout`: its turn has not come. `host`: it waits for its host to connect. Nothing of these was sent. `begun`: all others. */
export type Turn = "rollout" | "host" | "begun";

export interface FanOutRecord {
  readonly id: JobId;
  readonly name: string | undefined;
  readonly operator: string;
  readonly command: string;
  readonly mode: OutputMode;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** The JobSpec as `spec.ts` packs it; of a job that has ended only if it is short enough to be kept. */
  readonly spec: Uint8Array | undefined;
  /** What the operator has signed for the hosts, as `authorization.ts` packs it; absent once nothing can be started any more. */
  readonly authorization: Uint8Array | undefined;
  /** Its start had secrets. They are in memory only. */
  readonly hadSecrets: boolean;
  /** The number of its request in the audit log; of what no operator has asked for here, nothing. */
  readonly request: number | undefined;
  readonly hosts: number;
  readonly endedAt: number | undefined;
  readonly inputSize: number | undefined;
  readonly inputError: WireError | undefined;
  readonly removedBy: string | undefined;
  /** How it comes to its hosts; absent: it was sent to all of them at once. */
  readonly rollout: RolloutRecord | undefined;
}

export interface JobRecord {
  readonly fanOut: JobId;
  readonly host: HostId;
  readonly position: number;
  readonly hostName: HostName;
  readonly status: JobStatus;
  readonly received: Received;
  readonly unread: number;
  readonly held: boolean;
  readonly collected: boolean;
  readonly waiting: Waiting | undefined;
  readonly turn: Turn;
}

export interface FanOutFilter {
  readonly name?: string | undefined;
  readonly before?: number | undefined;
  readonly after?: number | undefined;
}

/** How many jobs are in a state, and what of theirs is unread. */
export interface StateCount {
  readonly state: JobState;
  readonly jobs: number;
  readonly unread: number;
}

interface FanOutRow {
  id: JobId;
  name: string | null;
  operator: string;
  command: string;
  mode: OutputMode;
  created_at: number;
  expires_at: number;
  spec: Uint8Array | null;
  authorization: Uint8Array | null;
  had_secrets: number;
  request: number | null;
  hosts: number;
  ended_at: number | null;
  input_size: number | null;
  input_error: string | null;
  removed_by: string | null;
  rollout: string | null;
}

interface JobRow {
  fanout: JobId;
  host: HostId;
  position: number;
  host_name: HostName;
  status: string;
  stdout: number;
  stderr: number;
  timeline: number;
  unread: number;
  held: number;
  collected: number;
  waiting: string | null;
  begun: number;
}

/** By the column `begun`. */
const turns = ["rollout", "begun", "host"] as const satisfies Turn[];

export class FanOutTable {
  readonly #insert: StatementSync;
  readonly #byId: StatementSync;
  readonly #byPrefix: StatementSync;
  readonly #byName: StatementSync;
  readonly #unfinished: StatementSync;
  readonly #list: StatementSync;
  readonly #update: StatementSync;
  readonly #delete: StatementSync;
  readonly #old: StatementSync;
  readonly #forgetSpecs: StatementSync;
  readonly #insertJob: StatementSync;
  readonly #jobs: StatementSync;
  readonly #job: StatementSync;
  readonly #hosts: StatementSync;
  readonly #held: StatementSync;
  readonly #counts: StatementSync;
  readonly #updateJob: StatementSync;
  readonly #deleteJobs: StatementSync;

  constructor({ sql }: Database) {
    this.#insert = sql.prepare(
      `INSERT INTO fanouts (id, name, operator, command, mode, created_at, expires_at, spec, authorization, had_secrets,
       request, hosts, rollout, finished) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
    );
    this.#byId = sql.prepare("SELECT * FROM fanouts WHERE id = ?");
    this.#byPrefix = sql.prepare(
      "SELECT id FROM fanouts WHERE id >= ? AND id < ? || '{' AND removed_by IS NULL ORDER BY id LIMIT ?",
    );
    this.#byName = sql.prepare(
      "SELECT id FROM fanouts WHERE name = ? AND removed_by IS NULL ORDER BY created_at DESC LIMIT ?",
    );
    this.#unfinished = sql.prepare("SELECT * FROM fanouts WHERE finished = 0");
    this.#list = sql.prepare(
      `SELECT * FROM fanouts WHERE removed_by IS NULL AND (?1 IS NULL OR name = ?1)
       AND created_at < coalesce(?2, 9e15) AND created_at > coalesce(?3, -1) ORDER BY created_at DESC, id`,
    );
    this.#update = sql.prepare(
      `UPDATE fanouts SET spec = ?, authorization = ?, ended_at = ?, input_size = ?, input_error = ?, removed_by = ?,
       rollout = ?, finished = ? WHERE id = ?`,
    );
    this.#delete = sql.prepare("DELETE FROM fanouts WHERE id = ?");
    this.#old = sql.prepare(
      "SELECT id FROM fanouts WHERE finished = 1 AND coalesce(ended_at, created_at) < ?",
    );
    this.#forgetSpecs = sql.prepare(
      `UPDATE fanouts SET spec = NULL WHERE id IN (SELECT id FROM
       (SELECT id, sum(length(spec)) OVER (ORDER BY created_at DESC, id) AS bytes FROM fanouts
        WHERE finished = 1 AND spec IS NOT NULL) WHERE bytes > ?)`,
    );
    this.#insertJob = sql.prepare(
      `INSERT INTO jobs (fanout, host, position, host_name, state, status, stdout, stderr, timeline, unread, held, collected,
       begun) VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, 0, ?, 0, ?)`,
    );
    this.#jobs = sql.prepare("SELECT * FROM jobs WHERE fanout = ? ORDER BY position");
    this.#job = sql.prepare("SELECT * FROM jobs WHERE fanout = ? AND host = ?");
    this.#hosts = sql.prepare("SELECT host, host_name AS hostName FROM jobs WHERE fanout = ?");
    this.#held = sql.prepare("SELECT fanout FROM jobs WHERE host = ? AND held = 1");
    this.#counts = sql.prepare(
      "SELECT state, count(*) AS jobs, total(unread) AS unread FROM jobs WHERE fanout = ? GROUP BY state",
    );
    this.#updateJob = sql.prepare(
      `UPDATE jobs SET state = ?, status = ?, stdout = ?, stderr = ?, timeline = ?, unread = ?, held = ?, collected = ?,
       waiting = ?, begun = ? WHERE fanout = ? AND host = ?`,
    );
    this.#deleteJobs = sql.prepare("DELETE FROM jobs WHERE fanout = ?");
  }

  insert(record: FanOutRecord, jobs: Iterable<JobRecord>): void {
    const { id, name, operator, command, mode, createdAt, expiresAt, spec, hosts } = record;
    const { authorization, hadSecrets, request, rollout } = record;
    this.#insert.run(
      id,
      name ?? null,
      operator,
      command,
      mode,
      createdAt,
      expiresAt,
      spec ?? null,
      authorization ?? null,
      Number(hadSecrets),
      request ?? null,
      hosts,
      rollout === undefined ? null : JSON.stringify(rollout),
    );
    for (const { host, position, hostName, status, held, turn } of jobs) {
      const packed = packStatus(status);
      this.#insertJob.run(
        id,
        host,
        position,
        hostName,
        status.state,
        packed,
        Number(held),
        turns.indexOf(turn),
      );
    }
  }

  byId(id: JobId): FanOutRecord | undefined {
    const row = this.#byId.get(id) as unknown as FanOutRow | undefined;
    return row === undefined ? undefined : toFanOut(row);
  }

  /** The ids that begin with `prefix`, at most `limit`. */
  idsByPrefix(prefix: string, limit: number): JobId[] {
    return (this.#byPrefix.all(prefix, prefix, limit) as unknown as { id: JobId }[]).map(({ id }) => id);
  }

  /** The ids of the fan-out jobs of that name, the newest first, at most `limit`. */
  idsByName(name: string, limit: number): JobId[] {
    return (this.#byName.all(name, limit) as unknown as { id: JobId }[]).map(({ id }) => id);
  }

  /** Those for which something is left to do. */
  unfinished(): FanOutRecord[] {
    return (this.#unfinished.all() as unknown as FanOutRow[]).map(toFanOut);
  }

  /** Those that fit and are not removed, the newest first; read as far as the caller goes. */
  *list({ name, before, after }: FanOutFilter): Generator<FanOutRecord> {
    for (const row of this.#list.iterate(name ?? null, before ?? null, after ?? null)) {
      yield toFanOut(row as unknown as FanOutRow);
    }
  }

  update(record: FanOutRecord, finished: boolean): void {
    const { spec, authorization, endedAt, inputSize, inputError, removedBy, rollout, id } = record;
    const error = inputError === undefined ? null : JSON.stringify(inputError);
    this.#update.run(
      spec ?? null,
      authorization ?? null,
      endedAt ?? null,
      inputSize ?? null,
      error,
      removedBy ?? null,
      rollout === undefined ? null : JSON.stringify(rollout),
      Number(finished),
      id,
    );
  }

  delete(id: JobId): void {
    this.#deleteJobs.run(id);
    this.#delete.run(id);
  }

  /** Finished ones that ended before `time`. */
  endedBefore(time: number): JobId[] {
    return (this.#old.all(time) as unknown as { id: JobId }[]).map(({ id }) => id);
  }

  /** Keeps the specs of the newest finished ones, as many as are `bytes` together. */
  forgetSpecs(bytes: number): void {
    this.#forgetSpecs.run(bytes);
  }

  /** In the order of the plan. */
  jobs(id: JobId): JobRecord[] {
    return (this.#jobs.all(id) as unknown as JobRow[]).map(toJob);
  }

  job(id: JobId, host: HostId): JobRecord | undefined {
    const row = this.#job.get(id, host) as unknown as JobRow | undefined;
    return row === undefined ? undefined : toJob(row);
  }

  /** Where its jobs run, in no order; read as far as the caller goes. */
  *hosts(id: JobId): Generator<Pick<JobRecord, "host" | "hostName">> {
    for (const row of this.#hosts.iterate(id)) yield row as unknown as Pick<JobRecord, "host" | "hostName">;
  }

  /** The fan-out jobs of which the host may still hold its job. */
  heldBy(host: HostId): JobId[] {
    return (this.#held.all(host) as unknown as { fanout: JobId }[]).map(({ fanout }) => fanout);
  }

  counts(id: JobId): StateCount[] {
    return this.#counts.all(id) as unknown as StateCount[];
  }

  updateJob(record: JobRecord): void {
    const { fanOut, host, status, received, unread, held, collected, waiting, turn } = record;
    this.#updateJob.run(
      status.state,
      packStatus(status),
      received.stdout,
      received.stderr,
      received.timeline,
      unread,
      Number(held),
      Number(collected),
      waiting === undefined ? null : JSON.stringify(waiting),
      turns.indexOf(turn),
      fanOut,
      host,
    );
  }
}

/** The job's id is the row's; repeating it in each of a thousand rows would be half of their size. */
function packStatus(status: JobStatus): string {
  return JSON.stringify({ ...status, job: undefined });
}

function toFanOut(row: FanOutRow): FanOutRecord {
  return {
    id: row.id,
    name: row.name ?? undefined,
    operator: row.operator,
    command: row.command,
    mode: row.mode,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    spec: row.spec ?? undefined,
    authorization: row.authorization ?? undefined,
    hadSecrets: row.had_secrets === 1,
    request: row.request ?? undefined,
    hosts: row.hosts,
    endedAt: row.ended_at ?? undefined,
    inputSize: row.input_size ?? undefined,
    inputError: row.input_error === null ? undefined : (JSON.parse(row.input_error) as WireError),
    removedBy: row.removed_by ?? undefined,
    rollout: row.rollout === null ? undefined : (JSON.parse(row.rollout) as RolloutRecord),
  };
}

function toJob(row: JobRow): JobRecord {
  return {
    fanOut: row.fanout,
    host: row.host,
    position: row.position,
    hostName: row.host_name,
    status: { job: row.fanout, ...(JSON.parse(row.status) as Omit<JobStatus, "job">) },
    received: { stdout: row.stdout, stderr: row.stderr, timeline: row.timeline },
    unread: row.unread,
    held: row.held === 1,
    collected: row.collected === 1,
    waiting: row.waiting === null ? undefined : (JSON.parse(row.waiting) as Waiting),
    turn: turns[row.begun] ?? "begun",
  };
}
