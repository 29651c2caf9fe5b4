/**
 * `job.input`: bytes for a job's standard input, written to its spool on disk. Credit is granted as they are written,
 * so that no more than its window is held in memory whatever the sender has.
 */
import {
  type agentMethods,
  type Call,
  type IncomingStream,
  type JobInputParams,
  limits,
  OutpostError,
  WindowBudget,
} from "@outpost/protocol";
import type { AgentPeer, HeldJobs } from "./context.ts";

/** What may be on its way to all inputs of a connection together, in bytes: a host may run hundreds of jobs. */
const totalBytes = 32 * 1024 * 1024;
/** To each of very many, in bytes. */
const minWindowBytes = 64 * 1024;
/** To one of few, in bytes: a few chunks, so that the next ones come while one is written. */
const maxWindowBytes = 4 * limits.maxChunkBytes;

/** For one connection. */
export function inputWindows(): WindowBudget {
  return new WindowBudget({ totalBytes, minBytes: minWindowBytes, maxBytes: maxWindowBytes });
}

/**
 * Answers when the whole input is on disk. When the connection is cut or the sender cancels, what arrived stays, and
 * the next `job.input` goes on from there. Only an `end` with an error from the sender says that the rest will never come.
 */
export async function receiveInput(
  jobs: HeldJobs,
  peer: Pick<AgentPeer, "acceptStream">,
  params: JobInputParams,
  call: Call<typeof agentMethods, "job.input">,
  windows: WindowBudget,
): Promise<{ size: number }> {
  const spool = await jobs.input(params.job);
  call.signal.throwIfAborted();
  using window = windows.open();
  const start = { offset: spool.size, window: window.bytes };
  const done = Promise.withResolvers<{ size: number }>();
  let written = Promise.resolve();
  const fail = (error: unknown): void => {
    stream.ignore();
    done.reject(OutpostError.from(error));
  };
  const stream: IncomingStream = peer.acceptStream(params.stream, start, {
    chunk(offset, bytes) {
      written = written
        .then(() => spool.write(offset, bytes))
        .then(() => stream.grant(offset + bytes.byteLength + window.consumed(bytes.byteLength)));
      written.catch(fail);
    },
    end(error) {
      written
        .then(async () => {
          if (error === undefined) await spool.end();
          // Cut or cancelled is not the sender's word that the input is incomplete.
          else if (!call.signal.aborted) await spool.fail(error);
          if (error !== undefined) throw error;
          done.resolve({ size: spool.size });
        })
        .catch(fail);
    },
  });
  const onAbort = (): void => fail(call.signal.reason);
  call.signal.addEventListener("abort", onAbort);
  try {
    call.emit("input.ready", start);
    return await done.promise;
  } finally {
    call.signal.removeEventListener("abort", onAbort);
  }
}
