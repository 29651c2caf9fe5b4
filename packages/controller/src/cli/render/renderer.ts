/** Where the events of a receive go. */
import type { JobEvent, OutEvent } from "../../client/index.ts";
import type { OutputFormat } from "../command.ts";

export interface Renderer {
  /** Resolves when everything of the event that is to be written is written. */
  event(event: JobEvent): Promise<void>;
  /** Writes what it still holds, at the end or after an interruption. */
  finish(): Promise<void>;
  /** How many bytes at the end of what it was given of a stream it holds and has not written. They must not be
   * acknowledged: whoever kills this process would lose them. */
  unwritten(host: string, stream: OutEvent["stream"]): number;
}

export interface RendererOptions {
  readonly format: OutputFormat;
  /** Lines begin with the time when they were written. */
  readonly timestamps: boolean;
  /** The job's end is reported by somebody else, or is nobody's concern. */
  readonly quiet?: boolean;
}

export async function rendererFor(options: RendererOptions): Promise<Renderer> {
  switch (options.format) {
    case "text":
      return new (await import("./text.ts")).TextRenderer(options);
    case "ndjson":
      return new (await import("./ndjson.ts")).NdjsonRenderer();
    case "json":
      return new (await import("./json.ts")).JsonRenderer();
    default:
      return options.format satisfies never;
  }
}
