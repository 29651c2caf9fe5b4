/** The agent as a library: for tests and benchmarks that run agents in their own process. */
export { Agent, type AgentOptions } from "./agent.ts";
export type { ConnectionState } from "./connection-state.ts";
export { writeConfig, type WrittenConfig } from "./config.ts";
export { Connection, type ConnectionOptions } from "./connection.ts";
export { writeCredentials, type Credentials } from "./credentials.ts";
export { agentPaths, type AgentPaths } from "./directory.ts";
export { enrol, type Enrolment, type EnrolOptions } from "./enrolment.ts";
export type { HeldJobs, HeldSessions } from "./handlers/context.ts";
export { parseToken, type Token } from "./token.ts";
export { Jobs, defaultJobSettings, type JobSettings, type JobsOptions } from "./jobs/index.ts";
