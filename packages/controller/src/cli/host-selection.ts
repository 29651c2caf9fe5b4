/** Which hosts a target expression means, those in quarantine included: for what is done to hosts themselves. */
import type { HostInfo } from "@outpost/protocol";
import { evaluate, parse } from "@outpost/protocol/targets";
import type { Client } from "../client/index.ts";

/** @throws OutpostError `invalid_argument`; `not_found` naming the term that no host fits */
export async function selectHosts(
  client: Pick<Client, "hosts" | "writtenOut">,
  targets: string,
): Promise<readonly HostInfo[]> {
  const written = await client.writtenOut(targets);
  const read = parse(written);
  return evaluate(read, await client.hosts());
}
