/**
 * Where the events of a receive go. What a job answers is one stream of events; each way of showing it is a renderer of its own,
 * and all of them end with the same summary.
 */
import type { JobEvent, OutEvent } from "../../client/index.ts";
import type { ColorChoice } from "./color.ts";

/** `stream`: as it comes · `group`: equal answers together, at the end · `table`: a row for each host · for programs: `json`, one
 * document at the end, or `ndjson`, each event a line. */
export type JobOutputFormat = "stream" | "group" | "table" | "json" | "ndjson";

export interface Renderer {
  /** Resolves when everything of the event that is to be written is written. */
  event(event: JobEvent): Promise<void>;
  /**
   * The user wants to wait no longer: shows what has come, and who has not answered. What comes afterwards is passed over and
   * counts as unwritten. To be called before the receive is ended, so that what was shown is acknowledged by its last word.
   */
  interrupted(): Promise<void>;
  /** Writes what it still holds and gives back what it has taken (files, the status line): at the end, however it ended. */
  finish(): Promise<void>;
  /** How many bytes at the end of what it was given of a stream it holds and has not written. They must not be
   * acknowledged: whoever kills this process would lose them. */
  unwritten(host: string, stream: OutEvent["stream"]): number;
}

export interface RendererOptions {
  readonly format: JobOutputFormat;
  /** Lines begin with the time when they were written. For `stream`. */
  readonly timestamps: boolean;
  /** The job's end is reported by somebody else, or is nobody's concern. Default false. */
  readonly quiet?: boolean | undefined;
  /** `group`: the most common answer, and the others by how they differ from it. Default false. */
  readonly diff?: boolean | undefined;
  /** Output goes to files in this directory, and is not shown. */
  readonly outputDirectory?: string | undefined;
  /** False: no status line. Default true: one where it can be seen. */
  readonly progress?: boolean | undefined;
  /** False: lines of several hosts without the host before them. Default true. */
  readonly prefix?: boolean | undefined;
  /** Default `auto`. */
  readonly color?: ColorChoice | undefined;
}
