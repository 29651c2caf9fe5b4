/** A job that is started and left alone. */
import { ExitCode } from "../client/exit-code.ts";
import type { Client, Job, StartOptions } from "../client/index.ts";
import type { OutputFormat } from "./command.ts";
import { print } from "./render/records.ts";
import { foldedNames } from "./render/names.ts";
import { say } from "./render/sink.ts";
import { sayOrder } from "./say-order.ts";
import { isatty } from "node:tty";

/** @returns the exit code: 0 when it was sent to every host, or will be */
export async function startInBackground(
  client: Client,
  options: StartOptions,
  format: OutputFormat,
): Promise<number> {
  await sayOrder(options);
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
  const { offline = "fail" } = options;
  if (away.length > 0) await say(`${await foldedNames(away)}: ${awayText(offline, job)}`);
  if (format === "text" && isatty(2)) await say(nextText(job));
  // In a roll-out, what becomes of them shows when their turn comes.
  const isLost = away.length > 0 && offline === "fail" && job.rollout === undefined;
  return isLost ? ExitCode.unreachable : ExitCode.succeeded;
}

function awayText(offline: NonNullable<StartOptions["offline"]>, { rollout }: Job): string {
  if (rollout !== undefined) return "offline now; what becomes of that shows when their turn comes";
  switch (offline) {
    case "fail":
      return "unreachable; nothing was started there";
    case "skip":
      return "offline; left out";
    case "queue":
      return "offline; started there when they are back, if that is in time";
    default:
      return offline satisfies never;
  }
}

function nextText({ id, name, rollout }: Job): string {
  const job = name ?? id;
  const receive = `receive its output with: outpost job receive ${job}`;
  if (rollout === undefined) return `started; ${receive}`;
  return `started; watch it with: outpost job show ${job} --watch; ${receive} --follow`;
}
