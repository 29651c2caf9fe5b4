/** A stream that goes on to another connection: bytes one way, credit the other, nothing kept between. */
import { ErrorCode, OutpostError } from "./errors.ts";
import type { IncomingStart, IncomingStream, OutgoingStream, StreamReceiver } from "./stream.ts";

/** The connection on which the bytes come, as far as a relay needs it. */
export interface StreamSource {
  acceptStream(number: number, start: IncomingStart, receiver: StreamReceiver): IncomingStream;
}

/** As an incoming stream's, but never packed: bytes pass as they are. */
export type RelayedStart = Omit<IncomingStart, "packed">;

/**
 * Passes the stream `number` of `source` on as `out`, whose receiver's credit reaches the source's sender: at most one
 * window is on its way, however slow the receiver. Call it in the listener of the event that announced the stream,
 * after `out.begin`, at the same offset and with a window that is not smaller than `start.window`. The end of the
 * source's stream, its connection's included, passes on to `out`. When `out` ends first, what still comes is dropped;
 * taking the source's request back is the caller's.
 * @param passed told how many bytes have gone on, chunk by chunk
 * @returns the incoming stream, for `relayGap`
 */
export function relayStream(
  source: StreamSource,
  number: number,
  start: RelayedStart,
  out: OutgoingStream,
  passed: (bytes: number) => void = () => {},
): IncomingStream {
  const incoming = source.acceptStream(number, start, {
    chunk(_offset, bytes) {
      if (out.ended) return incoming.ignore();
      out.send(bytes);
      passed(bytes.byteLength);
    },
    end: (error) => out.end(error),
  });
  out.onCredit((upTo) => incoming.grant(upTo));
  incoming.grant(out.offset + out.sendable);
  return incoming;
}

/**
 * An announced gap in a relayed stream. Call it in the listener of its event, after passing the event on.
 * @throws OutpostError `protocol_error` when the gap lies behind what has come, which ends the source's connection
 */
export function relayGap(incoming: IncomingStream, out: OutgoingStream, to: number): void {
  if (to < incoming.offset) {
    throw new OutpostError(
      ErrorCode.protocolError,
      `a gap up to ${String(to)}, where ${String(incoming.offset)} was due`,
    );
  }
  incoming.skipTo(to);
  out.skipTo(to);
  incoming.grant(out.offset + out.sendable);
}
