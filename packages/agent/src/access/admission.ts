/** A request that the gate let through, until it was carried out. */
import { OutpostError } from "@outpost/protocol";
import type { Outcome } from "./outcome.ts";

export class Admission {
  /** Its sequence number in the audit log. */
  readonly request: number;
  #end: ((how: Outcome | undefined) => void) | undefined;

  /** @param end told once */
  constructor(request: number, end: (how: Outcome | undefined) => void) {
    this.request = request;
    this.#end = end;
  }

  /**
   * Carries it out, at once, and records how that went: a failure in any case, a success if it `sent` something.
   * @param sent how many bytes of output went out so far
   */
  async carryOut<T>(work: () => Promise<T>, sent?: () => number): Promise<T> {
    const bytes = (): Pick<Outcome, "bytes"> => (sent === undefined ? {} : { bytes: sent() });
    try {
      const result = await work();
      this.#ended(sent === undefined ? undefined : { outcome: "ok", ...bytes() });
      return result;
    } catch (reason) {
      const { code, message } = OutpostError.from(reason);
      this.#ended({ outcome: code, message, ...bytes() });
      throw reason;
    }
  }

  #ended(how: Outcome | undefined): void {
    this.#end?.(how);
    this.#end = undefined;
  }
}
