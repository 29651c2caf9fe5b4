/** A temporary session on one host, opened and attached to in one go: no request waits for another's answer. */
import { ErrorCode, HostName, newSessionId, OutpostError } from "@outpost/protocol";
import * as v from "valibot";
import { Attachment, type AttachOptions } from "./attachment.ts";
import { signedRemoval } from "./authorizing.ts";
import type { Connection } from "./connection.ts";
import { openSession, type SessionSettings } from "./sessions.ts";

export interface EnterOptions
  extends SessionSettings, Pick<AttachOptions, "maxLag" | "reconnectForMs" | "signal"> {
  /** A target expression that selects one host. */
  readonly target: string;
  /** False: the session is kept when its shell has ended. Default true. */
  readonly temporary?: boolean | undefined;
}

/** How long taking back a session that nobody got to see may take, in milliseconds. */
const takeBackMs = 2_000;

/** @see Client.enter */
export async function enter(connection: Connection, options: EnterOptions): Promise<Attachment> {
  const { target, temporary = true, maxLag, reconnectForMs, signal, ...settings } = options;
  const host = await oneHost(connection, target, signal);
  const session = newSessionId();
  const { columns = 80, rows = 24 } = settings;
  const opening = openSession(connection, { ...settings, targets: host, temporary, session });
  const takeBack = async (): Promise<void> => {
    const limit = AbortSignal.timeout(takeBackMs);
    const remove = () =>
      connection
        .request("session.remove", () => signedRemoval(connection, { session, hosts: [host] }), {
          signal: limit,
        })
        .catch(() => {});
    await remove();
    // It may have been overtaken.
    const late = Promise.withResolvers<void>();
    limit.addEventListener("abort", () => late.resolve());
    await Promise.race([opening.then(remove, () => {}), late.promise]);
  };
  // From its first byte: nothing has to be painted that was never shown.
  return new Attachment(
    { connection, session, host, opening, abandoned: takeBack },
    { columns, rows, from: 0, maxLag, reconnectForMs, signal },
  );
}

/** A plain name is taken at its word, and saves a question. */
async function oneHost(
  connection: Connection,
  target: string,
  signal: AbortSignal | undefined,
): Promise<HostName> {
  const name = v.safeParse(HostName, target);
  if (name.success) return name.output;
  const { hosts } = await connection.request(
    "host.list",
    { targets: target },
    signal === undefined ? {} : { signal },
  );
  const [only, ...others] = hosts;
  if (only !== undefined && others.length === 0) return only.name;
  throw new OutpostError(
    ErrorCode.invalidArgument,
    `${target} selects ${String(hosts.length)} hosts: ${hosts.map((each) => each.name).join(", ")}; a terminal shows one`,
    { data: { target, hosts: hosts.map((each) => each.name) } },
  );
}
