/** Receives a job's output, and says what it means when there is none. */
import { ExitCode } from "../client/exit-code.ts";
import type { Job, ReceiveOptions, SummaryEvent } from "../client/index.ts";
import type { OutputFormat } from "./command.ts";
import { dieOfInterrupt, onInterrupt } from "./interrupts.ts";
import { rendererFor } from "./render/renderer.ts";
import { namesText } from "./render/summary.ts";
import { say } from "./render/sink.ts";

export interface ReceiveCommandOptions {
  readonly follow: boolean;
  readonly keep: boolean;
  readonly host: readonly string[];
  readonly stream: "both" | "stdout" | "stderr";
  readonly timestamps: boolean;
  readonly "from-start": boolean;
  readonly remove: boolean;
  readonly output: OutputFormat;
}

/** @returns the exit code */
export async function receiveJob(job: Job, options: ReceiveCommandOptions): Promise<number> {
  const { output: format, timestamps } = options;
  const renderer = await rendererFor({ format, timestamps });
  const ending = new AbortController();
  using _interrupts = onInterrupt((count) => (count === 1 ? ending.abort() : dieOfInterrupt()));
  let isEmpty = true;
  let summary: SummaryEvent | undefined;
  try {
    const unwritten = renderer.unwritten.bind(renderer);
    for await (const event of job.receive({ ...receiveOptions(options), unwritten, signal: ending.signal })) {
      isEmpty &&= event.type !== "out" && event.type !== "gap";
      if (event.type === "summary") {
        summary = event;
        if (format === "text") await explain(job, options, isEmpty, event);
      }
      await renderer.event(event);
    }
  } catch (error) {
    if (!ending.signal.aborted) throw error;
    await renderer.finish();
    await say(`interrupted; nothing is lost. Take it up again with: outpost job receive ${job.id} --follow`);
    return ExitCode.interrupted;
  }
  await renderer.finish();
  if (options.remove) await remove(job, summary);
  return summary?.exitCode ?? ExitCode.unknown;
}

function receiveOptions(options: ReceiveCommandOptions): ReceiveOptions {
  const { follow, keep, host, stream, timestamps } = options;
  return {
    follow,
    keep,
    timestamps,
    fromStart: options["from-start"],
    ...(host.length === 0 ? {} : { hosts: [...new Set(host)] }),
    ...(stream === "both" ? {} : { streams: [stream] }),
  };
}

/** What is not to be seen from the output. */
async function explain(
  job: Job,
  options: ReceiveCommandOptions,
  isEmpty: boolean,
  { running }: SummaryEvent,
): Promise<void> {
  const nothing = options["from-start"] ? "no output yet" : "nothing new since the last receive";
  if (running.length > 0 && !options.follow) {
    const again = `take it up again with: outpost job receive ${job.id} --follow`;
    await say(`${isEmpty ? `${nothing}; ` : ""}${namesText(running)} still running; ${again}`);
  } else if (isEmpty) {
    await say(nothing);
  }
}

async function remove(job: Job, summary: SummaryEvent | undefined): Promise<void> {
  if (summary === undefined || summary.running.length > 0) {
    await say("not removed: it has not ended");
    return;
  }
  await job.remove();
}
