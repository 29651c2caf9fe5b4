/** What handlers work with. They hold no state of their own. */
import type { agentMethods, controllerAgentMethods, Peer } from "@outpost/protocol";
import type { Jobs } from "../jobs/jobs.ts";
import type { Sessions } from "../sessions/sessions.ts";

/** The connection as the agent sees it. */
export type AgentPeer = Peer<typeof agentMethods, typeof controllerAgentMethods>;

/** What the connection and its handlers ask of the job store; tests give their own. */
export type HeldJobs = Pick<
  Jobs,
  "start" | "read" | "acknowledge" | "status" | "known" | "list" | "stop" | "remove" | "input" | "onChanged"
>;

/** What the connection and its handlers ask of the sessions; tests give their own. */
export type HeldSessions = Pick<
  Sessions,
  | "list"
  | "find"
  | "onEvent"
  | "open"
  | "connection"
  | "resize"
  | "setRole"
  | "acknowledge"
  | "disconnect"
  | "remove"
  | "ready"
>;
