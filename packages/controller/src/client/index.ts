/**
 * Outpost's client library.
 *
 *     import { connect } from "@outpost/controller/client";
 *
 *     await using client = await connect();
 *     const job = await client.start({ targets: "role=web", command: { kind: "shell", text: "df -h /" } });
 *     for await (const event of job.receive({ follow: true })) console.log(event);
 */
export { type AsciicastEvent, type AsciicastHeader, readAsciicast } from "./asciicast.ts";
export type { Attachment, AttachOptions } from "./attachment.ts";
export {
  type AddedOperator,
  type AddOperatorOptions,
  Administration,
  type ControllerAbout,
  type CreateTokenOptions,
  type ExplainPolicyOptions,
} from "./administration.ts";
export { Client } from "./client.ts";
export { connect, type ConnectOptions } from "./connect.ts";
export { type Context, readContext, writeContext } from "./context.ts";
export { type ContextEntry, type ContextInUse, Contexts } from "./contexts.ts";
export type { Copy, CopyEventsOptions, CopyFromOptions, CopyToOptions, ResumeCopyOptions } from "./copy.ts";
export type { CopiedEvent, CopyEvent, CopyExitEvent, ProblemEvent, ProgressEvent } from "./copy-events.ts";
export type { EnterOptions } from "./enter.ts";
export type {
  CheckEvent,
  ExitEvent,
  GapEvent,
  JobEvent,
  NoticeCode,
  NoticeEvent,
  OutEvent,
  PlanEvent,
  RolloutEvent,
  StartEvent,
  SummaryEvent,
} from "./events.ts";
export { ExitCode, exitCodeOf, exitCodeOfShell, type Outcome, outcomeOf } from "./exit-code.ts";
export type { InputSource } from "./input.ts";
export { Job, type JobView } from "./job.ts";
export type { Plan, PlannedHost, PlanOptions } from "./plan.ts";
export type { ReceiveOptions } from "./receive.ts";
export type { SecretOptions } from "./secrets.ts";
export type { Session, SessionReceiveOptions } from "./session.ts";
export type {
  AttachmentEvent,
  SessionChangedEvent,
  SessionEndEvent,
  SessionGapEvent,
  SessionNoticeEvent,
  SessionOpenedEvent,
  SessionOutputEvent,
  SessionReceivedEvent,
  SessionReceiveEvent,
  SessionRepaintEvent,
} from "./session-events.ts";
export { signIn, type SignInOptions } from "./sign-in.ts";
export { decodeBundle, isBundle } from "./sign-in-bundle.ts";
export type { OpenedSession, OpenSessionOptions, SessionSettings } from "./sessions.ts";
export type { StartOptions, WorkOptions } from "./start.ts";
export { version } from "./version.ts";
