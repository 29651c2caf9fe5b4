/** What is written to stdout and stderr, kept instead. */
import { stderr, stdout } from "../sink.ts";
import { vi } from "vitest";

export interface Recorded {
  readonly stdout: string;
  readonly stderr: string;
}

/** What `write` writes. Not at the same time as another one. */
export async function recorded(write: () => Promise<unknown>): Promise<Recorded> {
  const pieces: { stdout: Buffer[]; stderr: Buffer[] } = { stdout: [], stderr: [] };
  const spies = (
    [
      ["stdout", stdout],
      ["stderr", stderr],
    ] as const
  ).map(([name, sink]) => {
    // Into nothing, so that the sink still knows where lines end.
    vi.spyOn(sink, "endsLine", "get").mockImplementation(() => (pieces[name].at(-1)?.at(-1) ?? 10) === 10);
    return vi.spyOn(sink, "write").mockImplementation((data) => {
      const bytes = Buffer.from(data as Uint8Array);
      if (bytes.byteLength > 0) pieces[name].push(bytes);
      return Promise.resolve();
    });
  });
  try {
    await write();
  } finally {
    for (const spy of spies) spy.mockRestore();
    vi.restoreAllMocks();
  }
  return { stdout: Buffer.concat(pieces.stdout).toString(), stderr: Buffer.concat(pieces.stderr).toString() };
}
