/** A connection to the controller for the time of a command. The client library is loaded only here. */
import type { Client } from "../client/index.ts";

export interface WithClientOptions {
  /** How long to go on trying after the connection was cut, in milliseconds. Default no limit. */
  readonly reconnectForMs?: number | undefined;
}

/** @throws OutpostError as `connect`, and what `use` throws */
export async function withClient<T>(
  use: (client: Client) => Promise<T>,
  options: WithClientOptions = {},
): Promise<T> {
  const { connect } = await import("../client/connect.ts");
  await using client = await connect(options);
  try {
    return await use(client);
  } catch (error) {
    const { withNearestNames } = await import("./nearest-names.ts");
    throw await withNearestNames(error, client);
  }
}
