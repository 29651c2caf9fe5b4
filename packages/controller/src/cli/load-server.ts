/** The server, loaded by the commands that are one. Nothing else of the CLI imports it. */
import type * as Server from "../server/index.ts";

export function loadServer(): Promise<typeof Server> {
  // The rule is against static imports, which every command would pay for.
  // oxlint-disable-next-line eslint/no-restricted-imports
  return import("../server/index.ts");
}
