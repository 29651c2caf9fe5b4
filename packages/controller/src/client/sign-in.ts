/**
 * Signing in: from a bundle to a context. The operator's key is made here and stays here.
 *
 *     bundle ──▶ pending (a folder beside the context's) ──connected──▶ context
 *                   └──refused──▶ ╳
 *
 * The controller takes the first key that it is shown, perhaps without us hearing of it. So the key is written down before,
 * and whoever signs in with the same bundle again goes on with it.
 */
import { X509Certificate } from "node:crypto";
import { rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { connect } from "./connect.ts";
import { type Context, readContext, writeContext } from "./context.ts";
import { decodeBundle, type SignInBundle } from "./sign-in-bundle.ts";

export interface SignInOptions {
  /** As `operator add` has made it. */
  readonly bundle: string;
  /** The folder of the context to make. */
  readonly directory: string;
  /** How the controller is reached from here, `wss://HOST:PORT`. Default: as the bundle says. */
  readonly controller?: string | undefined;
  /** True: a context that is there is replaced. Default false. */
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @throws OutpostError `invalid_argument` when the bundle is damaged; `denied` when it has expired or was used already;
 * `conflict` when there is a context; as `connect`. After `controller_unreachable` the same bundle can be used again
 */
export async function signIn(options: SignInOptions): Promise<Context> {
  const { directory, force = false, signal } = options;
  const bundle = decodeBundle(options.bundle);
  checkTime(bundle);
  const kept = await keptKey(directory, bundle, force);
  const pending = join(dirname(directory), `.${basename(directory)}.signing-in`);
  const context = { ...(await pendingContext(pending, bundle, options.controller)), ...kept };
  await rm(pending, { recursive: true, force: true });
  await writeContext(pending, context);
  try {
    await using _client = await connect({ contextDirectory: pending, signal, reconnectForMs: 0 });
  } catch (error) {
    if (OutpostError.from(error).code === ErrorCode.denied)
      await rm(pending, { recursive: true, force: true });
    throw error;
  }
  await replace(directory, pending);
  return context;
}

function checkTime({ name, expiresAt }: SignInBundle): void {
  if (expiresAt > Date.now()) return;
  throw new OutpostError(
    ErrorCode.denied,
    `the sign-in bundle has expired at ${new Date(expiresAt).toISOString()}; ask for a new one: outpost operator add ${name}`,
    { data: { reason: "expired", operator: name } },
  );
}

/** What of a context that is there must not be lost. @throws OutpostError `conflict` */
async function keptKey(
  directory: string,
  bundle: SignInBundle,
  force: boolean,
): Promise<Pick<Context, "operatorsKey">> {
  const present = await readContext(directory).catch((error: unknown) => {
    const { code } = OutpostError.from(error);
    // A damaged one, or one of 0.1, is there all the same.
    return code === ErrorCode.notFound ? undefined : ("unreadable" as const);
  });
  if (present === undefined) return {};
  const conflict = (message: string): OutpostError =>
    new OutpostError(ErrorCode.conflict, message, { data: { directory } });
  if (!force) {
    const whose =
      present === "unreadable" ? "a context" : `the context of ${present.name} at ${present.controller}`;
    throw conflict(`${directory} holds ${whose}. Replace it with --force, or name another with --context`);
  }
  if (present === "unreadable" || present.operatorsKey === undefined) return {};
  if (isSameCertificate(present.operators, bundle.operators)) return { operatorsKey: present.operatorsKey };
  throw conflict(
    `${directory} holds the key of another authority of operators (operators.key), which cannot be made again; keep it elsewhere first`,
  );
}

function isSameCertificate(one: string, other: string): boolean {
  try {
    return new X509Certificate(one).raw.equals(new X509Certificate(other).raw);
  } catch {
    return false;
  }
}

/** What an earlier attempt with this bundle has made, or new. */
async function pendingContext(
  pending: string,
  bundle: SignInBundle,
  controller: string = bundle.controller,
): Promise<Context> {
  const { name, ca, operators, invitation } = bundle;
  const begun = await readContext(pending).catch(() => undefined);
  const about = { controller, name, authority: ca, operators };
  if (begun?.certificate.endsWith(invitation.certificate) === true) {
    return { ...about, certificate: begun.certificate, key: begun.key };
  }
  return { ...about, ...(await accept(bundle)) };
}

/** @throws OutpostError `invalid_argument` when the invitation is not what it says */
async function accept({
  id,
  name,
  operators,
  invitation,
}: SignInBundle): Promise<Pick<Context, "certificate" | "key">> {
  const { acceptInvitation, splitPem, verifyOperatorChain } = await import("@outpost/access");
  try {
    const credentials = await acceptInvitation(invitation, { id, name });
    const chain = splitPem(credentials.certificate).map((pem) => new X509Certificate(pem).raw);
    verifyOperatorChain(chain, [new X509Certificate(operators)], Date.now());
    return credentials;
  } catch (cause) {
    throw new OutpostError(
      ErrorCode.invalidArgument,
      `the sign-in bundle is damaged: ${OutpostError.from(cause).message}`,
      { cause },
    );
  }
}

async function replace(directory: string, pending: string): Promise<void> {
  const old = join(dirname(directory), `.${basename(directory)}.old`);
  await rm(old, { recursive: true, force: true });
  await rename(directory, old).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  await rename(pending, directory);
  await rm(old, { recursive: true, force: true });
}
