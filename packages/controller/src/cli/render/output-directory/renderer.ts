/**
 * Every host's output in files of its own: `web1.stdout`, `web1.stderr`; and who succeeded, failed and could not be reached, as lists
 * and as a document. Output is written as it comes and not shown.
 *
 * A file's offset is its stream's offset, less that of the first byte that came. A receive of the same job in the same directory goes
 * on in these files; what comes twice is written to the same place.
 */
import type { JobEvent, OutEvent, SummaryEvent } from "../../../client/index.ts";
import { gapText, Notices } from "../notices.ts";
import type { Renderer, RendererOptions } from "../renderer.ts";
import { RollCall } from "../roll-call.ts";
import { say } from "../sink.ts";
import { OutputDirectory } from "./directory.ts";

export class DirectoryRenderer implements Renderer {
  readonly #directory: OutputDirectory;
  readonly #isQuiet: boolean;
  readonly #rollCall = new RollCall();
  readonly #notices = new Notices();
  #finishing: Promise<void> | undefined;

  /** @throws OutpostError `invalid_argument` for a directory that holds something else */
  static async open(
    path: string,
    { quiet = false }: Pick<RendererOptions, "quiet">,
  ): Promise<DirectoryRenderer> {
    return new DirectoryRenderer(await OutputDirectory.open(path), quiet);
  }

  private constructor(directory: OutputDirectory, isQuiet: boolean) {
    this.#directory = directory;
    this.#isQuiet = isQuiet;
  }

  async event(event: JobEvent): Promise<void> {
    this.#rollCall.note(event);
    switch (event.type) {
      case "plan":
        await this.#directory.begin(event.job, event.name);
        return;
      case "out":
        await this.#directory.write(event);
        return;
      case "gap":
        await this.#directory.skip(event);
        await say(`${event.host}: ${gapText(event)}`);
        return;
      case "notice":
        await this.#notices.note(event);
        return;
      case "summary":
        await this.#end(event);
        return;
      case "start":
      case "exit":
      case "check":
      case "rollout":
        return;
      default:
        event satisfies never;
    }
  }

  interrupted(): Promise<void> {
    return this.#end(undefined);
  }

  async finish(): Promise<void> {
    await this.#notices.flush();
    await (this.#finishing ??= this.#directory.finish(this.#rollCall.exits, undefined));
  }

  /** What was handled is in the file. */
  unwritten(_host: string, _stream: OutEvent["stream"]): number {
    return 0;
  }

  async #end(summary: SummaryEvent | undefined): Promise<void> {
    this.#finishing ??= this.#directory.finish(this.#rollCall.exits, summary?.exitCode);
    await this.finish();
    if (!this.#isQuiet) await this.#rollCall.say();
  }
}
