/** From a context to a connected client. */
import { createPrivateKey } from "node:crypto";
import { type Signer, signerOf, splitPem } from "@outpost/access/signing";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { dialWebSocket } from "@outpost/protocol/websocket";
import { Client } from "./client.ts";
import { Connection } from "./connection.ts";
import { type Context, readContext, writeAuthority, writeContext } from "./context.ts";
import { Contexts, groupsFileOf } from "./contexts.ts";
import { firstEnd, renewed } from "./renewal.ts";

export interface ConnectOptions {
  /** The folder of the operator's context. Default: the context in use, see `Contexts`. */
  readonly contextDirectory?: string | undefined;
  /** The context itself, instead of a folder. */
  readonly context?: Context | undefined;
  /** Gives up connecting for the first time. */
  readonly signal?: AbortSignal | undefined;
  /** How long to go on trying after the connection was cut, in milliseconds. Default no limit: jobs wait, and so does
   * their output. The first connection is tried once. */
  readonly reconnectForMs?: number | undefined;
}

/**
 * Connects to a controller as the operator of a context.
 *
 * @example
 * await using client = await connect();
 * const job = await client.start({ targets: "web1", command: { kind: "exec", argv: ["uname", "-a"] } });
 * @throws OutpostError `not_found` when there is no context; `controller_unreachable`; `version_mismatch`; `denied` when the
 * controller does not let this operator in (any more), or the certificate has expired
 */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  const { signal, reconnectForMs = Number.POSITIVE_INFINITY } = options;
  const directory =
    options.context === undefined
      ? (options.contextDirectory ?? (await new Contexts().inUse()).directory)
      : undefined;
  const context = directory === undefined ? options.context! : await readCurrent(directory);
  const { controller, certificate, key } = context;
  const signer = signerOfContext(context);
  const connection: Connection = new Connection({
    dial: async (closing) => {
      checkValidity(context);
      const signals = [closing, signal].filter((each) => each !== undefined);
      // What it has told last, while its CA is changed.
      const tls = { cert: certificate, key, ca: connection.hello?.authority ?? context.authority };
      try {
        return await dialWebSocket({ url: `${controller}/operator`, tls, signal: AbortSignal.any(signals) });
      } catch (error) {
        throw withAdvice(error, context);
      }
    },
    signer,
    reconnectForMs,
  });
  await connection.peer();
  const told = connection.hello?.authority;
  const groupsFile = groupsFileOf(directory);
  if (told === undefined || isSame(told, context.authority))
    return new Client(connection, context, { groupsFile });
  // A context that cannot be written to stays as it is.
  if (directory !== undefined) await writeAuthority(directory, told).catch(() => {});
  return new Client(connection, { ...context, authority: told }, { groupsFile });
}

/** @throws OutpostError as `readContext`; `invalid_argument` when it is damaged */
async function readCurrent(directory: string): Promise<Context> {
  const context = await readContext(directory);
  try {
    const fresh = await renewed(context);
    if (fresh === undefined) return context;
    // Where it cannot be written to, it is made anew each time.
    await writeContext(directory, fresh).catch(() => {});
    return fresh;
  } catch (cause) {
    throw damaged(context, cause);
  }
}

function damaged({ name }: Context, cause: unknown): OutpostError {
  return new OutpostError(
    ErrorCode.invalidArgument,
    `the key or a certificate of ${name}'s context cannot be read; sign in anew with a new bundle`,
    { cause },
  );
}

/** @throws OutpostError `invalid_argument` when the context is damaged */
function signerOfContext(context: Context): Signer {
  const { name, certificate, key } = context;
  try {
    return signerOf(name, certificate, createPrivateKey(key));
  } catch (cause) {
    throw damaged(context, cause);
  }
}

/** Said here, where it can be said what to do: a server that refuses a certificate at the handshake says little. */
function checkValidity({ name, certificate }: Context): void {
  const end = firstEnd(certificate);
  if (end > Date.now()) return;
  throw new OutpostError(
    ErrorCode.denied,
    `${name}'s certificate has expired on ${new Date(end).toISOString().slice(0, 10)} (or the clock of this machine is wrong); ${adviceFor(name)}`,
    { data: { reason: "expired", operator: name } },
  );
}

/** What the certificate of the server, and not ours, is refused for. */
const serversOwn: ReadonlySet<unknown> = new Set([
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
]);

function withAdvice(error: unknown, { name, controller }: Context): unknown {
  if (!(error instanceof OutpostError) || error.code !== ErrorCode.denied) return error;
  if (serversOwn.has(error.data["cause"]) || /sign in|ask for another/.test(error.message)) return error;
  return new OutpostError(error.code, `${error.message}; ${adviceFor(name)}`, {
    data: { ...error.data, operator: name, controller },
    cause: error,
  });
}

function adviceFor(name: string): string {
  return `if that was not meant, ask for a new bundle (\`outpost operator add ${name}\`) and sign in with it: outpost sign-in`;
}

function isSame(one: string, other: string): boolean {
  const certificates = (bundle: string): string => splitPem(bundle).sort().join("\n");
  return certificates(one) === certificates(other);
}
