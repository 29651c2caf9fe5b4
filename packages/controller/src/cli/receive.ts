/** Receives a job's output, and says what it means when there is none. */
import { ExitCode } from "../client/exit-code.ts";
import type { Client, Job, ReceiveOptions, SummaryEvent } from "../client/index.ts";
import { dieOfInterrupt, onInterrupt } from "./interrupts.ts";
import type { RendererOptions } from "./render/renderer.ts";
import { rendererFor } from "./render/renderer-for.ts";
import { foldedNames } from "./render/names.ts";
import { say } from "./render/sink.ts";
import type { RolloutFollower } from "./rollout-follower.ts";

export interface ReceiveCommandOptions {
  readonly follow: boolean;
  readonly keep: boolean;
  readonly host: readonly string[];
  readonly stream: "both" | "stdout" | "stderr";
  readonly timestamps: boolean;
  readonly "from-start": boolean;
  readonly remove: boolean;
}

/** @returns the exit code */
export async function receiveJob(
  client: Client,
  job: Job,
  options: ReceiveCommandOptions,
  rendering: RendererOptions,
): Promise<number> {
  const renderer = await rendererFor(rendering);
  const narrates = rendering.format !== "json" && rendering.format !== "ndjson";
  const ending = new AbortController();
  const leave = (): void =>
    void renderer
      .interrupted()
      .catch(() => {})
      .finally(() => ending.abort());
  using _interrupts = onInterrupt((count) => (count === 1 ? leave() : dieOfInterrupt()));
  using follower = options.follow ? await followerOf(job, narrates) : undefined;
  let isEmpty = true;
  let summary: SummaryEvent | undefined;
  try {
    const unwritten = renderer.unwritten.bind(renderer);
    for await (const event of job.receive({ ...receiveOptions(options), unwritten, signal: ending.signal })) {
      isEmpty &&= event.type !== "out" && event.type !== "gap";
      if (event.type === "summary") {
        summary = event;
        if (narrates) await explain(job, options, isEmpty, event);
      }
      await renderer.event(event);
      await follower?.event(event);
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

/** Whoever looks on is told how the roll-out goes, and asked nothing: that is for whoever has started it. */
async function followerOf(job: Job, narrates: boolean): Promise<RolloutFollower | undefined> {
  if (job.rollout === undefined) return undefined;
  const { RolloutFollower } = await import("./rollout-follower.ts");
  return new RolloutFollower({ job, asks: false, narrates, leave: () => {} });
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
  { running, queued }: SummaryEvent,
): Promise<void> {
  const nothing = options["from-start"] ? "no output yet" : "nothing new since the last receive";
  if (running.length + queued.length > 0 && !options.follow) {
    const again = `take it up again with: outpost job receive ${job.id} --follow`;
    const still = [
      ...(running.length === 0 ? [] : [`${await foldedNames(running)} still running`]),
      ...(queued.length === 0
        ? []
        : [`${await foldedNames(queued)} still waiting for ${await waitText(job)}`]),
    ].join("; ");
    await say(`${isEmpty ? `${nothing}; ` : ""}${still}; ${again}`);
  } else if (isEmpty) {
    await say(nothing);
  }
}

/** What jobs that have not begun wait for. */
async function waitText({ rollout, name, id, hosts }: Job): Promise<string> {
  if (rollout === undefined) return "the host to come back";
  if (rollout.state !== "paused") return "their turn";
  const { pausedText } = await import("./rollout-notices.ts");
  return `their turn (${pausedText(rollout, hosts.length)}: outpost job resume ${name ?? id})`;
}

async function remove(job: Job, summary: SummaryEvent | undefined): Promise<void> {
  if (summary === undefined || summary.running.length + summary.queued.length > 0) {
    await say("not removed: it has not ended");
    return;
  }
  await job.remove();
}
