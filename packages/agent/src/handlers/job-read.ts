/** `job.read`: a job's output as streams, each with its own credit; the answer comes after all of them. */
import {
  type agentMethods,
  type Call,
  ErrorCode,
  type JobReadParams,
  type JobReadResult,
  OutpostError,
  type OutgoingStream,
} from "@outpost/protocol";
import type { ReadSink } from "../jobs/jobs.ts";
import type { AgentPeer, HeldJobs } from "./context.ts";
import type { SentBytes } from "./sent-bytes.ts";

/** @param sent counts the output that goes out */
export async function readJob(
  jobs: HeldJobs,
  peer: Pick<AgentPeer, "openStream">,
  params: JobReadParams,
  call: Call<typeof agentMethods, "job.read">,
  sent: SentBytes,
): Promise<JobReadResult> {
  const opened: OutgoingStream[] = [];
  const output = new Set<string>();
  const sink: ReadSink = {
    open(name, offset) {
      const stream = peer.openStream();
      opened.push(stream);
      call.emit("read.opened", { stream: stream.number, name, offset });
      stream.begin(offset, params.window);
      if (name !== "timeline") sent.opened(stream, offset);
      output.add(name);
      return stream;
    },
    gap(name, gap) {
      call.emit("read.gap", { name, gap });
      if (name !== "timeline" && output.has(name)) sent.gap(gap);
    },
  };
  try {
    const result = await jobs.read(params, sink, call.signal);
    sent.tail(result.tail);
    return result;
  } catch (error) {
    // A stream that just stops would look like one that is slow.
    const reason = OutpostError.from(error, ErrorCode.internal);
    for (const stream of opened) stream.end(reason);
    throw error;
  } finally {
    for (const stream of opened) stream.end();
  }
}
