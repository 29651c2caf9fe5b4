/** What an agent says of itself to programs on its own host. */
import * as v from "valibot";
import { WireError } from "../errors.ts";
import { Time } from "./stream.ts";

/** As the agent's connection.ts draws them. */
export const AgentConnectionState = v.picklist([
  "dialing",
  "greeting",
  "reporting",
  "connected",
  "waiting",
  "stopped",
]);
export type AgentConnectionState = v.InferOutput<typeof AgentConnectionState>;

/** How an agent is. */
export type AgentStatus = v.InferOutput<typeof AgentStatus>;
export const AgentStatus = v.object({
  /** The software that runs, e.g. `outpost-agent 0.2.0`: another one may be installed by now. */
  software: v.pipe(v.string(), v.maxLength(128)),
  pid: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  /** When it started. */
  startedAt: Time,
  /** How it is connected to its controller. */
  connection: v.object({
    state: AgentConnectionState,
    /** Since when it is connected, or is not. */
    since: Time,
    /** Why the last connection ended or did not come about; absent while there is one. */
    error: v.optional(WireError),
  }),
  /** How the host's own programs (`facts.d`) did. */
  facts: v.optional(
    v.object({
      /** When they had ended last; absent: they run for the first time. */
      gatheredAt: v.optional(Time),
      /** How many facts they gave. */
      custom: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
      problems: v.array(
        v.object({
          file: v.string(),
          /** The end of a sentence that begins with the file's name. */
          message: v.string(),
        }),
      ),
    }),
  ),
});
