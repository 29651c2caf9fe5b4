/**
 * A session's directory: names, and the small record that says what it was when nobody is left who knows.
 *
 *     sessions/<id>/
 *       session.json      spec, operator, boot, shell, and once it has ended: how
 *       seen.json         which output somebody has seen
 *       output/           terminal output by offset             output-log.ts
 *       recording.cast    asciicast v2, if asked for            recording.ts
 *       shell/            start-up files of the shell           shell/
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  ConfigurationName,
  Exit,
  SessionEnd,
  SessionId,
  SessionSpec,
  SessionState,
  ShellIntegration,
  Time,
  UserName,
} from "@outpost/protocol";
import * as v from "valibot";
import { readSmallFile, replaceSmallFile } from "../jobs/small-file.ts";
import { type Range, SeenRanges } from "./seen-ranges.ts";

export type SessionRecord = v.InferOutput<typeof SessionRecord>;
const SessionRecord = v.object({
  session: SessionId,
  spec: SessionSpec,
  operator: v.string(),
  createdAt: Time,
  /** The boot of the host in which it was opened. */
  bootId: v.string(),
  /** Absolute. */
  shell: v.string(),
  integration: ShellIntegration,
  /** The configuration that it was opened under, when that is not the default. */
  configuration: v.optional(ConfigurationName),
  /** As whom its shell runs, when that is not the agent's user. */
  user: v.optional(UserName),
  /** What it is held to, whatever becomes of its configuration. */
  limits: v.optional(
    v.object({
      idleMs: v.optional(v.number()),
      timeMs: v.optional(v.number()),
      outputBytes: v.optional(v.number()),
    }),
  ),
  /** The shell, once it was started: leader of the terminal's session. */
  process: v.optional(v.object({ pid: v.number(), startTime: v.string() })),
  end: v.optional(
    v.object({
      state: SessionState,
      endedAt: Time,
      activeAt: Time,
      exit: v.optional(Exit),
      reason: SessionEnd,
    }),
  ),
});
export type EndRecord = NonNullable<SessionRecord["end"]>;

const Seen = v.array(v.object({ from: v.number(), to: v.number() }));

export class SessionDirectory {
  readonly path: string;

  /** @param root where all sessions' directories are */
  constructor(root: string, session: string) {
    this.path = join(root, session);
  }

  get output(): string {
    return join(this.path, "output");
  }

  get recording(): string {
    return join(this.path, "recording.cast");
  }

  get shell(): string {
    return join(this.path, "shell");
  }

  create(): void {
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
  }

  write(record: SessionRecord): void {
    replaceSmallFile(join(this.path, "session.json"), record);
  }

  /** `undefined` when it is not there or damaged: then nothing is known of that session. */
  read(): SessionRecord | undefined {
    return readSmallFile(join(this.path, "session.json"), SessionRecord);
  }

  writeSeen(ranges: readonly Range[]): void {
    replaceSmallFile(join(this.path, "seen.json"), ranges);
  }

  readSeen(): SeenRanges {
    return new SeenRanges(readSmallFile(join(this.path, "seen.json"), Seen));
  }

  /** What the shell was started with: of no use once it has ended. */
  removeShell(): void {
    rmSync(this.shell, { recursive: true, force: true });
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
