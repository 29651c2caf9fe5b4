/** What a wait for a session found. */
import type { SessionInfo } from "@outpost/protocol";
import { ExitCode } from "../client/exit-code.ts";
import type { OutputFormat } from "./command.ts";
import { print } from "./render/records.ts";
import { say } from "./render/sink.ts";
import { foldedNames } from "./render/names.ts";

/** @returns the exit code */
export async function reportSessionWait(
  reference: string,
  until: "available" | "ended",
  result: { readonly reached: boolean; readonly sessions: readonly SessionInfo[] },
  format: OutputFormat,
): Promise<number> {
  const { reached, sessions } = result;
  await print(format, { json: { reached, sessions }, records: sessions, text: () => "" });
  if (reached) return ExitCode.succeeded;
  const ended = sessions.filter(({ status }) => status.state === "closed" || status.state === "broken");
  if (until === "available" && ended.length > 0) {
    const why = ended[0]!.status.reason?.message;
    const names = await foldedNames(ended.map(({ host }) => host));
    await say(`${reference} has ended on ${names}${why === undefined ? "" : `: ${why}`}`);
    return ExitCode.failed;
  }
  const waiting = sessions.filter(({ status }) =>
    until === "ended" ? !ended.some((info) => info.status === status) : status.availability !== "available",
  );
  await say(`timed out; not ${until} on ${await foldedNames(waiting.map(({ host }) => host))}`);
  return ExitCode.timedOut;
}
