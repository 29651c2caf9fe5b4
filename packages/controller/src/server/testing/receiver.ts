/** A receiving operator: collects what comes, with credit of its own choice. For tests. */
import type {
  controllerOperatorMethods,
  EventOf,
  FanOutReceiveParams,
  Gap,
  IncomingStream,
  JobInfo,
  RolloutInfo,
  StreamName,
  Tail,
} from "@outpost/protocol";
import type { OperatorClient } from "./bench.ts";

type ReceiveEvent = EventOf<typeof controllerOperatorMethods, "fanout.receive">;

export class Receiver {
  readonly window: number;
  /** `host/stream` → bytes, in order and without a hole except for gaps. */
  readonly output = new Map<string, Buffer>();
  readonly gaps: { host: string; name: StreamName; gap: Gap }[] = [];
  readonly changed: JobInfo[] = [];
  readonly rollouts: RolloutInfo[] = [];
  readonly done = new Map<string, { info: JobInfo; tail: Tail | undefined }>();
  readonly streams = new Map<string, IncomingStream>();
  readonly order: string[] = [];
  /** False: no credit beyond the first window. */
  isGranting = true;
  readonly finished: Promise<unknown>;

  constructor(
    client: OperatorClient,
    params: Omit<FanOutReceiveParams, "window"> & { window?: number },
    signal?: AbortSignal,
  ) {
    this.window = params.window ?? 64 * 1024;
    this.finished = client.request(
      "fanout.receive",
      { ...params, window: this.window },
      { onEvent: (event) => this.#event(client, event), ...(signal === undefined ? {} : { signal }) },
    );
    this.finished.catch(() => {});
  }

  text(host: string, name: StreamName = "stdout"): string {
    return (this.output.get(`${host}/${name}`) ?? Buffer.alloc(0)).toString();
  }

  bytes(host: string, name: StreamName = "stdout"): Buffer {
    return this.output.get(`${host}/${name}`) ?? Buffer.alloc(0);
  }

  /** Grants a window beyond what has come, on every stream. */
  grantAll(): void {
    for (const stream of this.streams.values()) stream.grant(stream.offset + this.window);
  }

  #append(key: string, bytes: Uint8Array): void {
    this.output.set(key, Buffer.concat([this.output.get(key) ?? Buffer.alloc(0), bytes]));
  }

  #event(client: OperatorClient, event: ReceiveEvent): void {
    this.order.push(event.event);
    switch (event.event) {
      case "receive.opened": {
        const { host, name, stream: number, offset } = event.params;
        const key = `${host}/${name}`;
        const stream = client.acceptStream(
          number,
          { offset, window: this.window },
          {
            chunk: (at, bytes) => {
              this.#append(key, bytes);
              if (this.isGranting) stream.grant(at + bytes.byteLength + this.window);
            },
            end: () => {},
          },
        );
        this.streams.set(key, stream);
        break;
      }
      case "receive.gap": {
        const { host, name, gap } = event.params;
        const stream = this.streams.get(`${host}/${name}`);
        this.gaps.push(event.params);
        stream?.skipTo(gap.to);
        stream?.grant(gap.to + this.window);
        break;
      }
      case "receive.changed":
        this.changed.push(event.params.info);
        break;
      case "receive.done": {
        const { info, tail } = event.params;
        for (const name of ["stdout", "stderr", "timeline"] as const) {
          const chunk = tail?.[name];
          if (chunk !== undefined) this.#append(`${info.host}/${name}`, chunk.bytes);
        }
        this.done.set(info.host, { info, tail });
        break;
      }
      case "receive.rollout":
        this.rollouts.push(event.params.rollout);
        break;
      default:
        event satisfies never;
    }
  }
}
