/** Every event as a line of JSON. */
import type { JobEvent } from "../../client/index.ts";
import { eventLine } from "./plain.ts";
import type { Renderer } from "./renderer.ts";
import { stdout } from "./sink.ts";

export class NdjsonRenderer implements Renderer {
  event(event: JobEvent): Promise<void> {
    return stdout.write(eventLine(event));
  }

  /** Every event has been written when it came. */
  async interrupted(): Promise<void> {}

  async finish(): Promise<void> {}

  unwritten(): number {
    return 0;
  }
}
