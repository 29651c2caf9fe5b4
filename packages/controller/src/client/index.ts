/**
 * Outpost's client library.
 *
 *     import { connect } from "@outpost/controller/client";
 *
 *     await using client = await connect();
 *     const job = await client.start({ targets: "role=web", command: { kind: "shell", text: "df -h /" } });
 *     for await (const event of job.receive({ follow: true })) console.log(event);
 */
export { Client, connect, type ConnectOptions, type StartOptions } from "./client.ts";
export { type Context, defaultContextDirectory, readContext, writeContext } from "./context.ts";
export type {
  ExitEvent,
  GapEvent,
  JobEvent,
  NoticeEvent,
  OutEvent,
  PlanEvent,
  StartEvent,
  SummaryEvent,
} from "./events.ts";
export { ExitCode, exitCodeOf } from "./exit-code.ts";
export type { InputSource } from "./input.ts";
export { Job, type JobView } from "./job.ts";
export type { ReceiveOptions } from "./receive.ts";
export { version } from "./version.ts";
