/** How many bytes of output a request has sent: for the audit log. What was missing does not count. */
import type { OutgoingStream, Tail } from "@outpost/protocol";

interface Sent {
  readonly stream: Pick<OutgoingStream, "offset">;
  readonly from: number;
}

export class SentBytes {
  readonly #sent: Sent[] = [];
  #missing = 0;
  #inline = 0;

  get bytes(): number {
    const moved = this.#sent.reduce((sum, { stream, from }) => sum + stream.offset - from, 0);
    return Math.max(0, moved - this.#missing) + this.#inline;
  }

  /** A stream of output that begins at `offset`. */
  opened(stream: Sent["stream"], offset: number): void {
    this.#sent.push({ stream, from: offset });
  }

  /** A stream that is open goes over these bytes without sending them. */
  gap({ from, to }: { readonly from: number; readonly to: number }): void {
    this.#missing += to - from;
  }

  tail({ stdout, stderr }: Tail = {}): void {
    this.#inline += (stdout?.bytes.byteLength ?? 0) + (stderr?.bytes.byteLength ?? 0);
  }
}
