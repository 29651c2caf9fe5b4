/**
 * Message sockets over a Unix socket, for processes of one host; `length-prefix.ts` keeps the messages apart. Who may
 * connect is decided by the permissions of the socket's directory: nothing else tells who the other side is.
 */
import { chmodSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { ErrorCode, OutpostError } from "./errors.ts";
import { encodeReason, LengthPrefixReader, messageHeader } from "./length-prefix.ts";
import { type MessageSocket, shortenReason, type SocketEvents } from "./socket.ts";

/** The longest path of a socket, in bytes: `sun_path` holds 108 on Linux, 104 on macOS, with a NUL at the end. A longer
 * one is `invalid_argument`. */
export const maxUnixPathBytes = process.platform === "darwin" ? 103 : 107;

/** How long an ending may take, what is queued included, in milliseconds, before the socket is destroyed. As long as a
 * WebSocket's. */
const closeTimeoutMs = 5_000;

/** What the other side's death looks like: no error worth a sentence of its own, but a cut. */
const cutCodes: ReadonlySet<string | undefined> = new Set(["EPIPE", "ECONNRESET"]);

/**
 * Connects to a process of this host.
 * @throws OutpostError `disconnected` when nobody listens there; `denied` when this user may not open it; `busy` when
 * more wait there than the kernel lets; `invalid_argument` for a path that is too long; the signal's reason
 */
export async function dialUnixSocket(path: string, signal?: AbortSignal): Promise<MessageSocket> {
  checkPath(path);
  if (signal?.aborted === true) throw OutpostError.from(signal.reason, ErrorCode.cancelled);
  const { promise, resolve, reject } = Promise.withResolvers<MessageSocket>();
  const socket = connect({ path });
  const onAbort = (): void => {
    reject(OutpostError.from(signal?.reason, ErrorCode.cancelled));
    socket.destroy();
  };
  const onError = (error: NodeJS.ErrnoException): void => reject(dialError(path, error));
  signal?.addEventListener("abort", onAbort);
  socket.on("error", onError);
  socket.on("connect", () => {
    resolve(new UnixSocket(socket));
    socket.off("error", onError);
  });
  try {
    return await promise;
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

/**
 * Listens at a path, which MUST be in a directory that only its owner may enter: between the socket's creation and its
 * mode of 0600 there is a moment. What lies at the path is replaced, so whoever asks MUST have made sure that nobody
 * else listens there. Closing the server removes the path and leaves the sockets that were accepted.
 * @throws OutpostError `denied` when this user may not write there; `invalid_argument` for a path that is too long, or
 * in no directory
 */
export async function listenUnixSocket(
  path: string,
  onSocket: (socket: MessageSocket) => void,
): Promise<Server> {
  checkPath(path);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const server = createServer((socket) => onSocket(new UnixSocket(socket)));
  // Stays: an accept that fails later (too many open files) is an error event, too, and unheard it would end the
  // process. The one who dialled is cut, and dials again.
  server.on("error", reject);
  try {
    rmSync(path, { force: true });
    server.listen({ path }, resolve);
    await promise;
    chmodSync(path, 0o600);
    return server;
  } catch (error) {
    server.close();
    throw listenError(path, error as NodeJS.ErrnoException);
  }
}

function checkPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes <= maxUnixPathBytes) return;
  throw new OutpostError(
    ErrorCode.invalidArgument,
    `${path} has ${String(bytes)} bytes, and a socket's path at most ${String(maxUnixPathBytes)}: use a shorter directory`,
  );
}

function isDenied(error: NodeJS.ErrnoException): boolean {
  return error.code === "EACCES" || error.code === "EPERM" || error.code === "EROFS";
}

function dialError(path: string, cause: NodeJS.ErrnoException): OutpostError {
  if (isDenied(cause))
    return new OutpostError(ErrorCode.denied, `${path} may not be opened by this user`, { cause });
  // Linux: the queue of those who wait to be accepted is full.
  if (cause.code === "EAGAIN")
    return new OutpostError(ErrorCode.busy, `too many are connecting to ${path}`, { cause });
  return new OutpostError(ErrorCode.disconnected, `nothing listens at ${path}`, { cause });
}

function listenError(path: string, cause: NodeJS.ErrnoException): OutpostError {
  if (isDenied(cause))
    return new OutpostError(ErrorCode.denied, `this user may not listen at ${path}`, { cause });
  return new OutpostError(ErrorCode.invalidArgument, `cannot listen at ${path}: ${cause.message}`, { cause });
}

class UnixSocket implements MessageSocket {
  readonly #socket: Socket;
  readonly #reader = new LengthPrefixReader({
    // A listener may have aborted the socket in the middle of what came with one read.
    message: (bytes) => (this.#socket.destroyed ? undefined : this.#events?.message(bytes)),
    ended: (reason) => this.#otherEnds(reason),
    malformed: (reason) => {
      // Where the next message begins is not known any more.
      this.#reason ??= reason;
      this.#socket.destroy();
    },
  });
  #events: SocketEvents | undefined;
  #corked = false;
  /** Why the socket ends: said by one of the sides, or found here. Without one it was cut. */
  #reason: string | undefined;
  #closeTimer: NodeJS.Timeout | undefined;
  /** It may have ended before anybody has called `start`. */
  #isClosed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (!cutCodes.has(error.code)) this.#reason ??= error.message;
    });
    // The other side sends no more. Node ends our half then, which waits for what is queued: not for ever.
    socket.on("end", () => this.#limitClosing());
    socket.on("close", () => this.#onClosed());
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  start(events: SocketEvents): void {
    this.#events = events;
    if (this.#isClosed) {
      queueMicrotask(() => this.#tellClosed());
      return;
    }
    // Data flows from here on, and not before.
    this.#socket.on("data", (bytes: Buffer) => this.#onData(bytes));
  }

  send(message: Uint8Array): void {
    if (!this.#socket.writable) return;
    this.#cork();
    this.#socket.write(messageHeader(message.byteLength));
    this.#socket.write(message, this.#onWritten);
  }

  close(reason: string): void {
    if (!this.#socket.writable) return;
    this.#reason ??= shortenReason(reason);
    this.#socket.end(encodeReason(reason));
    this.#limitClosing();
    // The end of the other side must be read, also when nobody has called `start`.
    this.#socket.resume();
  }

  abort(): void {
    this.#socket.destroy();
  }

  /** Messages of one turn of the event loop travel in one write. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#corked = false;
      this.#socket.uncork();
    });
  }

  /** Each message's write is done. `drain` would come only when the queue is empty, which never happens while somebody
   * keeps sending. */
  readonly #onWritten = (error?: Error | null): void => {
    if (error == null) this.#events?.drained();
  };

  #onData(bytes: Buffer): void {
    this.#events?.heard?.();
    this.#reader.push(bytes);
  }

  #otherEnds(reason: string): void {
    this.#reason ??= reason === "" ? "the other side closed the connection" : reason;
    this.#socket.end();
    this.#limitClosing();
  }

  #limitClosing(): void {
    this.#closeTimer ??= setTimeout(() => this.#socket.destroy(), closeTimeoutMs).unref();
  }

  #onClosed(): void {
    clearTimeout(this.#closeTimer);
    this.#isClosed = true;
    this.#tellClosed();
  }

  #tellClosed(): void {
    this.#events?.closed(this.#reason ?? "the connection was cut");
  }
}
