/** `fanout.input`: an operator's stream into the spool. Credit is granted as bytes are written. */
import {
  type Call,
  type controllerOperatorMethods,
  type IncomingStream,
  OutpostError,
  type StreamReceiver,
  WindowBudget,
} from "@outpost/protocol";
import type { InputSpool } from "./input-spool.ts";

export interface InputSource {
  acceptStream(
    number: number,
    start: { offset: number; window: number },
    receiver: StreamReceiver,
  ): IncomingStream;
  readonly isOpen: boolean;
}

/** What may be on its way from all operators together, in bytes. */
const totalBytes = 64 * 1024 * 1024;
/** For each of very many inputs, in bytes. */
const minWindowBytes = 64 * 1024;
/** For one of few, in bytes: enough for 40 MB/s over 100 ms. */
const maxWindowBytes = 4 * 1024 * 1024;

/** For one controller. */
export function inputWindows(): WindowBudget {
  return new WindowBudget({ totalBytes, minBytes: minWindowBytes, maxBytes: maxWindowBytes });
}

/**
 * Resolves when all of it is on disk.
 * @throws OutpostError the operator's own when it says that the rest will never come, the spool's. After a cut or a
 * cancelled request the spool stays open: the operator goes on from its size.
 */
export async function receiveInput(
  spool: InputSpool,
  streamNumber: number,
  source: InputSource,
  call: Call<typeof controllerOperatorMethods, "fanout.input">,
  windows: WindowBudget,
): Promise<{ size: number }> {
  const done = Promise.withResolvers<void>();
  let writing: Promise<void> = Promise.resolve();
  const fail = (error: unknown): void => {
    stream.ignore();
    done.reject(OutpostError.from(error));
  };
  using window = windows.open();
  const start = { offset: spool.size, window: window.bytes };
  const stream = source.acceptStream(streamNumber, start, {
    chunk(offset, bytes) {
      writing = writing.then(async () => {
        await spool.write(offset, bytes);
        stream.grant(offset + bytes.byteLength + window.consumed(bytes.byteLength));
      });
      writing.catch((error: unknown) => {
        // A full disk or the limit: it will not get better by sending again.
        spool.fail(OutpostError.from(error));
        fail(error);
      });
    },
    end(error) {
      // A cut or a withdrawn request is not the operator's word that there is no more.
      const isFinal = error !== undefined && source.isOpen && !call.signal.aborted;
      writing.then(() => {
        if (isFinal) spool.fail(error);
        if (error === undefined) done.resolve();
        else fail(error);
      }, fail);
    },
  });
  const onAbort = (): void => fail(call.signal.reason);
  call.signal.addEventListener("abort", onAbort);
  try {
    call.emit("input.ready", start);
    await done.promise;
    await spool.sync();
    return { size: spool.size };
  } finally {
    call.signal.removeEventListener("abort", onAbort);
  }
}
