/**
 * What all ways of showing an answer have around them: the status line while they work, and the border behind which nothing is
 * shown any more when the user does not want to wait.
 */
import type { JobEvent, OutEvent } from "../../client/index.ts";
import type { JobStatus } from "./progress/job-status.ts";
import type { Renderer, RendererOptions } from "./renderer.ts";
import { stderr, stdout } from "./sink.ts";

export class Presentation implements Renderer {
  readonly #inner: Renderer;
  readonly #options: Pick<RendererOptions, "progress" | "color" | "format" | "outputDirectory">;
  #status: JobStatus | undefined;
  #isInterrupted = false;
  /** How many bytes of each stream came too late, by stream and host. */
  readonly #late = new Map<string, number>();

  constructor(
    inner: Renderer,
    options: Pick<RendererOptions, "progress" | "color" | "format" | "outputDirectory">,
  ) {
    this.#inner = inner;
    this.#options = options;
  }

  async event(event: JobEvent): Promise<void> {
    if (this.#isInterrupted) {
      this.#pass(event);
      return;
    }
    // One host's output is its own progress.
    if (event.type === "plan" && event.hosts.length > 1) await this.#begin();
    this.#status?.note(event);
    // What comes now is the end, and may be long.
    if (event.type === "summary") await this.#status?.close();
    await this.#inner.event(event);
  }

  async interrupted(): Promise<void> {
    if (this.#isInterrupted) return;
    this.#isInterrupted = true;
    await this.#status?.close();
    await this.#inner.interrupted();
  }

  async finish(): Promise<void> {
    await this.#status?.close();
    await this.#inner.finish();
  }

  unwritten(host: string, stream: OutEvent["stream"]): number {
    return this.#inner.unwritten(host, stream) + (this.#late.get(`${stream} ${host}`) ?? 0);
  }

  async #begin(): Promise<void> {
    const { progress: isWanted = true, color = "auto", format, outputDirectory } = this.#options;
    if (!isWanted || !stderr.isTerminal) return;
    // What `… | grep x` prints there while the job runs comes at any time, and would be garbled by it.
    const flows = (format === "stream" || format === "ndjson") && outputDirectory === undefined;
    if (flows && stdout.isPipe) return;
    const { JobStatus } = await import("./progress/job-status.ts");
    this.#status = new JobStatus(color);
  }

  #pass(event: JobEvent): void {
    if (event.type !== "out") return;
    const key = `${event.stream} ${event.host}`;
    this.#late.set(key, (this.#late.get(key) ?? 0) + event.bytes.byteLength);
  }
}
