/** What handlers work with. They hold no state of their own. */
import type { agentMethods, controllerAgentMethods, Peer } from "@outpost/protocol";
import type { Jobs } from "../jobs/jobs.ts";

/** The connection as the agent sees it. */
export type AgentPeer = Peer<typeof agentMethods, typeof controllerAgentMethods>;

/** What the connection and its handlers ask of the job store; tests give their own. */
export type HeldJobs = Pick<
  Jobs,
  "start" | "read" | "acknowledge" | "status" | "list" | "stop" | "remove" | "input" | "onChanged"
>;
