/** One document at the end. Holds the whole output in memory: for much output there is `ndjson`. */
import type { ExitEvent, GapEvent, JobEvent, RolloutEvent, SummaryEvent } from "../../client/index.ts";
import { bytesAsJson, jsonText, withIsoTimes } from "./plain.ts";
import type { Renderer } from "./renderer.ts";
import { stdout } from "./sink.ts";

interface HostOutput {
  readonly stdout: Uint8Array[];
  readonly stderr: Uint8Array[];
  readonly gaps: Omit<GapEvent, "type" | "job" | "host">[];
  exit?: ExitEvent;
}

export class JsonRenderer implements Renderer {
  readonly #hosts = new Map<string, HostOutput>();
  #job = "";
  #name: string | undefined;
  #rollout: RolloutEvent["rollout"] | undefined;
  #summary: SummaryEvent | undefined;
  #finished = false;
  #isWritten = false;

  async event(event: JobEvent): Promise<void> {
    switch (event.type) {
      case "plan":
        this.#job = event.job;
        this.#name = event.name;
        for (const { host } of event.hosts) this.#hosts.set(host, { stdout: [], stderr: [], gaps: [] });
        break;
      case "out":
        this.#hosts.get(event.host)?.[event.stream].push(event.bytes);
        break;
      case "gap": {
        const { stream, from, to, reason } = event;
        this.#hosts.get(event.host)?.gaps.push({ stream, from, to, reason });
        break;
      }
      case "exit": {
        const host = this.#hosts.get(event.host);
        if (host !== undefined) host.exit = event;
        break;
      }
      case "check": {
        const host = this.#hosts.get(event.host);
        if (host?.exit !== undefined) host.exit = { ...host.exit, failedCheck: event };
        break;
      }
      case "summary":
        this.#summary = event;
        // Here already: what is written when the receive ends is acknowledged by its last word.
        await this.finish();
        break;
      case "rollout":
        this.#rollout = event.rollout;
        break;
      case "start":
      case "notice":
        break;
      default:
        event satisfies never;
    }
  }

  /** Everything, until the document is written. */
  unwritten(): number {
    return this.#isWritten ? 0 : Number.POSITIVE_INFINITY;
  }

  interrupted(): Promise<void> {
    return this.finish();
  }

  async finish(): Promise<void> {
    if (this.#finished) return;
    this.#finished = true;
    const hosts = [...this.#hosts].map(([host, output]) => hostDocument(host, output));
    const { type: _type, job: _job, ...summary } = this.#summary ?? { type: "", job: "" };
    const name = this.#name === undefined ? {} : { name: this.#name };
    const rollout = this.#rollout === undefined ? {} : { rollout: withIsoTimes(this.#rollout) };
    const document = { job: this.#job, ...name, hosts, ...rollout, ...summary };
    await stdout.write(`${jsonText(document, 2)}\n`);
    this.#isWritten = true;
  }
}

function hostDocument(host: string, { stdout: out, stderr: err, gaps, exit }: HostOutput): object {
  const { type: _type, job: _job, host: _host, ...end } = exit ?? { type: "", job: "", host: "" };
  return {
    host,
    ...(withIsoTimes(end) as object),
    stdout: bytesAsJson(Buffer.concat(out)),
    stderr: bytesAsJson(Buffer.concat(err)),
    ...(gaps.length === 0 ? {} : { gaps }),
  };
}
