/** How many keystrokes of each viewer were taken, so that a viewer that comes back after a cut sends the rest, and nothing twice. */
import type { ViewerId } from "@outpost/protocol";

/** How many viewers are remembered for each session; those that were away longest are forgotten first. */
const maxViewers = 1_000;

export class Inputs {
  readonly #taken = new Map<ViewerId, number>();

  /** The offset of the next byte of a viewer's input, which is there from now on. */
  attach(viewer: ViewerId): number {
    const taken = this.#taken.get(viewer) ?? 0;
    this.#taken.delete(viewer);
    this.#taken.set(viewer, taken);
    for (const oldest of this.#taken.keys()) {
      if (this.#taken.size <= maxViewers) break;
      this.#taken.delete(oldest);
    }
    return taken;
  }

  took(viewer: ViewerId, upTo: number): void {
    if (this.#taken.has(viewer)) this.#taken.set(viewer, upTo);
  }
}
