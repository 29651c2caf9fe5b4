/** The status line of a job. Loaded where it can be seen. */
import type { JobEvent } from "../../../client/index.ts";
import { type ColorChoice, hasColor } from "../color.ts";
import { isUnicode, progressText } from "./progress-text.ts";
import { Progress } from "./progress.ts";
import { StatusLine } from "./status-line.ts";

export class JobStatus {
  readonly #progress = new Progress();
  readonly #line: StatusLine | undefined;

  constructor(color: ColorChoice) {
    const look = { color: hasColor(color, 2), unicode: isUnicode(process.env) };
    this.#line = StatusLine.begin({
      text: (columns) => progressText(this.#progress, { columns, ...look }),
    });
  }

  note(event: JobEvent): void {
    this.#progress.note(event);
  }

  async close(): Promise<void> {
    await this.#line?.close();
  }
}
