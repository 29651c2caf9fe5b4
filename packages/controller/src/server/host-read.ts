/**
 * One attempt at reading a job from its host: `job.read` over one link, its streams led to targets. What it reads is
 * kept nowhere here; an attempt that a cut ends is followed by another one from where the targets are then.
 */
import {
  type Authorization,
  type EventOf,
  type agentMethods,
  ErrorCode,
  type Gap,
  type IncomingStream,
  type JobId,
  type JobReadResult,
  limits,
  OutpostError,
  type Positions,
  type StreamName,
  type Tail,
} from "@outpost/protocol";
import type { HostLink } from "./bus.ts";

/** The most gaps in one attempt. Each is told to the reader without credit, and an agent has a few: what was removed, what made
 * room. */
const maxGaps = 1_000;

/** Where one stream of a job goes. Its methods MUST NOT throw: it is the host's connection that would end. */
export interface ReadTarget {
  /** The offset of the next byte that is wanted. */
  readonly position: number;
  /** Bytes below this offset may come now. */
  readonly allowance: number;
  /** The host sends from here on. The target grants further credit as its allowance grows. */
  opened(source: { grant(upTo: number): void }): void;
  /** The next bytes, packed when `size` says to how many they unpack; that only comes when it was asked for. Returns
   * false when nobody wants them any more. */
  chunk(bytes: Uint8Array, size?: number): boolean;
  /** The host will not send bytes up to `gap.to`. */
  gap(gap: Gap): void;
}

export type ReadTargets = ReadonlyMap<StreamName, ReadTarget>;

export interface ReadOptions {
  readonly follow: boolean;
  readonly packed?: boolean | undefined;
  /** What the operator has signed; none where the controller collects. */
  readonly authorization?: Authorization | undefined;
  readonly signal: AbortSignal;
}

/**
 * @returns the host's answer, after all chunks; its tail still has to be led to the targets
 * @throws OutpostError the host's; `disconnected` when the link ends; the signal's reason
 */
export async function readJob(
  link: HostLink,
  job: JobId,
  targets: ReadTargets,
  options: ReadOptions,
): Promise<JobReadResult> {
  const { follow, packed = false, authorization, signal } = options;
  const attempt = new ReadAttempt(link, targets, packed);
  try {
    return await link.request(
      "job.read",
      {
        job,
        from: attempt.from,
        follow,
        window: attempt.window,
        ...(packed ? { packed } : {}),
        authorization,
      },
      { signal, onEvent: (event) => attempt.event(event) },
    );
  } finally {
    attempt.end();
  }
}

class ReadAttempt {
  readonly from: Positions;
  /** One window for all streams: what the one with the least allowance may be sent. The others get the rest when they open. */
  readonly window: number;
  readonly #link: HostLink;
  readonly #targets: ReadTargets;
  readonly #packed: boolean;
  readonly #streams = new Map<StreamName, IncomingStream>();
  #gaps = 0;

  constructor(link: HostLink, targets: ReadTargets, packed: boolean) {
    this.#link = link;
    this.#packed = packed;
    this.#targets = targets;
    const from: Positions = {};
    let window: number = limits.maxWindowBytes;
    for (const [name, target] of targets) {
      from[name] = target.position;
      window = Math.min(window, Math.max(0, target.allowance - target.position));
    }
    this.from = from;
    this.window = window;
  }

  event(event: EventOf<typeof agentMethods, "job.read">): void {
    switch (event.event) {
      case "read.opened":
        this.#open(event.params.name, event.params.stream, event.params.offset);
        break;
      case "read.gap":
        this.#gap(event.params.name, event.params.gap);
        break;
      default:
        event satisfies never;
    }
  }

  /** Whatever still arrives is dropped: it will be asked for again. */
  end(): void {
    for (const stream of this.#streams.values()) stream.ignore();
  }

  #open(name: StreamName, number: number, offset: number): void {
    const target = this.#target(name);
    if (this.#streams.has(name) || offset !== target.position) {
      throw new OutpostError(
        ErrorCode.protocolError,
        `${name} was opened at offset ${String(offset)}, where ${String(target.position)} was due`,
      );
    }
    const stream = this.#link.acceptStream(
      number,
      { offset, window: this.window, packed: this.#packed },
      {
        chunk: (_offset, bytes, size) => {
          if (!target.chunk(bytes, size)) stream.ignore();
        },
        // The answer to the request says how the read ended.
        end: () => {},
      },
    );
    this.#streams.set(name, stream);
    target.opened(stream);
    stream.grant(target.allowance);
  }

  #gap(name: StreamName, gap: Gap): void {
    const target = this.#target(name);
    if (gap.from !== target.position || gap.to < gap.from) {
      throw new OutpostError(
        ErrorCode.protocolError,
        `${name} has a gap at ${String(gap.from)}, where ${String(target.position)} was due`,
      );
    }
    if (++this.#gaps > maxGaps) {
      throw new OutpostError(ErrorCode.protocolError, `more than ${String(maxGaps)} gaps in one read`);
    }
    const stream = this.#streams.get(name);
    stream?.skipTo(gap.to);
    target.gap(gap);
    stream?.grant(target.allowance);
  }

  #target(name: StreamName): ReadTarget {
    const target = this.#targets.get(name);
    if (target === undefined) throw new OutpostError(ErrorCode.protocolError, `${name} was not asked for`);
    return target;
  }
}

/**
 * What of `tail` the positions have not seen, or `undefined` when it does not join them without a hole.
 * @param positions the next wanted offset of each stream that is wanted
 */
export function sliceTail(
  tail: Tail,
  positions: ReadonlyMap<StreamName, { readonly position: number }>,
): Tail | undefined {
  const slice: Tail = {};
  for (const [name, { position }] of positions) {
    const chunk = tail[name];
    if (chunk === undefined) continue;
    if (chunk.offset > position) return undefined;
    const bytes = chunk.bytes.subarray(position - chunk.offset);
    if (bytes.byteLength > 0) slice[name] = { offset: position, bytes };
  }
  return slice;
}
