/**
 * `session.attach` and `session.read` between an operator and a host: bytes one way and the other, credit against them,
 * events between them in their order. Nothing is kept and nothing is awaited between a frame that comes and the frame
 * that goes: what the operator has not given credit for stays on the host.
 *
 *     attach:  host reachable? ──no──▶ attach.waiting ──back──▶ (again)
 *                     └──yes──▶ ask ──begun──▶ relay ──answered──▶ done
 *                                └──cut────▶ (again)     └──cut──▶ host_unreachable: the client attaches again
 *
 * A read does not wait: it is asked again by whoever wants to.
 */
import {
  type agentMethods,
  type Call,
  type Clock,
  type controllerOperatorMethods,
  ErrorCode,
  type EventOf,
  type IncomingStream,
  OutpostError,
  type OutgoingStream,
  relayGap,
  relayStream,
  type Result,
  type SessionGap,
  type SessionsAttachParams,
  type SessionsReadParams,
} from "@outpost/protocol";
import type { Bus, HostLink } from "./bus.ts";
import type { Observer } from "./observer.ts";
import { askHost, hostCut, nextLink } from "./reach.ts";
import type { SessionHost } from "./session.ts";

type Methods = typeof controllerOperatorMethods;
type AttachCall = Call<Methods, "session.attach">;
type ReadCall = Call<Methods, "session.read">;
type AttachEvent = EventOf<typeof agentMethods, "session.attach">;
type ReadEvent = EventOf<typeof agentMethods, "session.read">;

/** The operator's connection, as a relay needs it. */
export interface OperatorStreams extends Pick<HostLink, "openStream" | "acceptStream"> {
  /** What waits there to be sent, in bytes. */
  readonly bufferedBytes: number;
}

/** Events need no credit, and a repaint may be a megabyte. With so much unsent to the operator, in bytes, one more event ends
 * what they belong to: no host may fill our memory, however slowly somebody reads. */
const maxUnsentBytes = 64 * 1024 * 1024;

export interface SessionRelayOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly host: SessionHost;
  readonly operator: OperatorStreams;
  /** Told how many bytes of output have gone to the operator, when a connection of the host has brought all of its. */
  readonly relayed: (bytes: number) => void;
  readonly observer: Observer;
}

/**
 * @throws OutpostError the host's; `host_unreachable` with `data` `{host, since}` when the host's connection was cut after
 * the attach had begun; `cancelled`
 */
export async function relayAttach(
  options: SessionRelayOptions,
  params: SessionsAttachParams & { operator: string },
  call: AttachCall,
): Promise<Result<Methods, "session.attach">> {
  const { bus, clock, host } = options;
  for (;;) {
    if (bus.link(host.id) === undefined) {
      call.emit("attach.waiting", { since: bus.lastSeen(host.id) ?? clock.now() });
    }
    const link = await nextLink(bus, clock, host, { signal: call.signal });
    const attempt = new Attach(link, options, params, call);
    try {
      return await attempt.run();
    } catch (error) {
      call.signal.throwIfAborted();
      if (link.isOpen) throw error;
      if (attempt.hasBegun) throw hostCut(bus, host, error);
    } finally {
      attempt.end();
      options.relayed(attempt.bytes);
    }
  }
}

/** @throws OutpostError the host's; `host_unreachable` with `data` `{host, since}`; `cancelled` */
export async function relayRead(
  { bus, host, operator, relayed, observer }: SessionRelayOptions,
  { host: _host, ...params }: SessionsReadParams,
  call: ReadCall,
): Promise<Result<Methods, "session.read">> {
  return askHost(bus, host, async (link) => {
    const output = new RelayedOutput(link, operator, params.window, observer);
    try {
      return await readOver(link, output, params, call);
    } finally {
      output.close();
      relayed(output.bytes);
    }
  });
}

function readOver(
  link: HostLink,
  output: RelayedOutput,
  params: Omit<SessionsReadParams, "host">,
  call: ReadCall,
): Promise<Result<Methods, "session.read">> {
  const flood = new Flood(output.operator);
  const onEvent = (event: ReadEvent): void => {
    if (flood.isOver()) return;
    switch (event.event) {
      case "read.opened":
        output.open(event.params, (stream) => call.emit("read.opened", { ...event.params, stream }));
        break;
      case "read.gap":
        call.emit("read.gap", event.params);
        output.gap(event.params.gap);
        break;
      default:
        event satisfies never;
    }
  };
  return link.request("session.read", params, { signal: flood.or(call.signal), onEvent });
}

/** Notices when a host sends more events than the operator takes. */
class Flood {
  readonly #operator: OperatorStreams;
  readonly #over = new AbortController();

  constructor(operator: OperatorStreams) {
    this.#operator = operator;
  }

  /** The signal of a request that ends with the flood. */
  or(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#over.signal]);
  }

  /** Whether the next event is one too many. */
  isOver(): boolean {
    if (this.#operator.bufferedBytes > maxUnsentBytes) {
      const message = "the host sends more than this connection takes; attach again, or read again";
      this.#over.abort(new OutpostError(ErrorCode.limitExceeded, message));
    }
    return this.#over.signal.aborted;
  }
}

/** One attempt at attaching, over one connection of the host. */
class Attach {
  readonly #link: HostLink;
  readonly #operator: OperatorStreams;
  readonly #observer: Observer;
  readonly #params: SessionsAttachParams & { operator: string };
  readonly #call: AttachCall;
  readonly #output: RelayedOutput;
  readonly #flood: Flood;
  /** Keystrokes, on their way to the host. */
  readonly #keys: OutgoingStream;
  #keysIn: IncomingStream | undefined;

  constructor(
    link: HostLink,
    { operator, observer }: Pick<SessionRelayOptions, "operator" | "observer">,
    params: SessionsAttachParams & { operator: string },
    call: AttachCall,
  ) {
    this.#link = link;
    this.#operator = operator;
    this.#params = params;
    this.#call = call;
    this.#observer = observer;
    this.#output = new RelayedOutput(link, operator, params.window, observer);
    this.#flood = new Flood(operator);
    this.#keys = link.openStream();
  }

  /** The operator has heard of a stream: what follows belongs to it, and another attempt would begin it again. */
  get hasBegun(): boolean {
    return this.#output.isOpen || this.#keysIn !== undefined;
  }

  /** Of output, that have gone to the operator. */
  get bytes(): number {
    return this.#output.bytes;
  }

  run(): Promise<Result<Methods, "session.attach">> {
    const { host: _host, ...params } = this.#params;
    return this.#link.request(
      "session.attach",
      { ...params, input: this.#keys.number },
      { signal: this.#flood.or(this.#call.signal), onEvent: (event) => this.#event(event) },
    );
  }

  /** Whatever still comes from either side is dropped. */
  end(): void {
    this.#output.close();
    this.#keysIn?.ignore();
    this.#keys.end();
  }

  #event(event: AttachEvent): void {
    if (this.#flood.isOver()) return;
    switch (event.event) {
      case "attach.opened":
        this.#output.open(event.params, (stream) =>
          this.#call.emit("attach.opened", { ...event.params, stream }),
        );
        break;
      case "input.ready":
        this.#takeKeys(event.params);
        this.#call.emit("input.ready", event.params);
        break;
      case "attach.gap":
        this.#call.emit("attach.gap", event.params);
        this.#output.gap(event.params.gap);
        break;
      case "attach.repaint":
        this.#call.emit("attach.repaint", event.params);
        break;
      case "attach.changed":
        this.#call.emit("attach.changed", event.params);
        break;
      default:
        event satisfies never;
    }
  }

  #takeKeys(start: { offset: number; window: number }): void {
    if (this.#keysIn !== undefined) throw twice("input.ready");
    this.#keys.begin(start.offset, start.window);
    this.#keysIn = relayStream(this.#operator, this.#params.input, start, this.#keys, (bytes) =>
      this.#observer.relayed("session", "to_hosts", bytes),
    );
  }
}

/** Terminal output from the host to the operator, from the event that opens it. */
class RelayedOutput {
  readonly operator: OperatorStreams;
  readonly #link: HostLink;
  readonly #window: number;
  readonly #observer: Observer;
  #streams: { readonly incoming: IncomingStream; readonly out: OutgoingStream } | undefined;
  /** Where the stream to the operator began; later by every gap in it. */
  #begun = 0;

  constructor(link: HostLink, operator: OperatorStreams, window: number, observer: Observer) {
    this.operator = operator;
    this.#link = link;
    this.#window = window;
    this.#observer = observer;
  }

  get isOpen(): boolean {
    return this.#streams !== undefined;
  }

  /** That have gone to the operator. */
  get bytes(): number {
    return this.#streams === undefined ? 0 : this.#streams.out.offset - this.#begun;
  }

  /** @param announce tells the operator the number of the stream */
  open({ stream, offset }: { stream: number; offset: number }, announce: (stream: number) => void): void {
    if (this.#streams !== undefined) throw twice("the stream of the output");
    const start = { offset, window: this.#window };
    const out = this.operator.openStream();
    announce(out.number);
    out.begin(offset, this.#window);
    this.#begun = offset;
    const incoming = relayStream(this.#link, stream, start, out, (bytes) =>
      this.#observer.relayed("session", "from_hosts", bytes),
    );
    this.#streams = { out, incoming };
  }

  /** Before the stream is open, a gap only says why it begins later. */
  gap({ to }: SessionGap): void {
    if (this.#streams === undefined) return;
    const { incoming, out } = this.#streams;
    const { offset } = out;
    relayGap(incoming, out, to);
    this.#begun += out.offset - offset;
  }

  close(): void {
    this.#streams?.incoming.ignore();
    this.#streams?.out.end();
  }
}

function twice(what: string): OutpostError {
  return new OutpostError(ErrorCode.protocolError, `${what} came twice`);
}
