/** How a roll-out stands after a pause or resume. */
import type { FanOutInfo } from "@outpost/protocol";
import type { Job } from "../client/index.ts";
import type { OutputFormat } from "./command.ts";
import { print } from "./render/records.ts";
import { rolloutText } from "./rollout-notices.ts";

export async function printRollout(
  { id, name }: Job,
  fanout: FanOutInfo,
  format: OutputFormat,
): Promise<void> {
  const { rollout } = fanout;
  const text =
    rollout === undefined ? fanout.state : rolloutText(rollout, { title: name ?? id, hosts: fanout.hosts });
  await print(format, { json: { fanout }, records: [fanout], text: () => `${name ?? id}: ${text}` });
}
