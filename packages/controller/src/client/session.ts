/** A session on one host or several, as whoever opened or found it holds it. The handle may go; the session stays. */
import {
  type Buffering,
  ErrorCode,
  HostName,
  OutpostError,
  type SessionId,
  type SessionInfo,
  type SessionName,
  type SessionOutcome,
} from "@outpost/protocol";
import * as v from "valibot";
import { Attachment, type AttachOptions } from "./attachment.ts";
import { signedDisconnect, signedRemoval } from "./authorizing.ts";
import type { Connection } from "./connection.ts";
import type { SessionReceiveEvent } from "./session-events.ts";
import { readSession } from "./session-receive.ts";

export interface SessionOptions {
  readonly connection: Connection;
  readonly id: SessionId;
  readonly name?: SessionName | undefined;
  readonly hosts: readonly HostName[];
}

/** Which host of a session on several. */
interface OfHost {
  /** Needed when the session is on several hosts. */
  readonly host?: string | undefined;
}

/** Which hosts; default all of the session's. */
interface OfHosts {
  readonly hosts?: readonly string[] | undefined;
}

export interface SessionReceiveOptions extends OfHost {
  /** True: read without acknowledging, so that the same output can be received again. Default false. */
  readonly keep?: boolean | undefined;
  /** True: go on until the session has ended. False: end at what is there now. Default false. */
  readonly follow?: boolean | undefined;
  /** True: from the first byte, what was seen included, as far as it is still there. Default false. */
  readonly fromStart?: boolean | undefined;
  /** Ends the receive with `cancelled`. Nothing is lost: the next one goes on. */
  readonly signal?: AbortSignal | undefined;
}

export class Session {
  readonly id: SessionId;
  /** Absent when it was given none. */
  readonly name: SessionName | undefined;
  /** The hosts on which it is. */
  readonly hosts: readonly HostName[];
  readonly #connection: Connection;

  /** @see Client.openSession, Client.session */
  constructor({ connection, id, name, hosts }: SessionOptions) {
    this.#connection = connection;
    this.id = id;
    this.name = name;
    this.hosts = hosts;
  }

  /**
   * Shows its terminal on one host, and takes keystrokes. What is wrong shows when the events are asked for.
   *
   * @example
   * await using terminal = session.attach({ columns: 80, rows: 24 });
   * await terminal.write(Buffer.from("make\r"));
   * for await (const event of terminal) {
   *   if (event.type === "output") process.stdout.write(event.bytes);
   * }
   * @throws OutpostError `invalid_argument` when it is on several hosts and none is named; `not_found` when it is not on that one
   */
  attach(options: AttachOptions & OfHost = {}): Attachment {
    const { host, ...attach } = options;
    return new Attachment(this.#on(host), attach);
  }

  /**
   * Reads output that nobody has seen: neither in an attached terminal nor in an earlier receive. Pulled, as
   * `Job.receive`: asking for the next event says that the last one was safely handled; unless `keep`, it is then
   * acknowledged. What was seen, and lies between, is a gap with the reason `received`. The last event is the `end`.
   * @throws OutpostError as `attach`; `host_unreachable` when the host is away at the beginning; `cancelled`
   */
  receive(options: SessionReceiveOptions = {}): AsyncGenerator<SessionReceiveEvent, void, void> {
    const { host, keep = false, follow = false, fromStart = false, signal } = options;
    return readSession(this.#on(host), { what: "output", keep, follow, fromStart, signal });
  }

  /**
   * The recording so far (asciicast v2), or with `follow` until the session ends. See `readAsciicast`.
   * @throws OutpostError `not_found` when it was opened without `record`; as `receive`
   */
  async *recording(
    options: OfHost & { readonly follow?: boolean; readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<Uint8Array, void, void> {
    const { host, follow = false, signal } = options;
    const reading = { what: "recording", keep: true, follow, fromStart: true, signal } as const;
    for await (const event of readSession(this.#on(host), reading)) {
      if (event.type === "output") yield event.bytes;
    }
  }

  /** How it stands on each host. @throws OutpostError `not_found` */
  async info(): Promise<readonly SessionInfo[]> {
    const { sessions } = await this.#connection.request("session.list", { session: this.id });
    return sessions.filter(({ host }) => this.hosts.includes(host));
  }

  /**
   * Sends every viewer away. What runs goes on.
   * @param options.idleTimeoutMs how long it may be disconnected and idle from now on, in milliseconds; default as it was
   * @param options.buffering what happens to output from now on; default as it was
   */
  async disconnect(
    options: OfHosts & {
      readonly idleTimeoutMs?: number | undefined;
      readonly buffering?: Buffering | undefined;
    } = {},
  ): Promise<readonly SessionOutcome[]> {
    const { idleTimeoutMs, buffering } = options;
    const connection = this.#connection;
    const params = {
      session: this.id,
      ...this.#some(options),
      ...(idleTimeoutMs === undefined ? {} : { idleTimeoutMs }),
      ...(buffering === undefined ? {} : { buffering }),
    };
    const { hosts } = await connection.request("session.disconnect", () =>
      signedDisconnect(connection, params),
    );
    return hosts;
  }

  /** Ends its shell and what runs in it, and forgets output and recording. */
  async remove(options: OfHosts = {}): Promise<readonly SessionOutcome[]> {
    const connection = this.#connection;
    const params = { session: this.id, ...this.#some(options) };
    const { hosts } = await connection.request("session.remove", () => signedRemoval(connection, params));
    return hosts;
  }

  /**
   * Waits until it is available, or has ended, on all of the hosts.
   * @param options.timeoutMs how long at most, in milliseconds; default no limit
   * @returns `reached: false` when the time ran out, or it ended where it should have become available
   */
  wait(
    options: OfHosts & {
      /** Default `available`. */
      readonly until?: "available" | "ended" | undefined;
      readonly timeoutMs?: number | undefined;
      readonly signal?: AbortSignal | undefined;
    } = {},
  ): Promise<{ readonly reached: boolean; readonly sessions: readonly SessionInfo[] }> {
    const { until = "available", timeoutMs, signal } = options;
    const begunMs = performance.now();
    const left = (): { timeoutMs?: number } =>
      timeoutMs === undefined
        ? {}
        : { timeoutMs: Math.max(0, Math.ceil(timeoutMs - (performance.now() - begunMs))) };
    return this.#connection.request(
      "session.wait",
      () => ({ session: this.id, ...this.#some(options), until, ...left() }),
      signal === undefined ? {} : { signal },
    );
  }

  #on(host: string | undefined): { connection: Connection; session: SessionId; host: HostName } {
    const { id: session } = this;
    return { connection: this.#connection, session, host: this.#hostOf(host) };
  }

  #hostOf(name: string | undefined): HostName {
    const [only, ...others] = this.hosts;
    if (name !== undefined) return this.#named(name);
    if (only !== undefined && others.length === 0) return only;
    throw new OutpostError(
      ErrorCode.invalidArgument,
      `the session ${this.name ?? this.id} is on ${this.hosts.join(", ")}; say which`,
      { data: { session: this.id, hosts: [...this.hosts] } },
    );
  }

  #named(name: string): HostName {
    const found = this.hosts.find((host) => host === name);
    if (found !== undefined) return found;
    throw new OutpostError(
      ErrorCode.notFound,
      `the session ${this.name ?? this.id} is not on ${name}; it is on ${this.hosts.join(", ")}`,
      { data: { session: this.id, host: name } },
    );
  }

  /** All of them, or those that are named. */
  #some({ hosts = this.hosts }: OfHosts): { hosts: HostName[] } {
    return { hosts: hosts.map((host) => this.#named(v.parse(HostName, host))) };
  }
}
