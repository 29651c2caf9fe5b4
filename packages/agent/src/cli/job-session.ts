/** What the `job` commands share: the connection to the agent, Ctrl-C, and how usage errors look. */
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { agentPaths } from "../directory.ts";
import { AgentClient } from "../local/agent-client.ts";
import { say } from "./output.ts";

export interface JobCommandOptions {
  readonly dir: string;
  readonly output: "text" | "json";
}

/**
 * Runs `action` with a connection to the agent of the directory; the first Ctrl-C ends it, the second one the process.
 * @throws what `action` throws; OutpostError `cancelled` after Ctrl-C
 */
export async function withAgent<T>(
  dir: string,
  action: (client: AgentClient, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const interrupted = new AbortController();
  const onInterrupt = (): void => {
    process.off("SIGINT", onInterrupt);
    interrupted.abort(new OutpostError(ErrorCode.cancelled, "interrupted"));
  };
  process.on("SIGINT", onInterrupt);
  const { signal } = interrupted;
  const waiting = (message: string): void => void say(message);
  try {
    await using client = new AgentClient({ paths: agentPaths(dir), signal, waiting });
    return await action(client, signal);
  } finally {
    process.off("SIGINT", onInterrupt);
  }
}

/** Makes of an error in an argument one of usage. */
export function readArgument<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw OutpostError.from(error, ErrorCode.invalidArgument);
  }
}
