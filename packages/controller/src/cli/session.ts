/** A connection to the controller for the time of a command. The client library is loaded only here. */
import type { Client } from "../client/index.ts";

/** @throws OutpostError as `connect`, and what `use` throws */
export async function withClient<T>(use: (client: Client) => Promise<T>): Promise<T> {
  const { connect } = await import("../client/index.ts");
  await using client = await connect();
  try {
    return await use(client);
  } catch (error) {
    const { withNearestNames } = await import("./nearest-names.ts");
    throw await withNearestNames(error, client);
  }
}
