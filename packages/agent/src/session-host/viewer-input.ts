/** The keystrokes of one viewer, on their way to the terminal. */
import type { Clock, ViewerId } from "@outpost/protocol";
import type { Inputs } from "./inputs.ts";
import { withoutReports } from "./terminal-reports.ts";

/** How long a viewer that comes back may take to answer again what the emulator has answered, in milliseconds. */
const reportsMs = 10_000;

export interface ViewerInputOptions {
  readonly viewer: ViewerId;
  readonly inputs: Inputs;
  /** How many answers of its terminal were given already. */
  readonly reportsDue: number;
  readonly clock: Clock;
  /** Gives keystrokes to the terminal, or drops them when this viewer may not type. */
  readonly type: (bytes: Uint8Array, taken: () => void) => void;
}

export class ViewerInput {
  /** Where its input goes on: what is before was taken, on earlier connections. */
  readonly offset: number;
  readonly #options: ViewerInputOptions;
  #reportsDue: number;

  constructor(options: ViewerInputOptions) {
    this.#options = options;
    this.offset = options.inputs.attach(options.viewer);
    this.#reportsDue = options.reportsDue;
    if (this.#reportsDue > 0) options.clock.after(reportsMs, () => (this.#reportsDue = 0));
  }

  /** @param taken called when the terminal has them: then the viewer may send more */
  take(offset: number, bytes: Uint8Array, taken: () => void): void {
    const { inputs, viewer, type } = this.#options;
    inputs.took(viewer, offset + bytes.byteLength);
    const { bytes: typed, removed } = withoutReports(bytes, this.#reportsDue);
    this.#reportsDue -= removed;
    type(typed, taken);
  }
}
