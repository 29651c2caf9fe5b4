/** `outpost-agent job receive`: a job's output, from where the last receive ended, here or at the controller. */
import type { Gap, JobStatus, OutputName } from "@outpost/protocol";
import type { AgentClient } from "../local/agent-client.ts";
import { type OutputTaker, Receive } from "../local/receive.ts";
import { ExitCode } from "./exit-code.ts";
import { jobExitCode } from "./job-exit-code.ts";
import { findJob } from "./job-find.ts";
import { withAgent } from "./job-session.ts";
import type { JobIdOptions } from "./job-show.ts";
import { isEnded, jobDocument, stateText } from "./job-text.ts";
import { print, say, writeOut } from "./output.ts";

export interface JobReceiveOptions extends JobIdOptions {
  readonly follow: boolean;
  readonly keep: boolean;
}

/** @returns the exit code. @throws OutpostError as `findJob`; the system's error when the output cannot be written */
export function receiveJob(options: JobReceiveOptions): Promise<number> {
  return withAgent(options.dir, async (client, signal) => {
    const status = await client.ask((agent) => findJob(agent, options.id));
    const received = options.output === "json" ? receiveDocument : receiveText;
    return received(options, client, status, signal);
  });
}

/** To stdout and stderr as it comes; acknowledged as it is written. */
async function receiveText(
  { follow, keep }: JobReceiveOptions,
  client: AgentClient,
  { job, output }: JobStatus,
  signal: AbortSignal,
): Promise<number> {
  const from = { stdout: output.stdout.received, stderr: output.stderr.received };
  const receive = new Receive({
    client,
    job,
    from,
    follow,
    signal,
    acknowledging: !keep,
    taker: { write: writeOut, gap: async (name, gap) => say(gapText(name, gap)) },
  });
  try {
    const status = await receive.run();
    if (!keep) await receive.acknowledge();
    await explain(status, receive.isEmpty, follow);
    return jobExitCode(status);
  } catch (error) {
    if (!signal.aborted) throw error;
    // What was written by now is acknowledged, if the agent is there.
    if (!keep) await receive.acknowledge().catch(() => {});
    await say(
      `interrupted; nothing is lost. Take it up again with: outpost-agent job receive ${job} --follow`,
    );
    return ExitCode.interrupted;
  }
}

/** What is not to be seen from the output. */
async function explain(status: JobStatus, isEmpty: boolean, follow: boolean): Promise<void> {
  if (isEnded(status)) {
    if (isEmpty) await say("nothing new since the last receive");
    if (status.state !== "completed") await say(`${status.job}: ${stateText(status)}`);
    return;
  }
  if (follow) return;
  const again = `take it up again with: outpost-agent job receive ${status.job} --follow`;
  await say(`${isEmpty ? "nothing new since the last receive; " : ""}still running; ${again}`);
}

/** One document at the end, acknowledged once it is written. Holds the whole output in memory. */
async function receiveDocument(
  { follow, keep, output: format }: JobReceiveOptions,
  client: AgentClient,
  { job, output }: JobStatus,
  signal: AbortSignal,
): Promise<number> {
  const from = { stdout: output.stdout.received, stderr: output.stderr.received };
  const pieces: Record<OutputName, Uint8Array[]> = { stdout: [], stderr: [] };
  const gaps: object[] = [];
  const taker: OutputTaker = {
    write: async (name, bytes) => void pieces[name].push(bytes),
    gap: async (stream, gap) => void gaps.push({ stream, ...gap }),
  };
  const receive = new Receive({ client, job, from, follow, acknowledging: false, taker, signal });
  let status: JobStatus;
  try {
    status = await receive.run();
  } catch (error) {
    if (!signal.aborted) throw error;
    await say("interrupted; nothing was received");
    return ExitCode.interrupted;
  }
  const exitCode = jobExitCode(status);
  const document = {
    ...jobDocument(status),
    ended: isEnded(status),
    exitCode,
    stdout: bytesDocument(pieces.stdout),
    stderr: bytesDocument(pieces.stderr),
    ...(gaps.length === 0 ? {} : { gaps }),
  };
  await print(format, document, "");
  if (!keep) await receive.acknowledge();
  return exitCode;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** `{text}` when the bytes are valid UTF-8, else `{base64}`; as `outpost` has it. */
function bytesDocument(pieces: readonly Uint8Array[]): { text: string } | { base64: string } {
  const bytes = Buffer.concat(pieces);
  try {
    return { text: utf8.decode(bytes) };
  } catch {
    return { base64: bytes.toString("base64") };
  }
}

const gapReasons: Readonly<Record<Gap["reason"], string>> = {
  evicted: "made room for newer jobs",
  removed: "removed",
  truncated: "the file was shortened on the host",
  received: "received before, and forgotten by the host",
};

function gapText(name: OutputName, { from, to, reason }: Gap): string {
  return `${String(to - from)} bytes of ${name} (${String(from)} to ${String(to)}) are missing: ${gapReasons[reason]}`;
}
