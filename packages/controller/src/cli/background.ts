/** A job that is started and left alone. */
import { ExitCode } from "../client/exit-code.ts";
import type { Client, Job, StartOptions } from "../client/index.ts";
import type { OutputFormat } from "./command.ts";
import { print } from "./render/records.ts";
import { namesText } from "./render/summary.ts";
import { say } from "./render/sink.ts";
import { isatty } from "node:tty";

/** @returns the exit code: 0 when it was sent to every host */
export async function startInBackground(
  client: Client,
  options: StartOptions,
  format: OutputFormat,
): Promise<number> {
  const job = await client.start(options);
  // Its output is not for us, but its input comes through us.
  if (job.input !== undefined) await job.input;
  const mode = options.mode ?? "keep";
  const document = {
    job: job.id,
    ...(job.name === undefined ? {} : { name: job.name }),
    mode,
    hosts: job.hosts,
  };
  await print(format, { json: document, text: () => job.id });
  const away = job.hosts.filter(({ state }) => state !== "connected").map(({ host }) => host);
  if (away.length > 0) await say(`${namesText(away)}: unreachable; nothing was started there`);
  if (format === "text" && isatty(2)) await say(nextText(job));
  return away.length > 0 ? ExitCode.unreachable : ExitCode.succeeded;
}

function nextText({ id, name }: Job): string {
  return `started; receive its output with: outpost job receive ${name ?? id}`;
}
