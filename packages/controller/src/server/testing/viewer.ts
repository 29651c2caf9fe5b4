/** An operator's terminal: collects what an attach brings, with credit of its own choice, and types. For tests. */
import {
  type AttachRepaint,
  type controllerOperatorMethods,
  type EventOf,
  type IncomingStream,
  newViewerId,
  type OutgoingStream,
  type Result,
  type SessionId,
  type SessionsAttachParams,
  type ViewerId,
} from "@outpost/protocol";
import type { OperatorClient } from "./bench.ts";

type Methods = typeof controllerOperatorMethods;
type AttachEvent = EventOf<Methods, "session.attach">;

export interface ViewerOptions extends Partial<Omit<SessionsAttachParams, "host" | "session" | "input">> {
  readonly isGranting?: boolean;
}

export class Viewer {
  readonly id: ViewerId;
  readonly window: number;
  output: Buffer = Buffer.alloc(0);
  readonly repaints: AttachRepaint[] = [];
  /** Events and runs of chunks, as they came: `gap 10-20`, `bytes`, `attach.opened`. */
  readonly order: string[] = [];
  waitingSince: number[] = [];
  stream: IncomingStream | undefined;
  isGranting: boolean;
  readonly keys: OutgoingStream;
  keysBegun = false;
  readonly finished: Promise<Result<Methods, "session.attach">>;

  constructor(
    client: OperatorClient,
    host: string,
    session: SessionId,
    { isGranting = true, ...params }: ViewerOptions = {},
    signal?: AbortSignal,
  ) {
    this.id = params.viewer ?? newViewerId();
    this.window = params.window ?? 64 * 1024;
    this.isGranting = isGranting;
    this.keys = client.openStream();
    this.finished = client.request(
      "session.attach",
      {
        role: "control",
        takeOver: false,
        columns: 80,
        rows: 24,
        repaint: false,
        ...params,
        host,
        session,
        viewer: this.id,
        window: this.window,
        input: this.keys.number,
      },
      { onEvent: (event) => this.#event(client, event), ...(signal === undefined ? {} : { signal }) },
    );
    this.finished.catch(() => {}).finally(() => this.keys.end());
  }

  get text(): string {
    return this.output.toString();
  }

  #event(client: OperatorClient, event: AttachEvent): void {
    switch (event.event) {
      case "attach.waiting":
        this.waitingSince.push(event.params.since);
        this.order.push(event.event);
        break;
      case "attach.opened":
        this.order.push(event.event);
        this.#open(client, event.params.stream, event.params.offset);
        break;
      case "input.ready":
        this.keys.begin(event.params.offset, event.params.window);
        this.keysBegun = true;
        break;
      case "attach.gap": {
        const { from, to } = event.params.gap;
        this.order.push(`gap ${String(from)}-${String(to)}`);
        this.stream?.skipTo(to);
        if (this.isGranting) this.stream?.grant(to + this.window);
        break;
      }
      case "attach.repaint":
        this.order.push(`repaint ${String(event.params.offset)}`);
        this.repaints.push(event.params);
        break;
      case "attach.changed":
        this.order.push(event.event);
        break;
      default:
        event satisfies never;
    }
  }

  #open(client: OperatorClient, number: number, offset: number): void {
    const stream = client.acceptStream(
      number,
      { offset, window: this.window },
      {
        chunk: (at, bytes) => {
          if (this.order.at(-1) !== "bytes") this.order.push("bytes");
          this.output = Buffer.concat([this.output, bytes]);
          if (this.isGranting) stream.grant(at + bytes.byteLength + this.window);
        },
        end: () => {},
      },
    );
    this.stream = stream;
  }
}
