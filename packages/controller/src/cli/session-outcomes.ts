/** What became of a request to a session, on each of its hosts. */
import type { SessionOutcome } from "@outpost/protocol";
import { ExitCode } from "../client/exit-code.ts";
import type { OutputFormat } from "./command.ts";
import { exitCodeFor } from "./failure.ts";
import { foldedNames } from "./render/names.ts";
import { print } from "./render/records.ts";
import { say } from "./render/sink.ts";

export interface OutcomesReport {
  readonly session: { readonly id: string; readonly name?: string | undefined };
  readonly hosts: readonly SessionOutcome[];
  readonly format: OutputFormat;
  /** What is printed for people. */
  readonly text: (succeeded: readonly string[]) => string | Promise<string>;
}

/** @returns the exit code: the highest of the failures' */
export async function reportOutcomes({ session, hosts, format, text }: OutcomesReport): Promise<number> {
  const failed = hosts.flatMap(({ host, error }) => (error === undefined ? [] : [{ host, error }]));
  const succeeded = hosts.filter(({ error }) => error === undefined).map(({ host }) => host);
  const { id, name } = session;
  await print(format, {
    json: { session: id, ...(name === undefined ? {} : { name }), hosts },
    records: hosts,
    text: () => (succeeded.length === 0 ? "" : text(succeeded)),
  });
  for (const [message, names] of byMessage(failed)) await say(`${await foldedNames(names)}: ${message}`);
  return Math.max(ExitCode.succeeded, ...failed.map(({ error }) => exitCodeFor(error)));
}

/** A hundred hosts behind one broken switch are one line. */
function byMessage(
  failed: readonly { readonly host: string; readonly error: { readonly message: string } }[],
): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { host, error } of failed) {
    groups.set(error.message, [...(groups.get(error.message) ?? []), host]);
  }
  return groups;
}
