/** The sessions of a directory, read without touching them: the session host may be at work there. */
import { readdir } from "node:fs/promises";
import { SessionId, type SessionName, type SessionState } from "@outpost/protocol";
import * as v from "valibot";
import type { Platform } from "../platform/index.ts";
import { SessionDirectory, type SessionRecord } from "../session-host/session-directory.ts";

export interface HeldSession {
  readonly session: SessionId;
  readonly name?: SessionName;
  readonly operator: string;
  /** `live`: it has a shell. `unsettled`: its shell is gone, and how it ended is not on record yet: the session host
   * concludes that. */
  readonly state: "live" | "unsettled" | SessionState;
  readonly shell: string;
  /** ISO 8601. */
  readonly createdAt: string;
}

/** The oldest first. One whose record is damaged is left out: nothing is known of it. */
export async function heldSessions(root: string, platform: Platform): Promise<HeldSession[]> {
  const names = await readdir(root).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names
    .filter((name) => v.is(SessionId, name))
    .map((name) => new SessionDirectory(root, name).read())
    .filter((record) => record !== undefined)
    .toSorted((a, b) => a.createdAt - b.createdAt)
    .map((record) => held(record, platform));
}

function held(record: SessionRecord, platform: Platform): HeldSession {
  const { session, spec, operator, shell, createdAt } = record;
  return {
    session,
    ...(spec.name === undefined ? {} : { name: spec.name }),
    operator,
    state: stateOf(record, platform),
    shell,
    createdAt: new Date(createdAt).toISOString(),
  };
}

function stateOf({ end, bootId, process }: SessionRecord, platform: Platform): HeldSession["state"] {
  if (end !== undefined) return end.state;
  if (process === undefined || bootId !== platform.bootId) return "unsettled";
  return platform.startTime(process.pid) === process.startTime ? "live" : "unsettled";
}
