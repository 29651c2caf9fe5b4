/**
 * A program's receive of one job's output from the agent of its own host: from where the last receive ended, at the
 * pace of whoever takes the bytes, and over the agent's restarts. What was taken is acknowledged a moment later, and
 * for certain by `acknowledge`.
 */
import {
  type agentLocalMethods,
  type EventOf,
  type Gap,
  type IncomingStream,
  type InlineChunk,
  type JobId,
  type JobStatus,
  OutputName,
  type StreamName,
} from "@outpost/protocol";
import * as v from "valibot";
import type { AgentClient, LocalAgent } from "./agent-client.ts";

/** Takes what a job wrote. Its promises resolve when the bytes are safe; until then no more than a window comes. */
export interface OutputTaker {
  write(name: OutputName, bytes: Uint8Array): Promise<void>;
  gap(name: OutputName, gap: Gap): Promise<void>;
}

export interface ReceiveOptions {
  readonly client: AgentClient;
  readonly job: JobId;
  /** Where to begin: what was received before, by whomever. */
  readonly from: Readonly<Record<OutputName, number>>;
  /** True: until the job has ended. False: what is there now. */
  readonly follow: boolean;
  /** True: what was taken is acknowledged as it goes. False: only by `acknowledge`. */
  readonly acknowledging: boolean;
  readonly taker: OutputTaker;
  /** Ends it; what has come by then is still taken. */
  readonly signal: AbortSignal;
}

/** How much of each stream may be on its way to the taker, in bytes. */
const windowBytes = 1024 * 1024;

/** How long an acknowledgement waits for more, in milliseconds: each is a write on the host. */
const acknowledgeMs = 200;

type ReadEvent = EventOf<typeof agentLocalMethods, "job.read">;

export class Receive {
  readonly #options: ReceiveOptions;
  /** Up to where each stream was taken. */
  readonly #taken: Record<OutputName, number>;
  /** Up to where each stream has come. */
  readonly #arrived: Record<OutputName, number>;
  readonly #broken = new AbortController();
  #takes: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ReceiveOptions) {
    this.#options = options;
    this.#taken = { ...options.from };
    this.#arrived = { ...options.from };
  }

  /** Nothing has come, not even a gap. */
  get isEmpty(): boolean {
    const { from } = this.#options;
    return OutputName.options.every((name) => this.#arrived[name] === from[name]);
  }

  /**
   * Receives until the end. Resolves when everything was taken.
   * @throws what the taker threw; OutpostError the signal's reason, or as `AgentClient.ask`
   */
  async run(): Promise<JobStatus> {
    try {
      return await this.#options.client.ask((agent) => this.#read(agent));
    } catch (error) {
      await this.#takes;
      throw error;
    } finally {
      clearTimeout(this.#timer);
    }
  }

  /** Tells the agent what was taken; of a job that has ended, and whose end was heard, it then forgets the rest. */
  async acknowledge(): Promise<void> {
    const { client, job } = this.#options;
    await client.ask((agent) => agent.request("job.acknowledge", { job, received: { ...this.#taken } }));
  }

  async #read(agent: LocalAgent): Promise<JobStatus> {
    const { job, follow, signal } = this.#options;
    // Of what an agent sent before it went away nothing is asked for again.
    await this.#takes;
    const streams = new Map<StreamName, IncomingStream>();
    const { status, tail } = await agent.request(
      "job.read",
      { job, from: { ...this.#arrived }, follow, window: windowBytes },
      {
        signal: AbortSignal.any([signal, this.#broken.signal]),
        onEvent: (event) => this.#event(agent, streams, event),
      },
    );
    for (const name of OutputName.options) {
      const chunk = tail?.[name];
      if (chunk !== undefined) this.#inline(agent, name, chunk);
    }
    await this.#takes;
    return status;
  }

  #event(agent: LocalAgent, streams: Map<StreamName, IncomingStream>, event: ReadEvent): void {
    const { name } = event.params;
    if (!v.is(OutputName, name)) return;
    if (event.event === "read.gap") {
      const { gap } = event.params;
      const stream = streams.get(name);
      stream?.skipTo(gap.to);
      this.#gap(name, gap);
      stream?.grant(gap.to + windowBytes);
      return;
    }
    const { stream: number, offset } = event.params;
    const stream = agent.acceptStream(
      number,
      { offset, window: windowBytes },
      {
        chunk: (at, bytes) =>
          this.#chunk(agent, name, at, bytes, () => stream.grant(this.#taken[name] + windowBytes)),
        // What remained unsent is seen by the answer.
        end: () => {},
      },
    );
    streams.set(name, stream);
  }

  #inline(agent: LocalAgent, name: OutputName, { offset, bytes }: InlineChunk): void {
    this.#chunk(agent, name, offset, bytes, () => {});
  }

  #chunk(agent: LocalAgent, name: OutputName, offset: number, bytes: Uint8Array, taken: () => void): void {
    const end = offset + bytes.byteLength;
    this.#arrived[name] = end;
    this.#take(async () => {
      await this.#options.taker.write(name, bytes);
      this.#taken[name] = end;
      taken();
      this.#acknowledgeSoon(agent);
    });
  }

  #gap(name: OutputName, gap: Gap): void {
    this.#arrived[name] = Math.max(this.#arrived[name], gap.to);
    this.#take(async () => {
      await this.#options.taker.gap(name, gap);
      this.#taken[name] = Math.max(this.#taken[name], gap.to);
    });
  }

  /** One after the other. The first that fails ends the receive. */
  #take(action: () => Promise<void>): void {
    this.#takes = this.#takes.then(action);
    this.#takes.catch((error: unknown) => this.#broken.abort(error));
  }

  #acknowledgeSoon(agent: LocalAgent): void {
    if (!this.#options.acknowledging || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const { job } = this.#options;
      // One that fails is made up for by the next, or by the last.
      agent.request("job.acknowledge", { job, received: { ...this.#taken } }).catch(() => {});
    }, acknowledgeMs);
  }
}
