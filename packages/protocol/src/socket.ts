/** The contract of a message socket: what a `Peer` needs of a connection. */

/** How much of a reason reaches the other side, in bytes: what a WebSocket's close frame holds (125 with its code). */
export const maxReasonBytes = 120;

/** The beginning of a reason that fits, cut at a character's edge. */
export function shortenReason(reason: string): string {
  return new TextDecoder().decode(Buffer.from(reason).subarray(0, maxReasonBytes)).replace(/\uFFFD+$/, "");
}

/**
 * An ordered, reliable, bidirectional pipe of binary messages that keeps their boundaries.
 *
 * A socket delivers nothing before `start`. After `start` it calls `message` for each message in order, and `closed`
 * exactly once, last. `closed` MUST come for every socket that was started, whoever ended it.
 */
export interface MessageSocket {
  /** Begins delivery. Called once. */
  start(events: SocketEvents): void;
  /** Queues a message. After the socket has ended it is dropped silently: `closed` says so. */
  send(message: Uint8Array): void;
  /** Bytes queued and not yet handed to the kernel. */
  readonly bufferedBytes: number;
  /** Ends gracefully: what is queued is sent first. `reason` (at most `maxReasonBytes` are kept) reaches the other side. */
  close(reason: string): void;
  /** Ends now; what is queued is lost. */
  abort(): void;
}

export interface SocketEvents {
  message(bytes: Uint8Array): void;
  /** Bytes came from the other side, perhaps not a whole message yet: it lives. */
  heard?(): void;
  /** The queue has shrunk; `bufferedBytes` says to what. MUST come each time something was written out. */
  drained(): void;
  /** The socket has ended. `reason` is a sentence, and the other side's when it gave one. */
  closed(reason: string): void;
}
